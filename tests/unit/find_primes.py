#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Finds the primes of rsa_primes.h, from which the keys of tests are made: find_primes.py BITS COUNT
was run once for each list, by hand."""

import hashlib
import itertools
import math
import secrets
import sys

_SMALL = [n for n in range(3, 2000) if all(n % d for d in range(2, math.isqrt(n) + 1))]


def start(bits, index):
    """Where the search of a prime begins: an odd number whose two highest bits are set, so that the
    product of two has twice as many bits."""
    digest = hashlib.shake_256(f"prime {bits} {index}".encode()).digest(bits // 8)
    return int.from_bytes(digest, "big") | 3 << bits - 2 | 1


def is_prime(number, rounds=20):
    """Miller and Rabin's test."""
    odd = number - 1
    twos = (odd & -odd).bit_length() - 1
    odd >>= twos

    def witness(base):
        x = pow(base, odd, number)
        if x in (1, number - 1):
            return False
        for _ in range(twos - 1):
            x = x * x % number
            if x == number - 1:
                return False
        return True
    return not any(witness(secrets.randbelow(number - 3) + 2) for _ in range(rounds))


def distance(bits, index):
    """How far the prime is from there: one that serves with the exponent 65537."""
    first = start(bits, index)
    residues = [(n, first % n) for n in _SMALL]
    for step in itertools.count(0, 2):
        if any((r + step) % n == 0 for n, r in residues) or (first + step - 1) % 65537 == 0:
            continue
        if is_prime(first + step):
            return step


if __name__ == "__main__":
    size, count = (int(word) for word in sys.argv[1:])
    print(f"static const unsigned short primes_{size}[] = {{")
    for number in range(count):
        print(f"{distance(size, number)},")
    print("};")
