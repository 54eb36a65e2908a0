# SPDX-License-Identifier: Apache-2.0
"""RSA keys, without the third of a second that it takes to find the primes of one: those of
tests/unit/rsa_primes.h are used, in turn."""

import hashlib
import itertools
import math
import re

from asn1crypto import keys
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from . import paths

EXPONENT = 65537


def _primes(bits):
    """All that the list has, as start() and distance() of tests/unit/find_primes.py tell them."""
    text = (paths.SRC / "tests" / "unit" / "rsa_primes.h").read_text()
    (numbers,) = re.findall(rf"primes_{bits}\[\] = \{{([\d,\s]*)\}}", text)
    for index, distance in enumerate(re.findall(r"\d+", numbers)):
        digest = hashlib.shake_256(f"prime {bits} {index}".encode()).digest(bits // 8)
        yield (int.from_bytes(digest, "big") | 3 << bits - 2 | 1) + int(distance)


_lists = {1024: _primes(512), 2048: _primes(1024)}


def next_key(bits):
    """A key that this process did not have before: from the list for 1024 and 2048 bits, until it is
    at its end, else generated."""
    pair = list(itertools.islice(_lists.get(bits, iter(())), 2))
    if len(pair) < 2:
        return rsa.generate_private_key(public_exponent=EXPONENT, key_size=bits)
    p, q = pair
    d = pow(EXPONENT, -1, math.lcm(p - 1, q - 1))
    numbers = {"version": "two-prime", "modulus": p * q, "public_exponent": EXPONENT,
               "private_exponent": d, "prime1": p, "prime2": q, "exponent1": d % (p - 1),
               "exponent2": d % (q - 1), "coefficient": pow(q, -1, p)}
    # This way the numbers are checked once, not twice.
    return serialization.load_der_private_key(keys.RSAPrivateKey(numbers).dump(), None)
