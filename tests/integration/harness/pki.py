# SPDX-License-Identifier: Apache-2.0
"""Keys and certificates, by python3-cryptography: the site's, the directory's, the devices'."""

import dataclasses
import datetime
import ipaddress
import itertools
import os
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from . import rsa_keys

NOW = datetime.datetime.utcnow().replace(microsecond=0)
_OIDS = {"C": NameOID.COUNTRY_NAME, "O": NameOID.ORGANIZATION_NAME, "CN": NameOID.COMMON_NAME,
         "OU": NameOID.ORGANIZATIONAL_UNIT_NAME, "2.5.4.5": NameOID.SERIAL_NUMBER}
_counter = itertools.count(1)


def day(year, month=1, date=1):
    return datetime.datetime(year, month, date)


def days(number):
    """So many days from now."""
    return NOW + datetime.timedelta(days=number)


def name(text):
    """X.509 name of "C=US, O=Apple Inc., CN=x"."""
    pairs = (part.split("=", 1) for part in text.split(", "))
    return x509.Name([x509.NameAttribute(_OIDS[k], v) for k, v in pairs])


def make_key(kind="rsa2048"):
    if kind.startswith("rsa"):
        return rsa_keys.next_key(int(kind[3:]))
    return ec.generate_private_key({"p256": ec.SECP256R1, "p384": ec.SECP384R1}[kind]())


@dataclasses.dataclass
class Identity:
    """A certificate and its key, as objects and as PEM files."""
    cert: x509.Certificate
    key: object
    cert_file: pathlib.Path
    key_file: pathlib.Path

    @property
    def der(self):
        return self.cert.public_bytes(serialization.Encoding.DER)

    @property
    def pem(self):
        return self.cert.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self):
        return self.cert.fingerprint(hashes.SHA256()).hex()


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


# An EC key (SubjectPublicKeyInfo) with parameters of its own, over a prime p such that a high
# power of two divides p - 1: to decompress its points takes OpenSSL half a second.
_COSTLY_KEY = bytes.fromhex(
    "3082012d3081d306072a8648ce3d02013081c7020101305e06072a8648ce3d010102531001d1"
    + "00" * 79 +
    "0130060401010401f0045402060a9b30a2cafb7a582205bd855aace1c962a4e215486dcd42716c1a9ced88c047"
    "ffecc0cc3f63e9f0da3893cd4676a2a122f338a0c2d98e408011823f4c89714c398f50280135e633183e9ec301"
    "5a9d73a0d00201070201010355000303379fa2a86e1731e73560c5ff1f352f51047a6666604b482a2607c3813b"
    "2000d4d16a6ffe36f57653002c777e346fec0f35287f4c9eddc23a7a4b30016d6ed2640761d28333381a8fcefa"
    "ca9ce9ba1c15828d")


@dataclasses.dataclass
class Costly:
    """A certificate with such a key and no name, which nobody signed; what of an Identity a message
    carries."""
    number: int = 1

    @property
    def der(self):
        algorithm = bytes.fromhex("300d06092a864886f70d01010b0500")
        dates = b"\x30\x1e\x17\x0d250101000000Z\x17\x0d350101000000Z"
        body = (b"\x02\x01" + bytes([self.number]) + algorithm + b"\x30\x00" + dates
                + b"\x30\x00" + _COSTLY_KEY)
        tbs = b"\x30\x82" + len(body).to_bytes(2, "big") + body
        rest = tbs + algorithm + b"\x03\x02\x00\x01"
        return b"\x30\x82" + len(rest).to_bytes(2, "big") + rest


@dataclasses.dataclass
class Empty:
    """What takes the place of a certificate in a message and is none: a decoder fails on it, and so
    tells that it was asked."""
    der = b"\x30\x00"


class Pki:
    """Makes identities whose files lie in one folder; keys are readable by their owner only."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)

    def write(self, file, content, mode=0o644):
        path = self.folder / file
        path.unlink(missing_ok=True)
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as out:
            out.write(content)
        return path

    def store(self, cert, key):
        """The identity of a certificate and a key made elsewhere."""
        stem = f"{next(_counter):03d}"
        return Identity(cert, key,
                        self.write(f"{stem}.pem", cert.public_bytes(serialization.Encoding.PEM)),
                        self.write(f"{stem}.key", key_pem(key), 0o600))

    def load(self, cert_file, key_file):
        """The identity of files made elsewhere."""
        return Identity(x509.load_pem_x509_certificate(cert_file.read_bytes()),
                        serialization.load_pem_private_key(key_file.read_bytes(), None),
                        cert_file, key_file)

    def issue(self, subject, issuer=None, *, key="rsa2048", start=days(-1), end=days(30), ca=False,
              digest=hashes.SHA256(), names=(), usage=None, eku=(), extensions=(), bare=False,
              serial=None):
        """A certificate for subject, self-signed without an issuer. key is a kind or a key. bare
        leaves every extension out but the extensions given."""
        own_key = make_key(key) if isinstance(key, str) else key
        signer = issuer.key if issuer else own_key
        builder = (x509.CertificateBuilder().subject_name(name(subject))
                   .issuer_name(issuer.cert.subject if issuer else name(subject))
                   .public_key(own_key.public_key())
                   .serial_number(serial or x509.random_serial_number())
                   .not_valid_before(start).not_valid_after(end))
        if not bare:
            usage = usage or ({"key_cert_sign", "crl_sign", "digital_signature",
                               "key_encipherment"} if ca else
                              {"digital_signature", "key_encipherment"})
            builder = (builder
                       .add_extension(x509.BasicConstraints(ca, None), critical=True)
                       .add_extension(_key_usage(usage), critical=True)
                       .add_extension(x509.SubjectKeyIdentifier.from_public_key(
                           own_key.public_key()), critical=False)
                       .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                           signer.public_key()), critical=False))
        if eku:
            builder = builder.add_extension(x509.ExtendedKeyUsage(list(eku)), critical=True)
        if names:
            builder = builder.add_extension(
                x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return self.store(builder.sign(signer, digest), own_key)

    def server(self, host, issuer, key="rsa2048"):
        """A TLS server's identity."""
        return self.issue(f"O=Test, CN={host}", issuer, key=key, names=[host],
                          eku=[ExtendedKeyUsageOID.SERVER_AUTH])

    def bundle(self, file, *identities):
        """A PEM file with the certificates of several identities."""
        return self.write(file, b"".join(i.pem for i in identities))


def _key_usage(names):
    every = ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
             "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only")
    return x509.KeyUsage(**{n: n in names for n in every})


def unknown_extension(oid="1.3.6.1.4.1.99999.1", value=b"\x05\x00"):
    return x509.UnrecognizedExtension(ObjectIdentifier(oid), value)


class SitePki:
    """Everything that a site has: a TLS root and intermediate, and the issuing CA."""

    def __init__(self, folder):
        pki = self.pki = Pki(folder)
        self.root = pki.issue("O=Test, CN=Test Root", ca=True)
        self.intermediate = pki.issue("O=Test, CN=Test Intermediate", self.root, ca=True)
        self.ca = pki.issue("O=Test, CN=Test Enrollment CA", ca=True, end=days(3650))
        self._servers = {}

    @property
    def root_file(self):
        return self.root.cert_file

    def server(self, host, key="rsa2048", again=False):
        """The identity of a TLS host, issued by the intermediate; the same one again unless a
        replacement is asked for."""
        if again or (host, key) not in self._servers:
            self._servers[host, key] = self.pki.server(host, self.intermediate, key)
        return self._servers[host, key]


def loopback():
    """The address of every server of these tests, for a certificate."""
    return x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
