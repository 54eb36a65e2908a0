# SPDX-License-Identifier: Apache-2.0
"""SCEP (RFC 8894): requests with every part under control, and Debian's own clients."""

import base64
import collections
import dataclasses
import pathlib
import secrets
import tempfile
import urllib.parse

from asn1crypto import cms as asn1_cms
from asn1crypto import core
from asn1crypto import csr as asn1_csr
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import AttributeOID

from . import cms, paths, pki
from .process import run

OIDS = {"messageType": "2.16.840.1.113733.1.9.2", "pkiStatus": "2.16.840.1.113733.1.9.3",
        "failInfo": "2.16.840.1.113733.1.9.4", "senderNonce": "2.16.840.1.113733.1.9.5",
        "recipientNonce": "2.16.840.1.113733.1.9.6", "transactionID": "2.16.840.1.113733.1.9.7"}
FAIL_INFO = {"0": "badAlg", "1": "badMessageCheck", "2": "badRequest", "3": "badTime",
             "4": "badCertId"}
SUCCESS, FAILURE, PENDING = "0", "2", "3"


def csr(key, challenge=None, subject="O=Whoever, CN=anything", extensions=(),
        digest=hashes.SHA256(), version=0):
    """A PKCS#10 request, DER. There is no version but 0; old Apple devices say 2."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(pki.name(subject))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    if challenge is not None:
        builder = builder.add_attribute(AttributeOID.CHALLENGE_PASSWORD, challenge.encode())
    der = builder.sign(key, digest).public_bytes(serialization.Encoding.DER)
    return der if version == 0 else _with_version(der, key, digest, version)


def _with_version(der, key, digest, version):
    """All lengths stay: another digit, and another signature by the same key."""
    request = asn1_csr.CertificationRequest.load(der)
    info = request["certification_request_info"].dump()
    old, new = core.Integer(0).dump(), core.Integer(version).dump()
    changed = info.replace(old, new, 1)
    signature = request["signature"].native
    return der.replace(info, changed).replace(
        signature, cms.raw_signature(key, changed, digest.name))


def attributes(transaction, message_type="19", nonce=None, replace=None):
    """The SCEP attributes of a request: a list of DER. replace: {name: list of ASN.1 values, or
    None to leave it out}."""
    values = {"transactionID": [core.PrintableString(transaction)],
              "messageType": [core.PrintableString(message_type)],
              "senderNonce": [core.OctetString(nonce or secrets.token_bytes(16))]}
    values |= replace or {}
    return [cms.attribute(OIDS[name], *v) for name, v in values.items() if v is not None]


KEYS = 16
_keys = collections.deque()


@dataclasses.dataclass
class Request:
    """A device that asks for a certificate. The signer is a self-signed certificate of the key."""
    signer: pki.Identity
    transaction: str

    @classmethod
    def make(cls, folder, key=None):
        """With one of a few keys in turn, since making one takes a third of a second."""
        if key is None:
            if len(_keys) < KEYS:
                _keys.append(pki.make_key())
            else:
                _keys.rotate()
            key = _keys[-1]
        return cls(pki.Pki(folder).issue(f"CN={secrets.token_hex(8)}", key=key, bare=True),
                   secrets.token_hex(20).upper())

    @property
    def key(self):
        return self.signer.key

    def message(self, challenge, recipient_file, *, request=None, cipher="aes-128-cbc",
                envelope=None, message_type="19", digest="sha256", nonce=None, replace=None,
                others=(), leave_out=(), bag=None, signers=1, **csr_options):
        """A pkiMessage, DER. Each layer can be given instead of being made: request (the CSR),
        envelope, single attributes (replace)."""
        if envelope is None:
            if request is None:
                request = csr(self.key, challenge, **csr_options)
            envelope = cms.encrypt(request, recipient_file, cipher)
        attrs = cms.signed_attributes(
            envelope, digest, leave_out=leave_out,
            others=[*attributes(self.transaction, message_type, nonce, replace), *others])
        return cms.signed_data(envelope, self.signer, attrs, digest, certificates=bag,
                               signers=signers)

    def open(self, body, ca_file):
        """What a CertRep says, after openssl verified it and opened its envelope."""
        return Reply(body, ca_file, self.signer)


def issuer_and(ca, second):
    """IssuerAndSerialNumber (a number) or IssuerAndSubject (a certificate): what the content of
    GetCert, GetCRL and CertPoll is."""
    issuer = asn1_x509.Certificate.load(ca.der).subject
    part = core.Integer(second) if isinstance(second, int) else asn1_x509.Certificate.load(
        second.der).subject
    return cms.sequence(issuer.dump(), part.dump())


class Reply:
    def __init__(self, der, ca_file, signer, decrypt=cms.decrypt):
        content = cms.verify(der, ca_file).content
        info = asn1_cms.ContentInfo.load(der)["content"]["signer_infos"][0]
        self.attributes = {}
        for attr in info["signed_attrs"]:
            values = core.SetOf.load(attr["values"].dump(), spec=core.Any)
            self.attributes[attr["type"].dotted] = [v.parsed for v in values]
        self.status = self._text("pkiStatus")
        self.fail_info = FAIL_INFO.get(self._text("failInfo"))
        self.transaction = self._text("transactionID")
        self.message_type = self._text("messageType")
        self.recipient_nonce = self._value("recipientNonce", core.OctetString)
        self.sender_nonce = self._value("senderNonce", core.OctetString)
        self.content = content
        self.certificate = self.crl = None
        self.digest = info["digest_algorithm"]["algorithm"].native
        self.cipher = None
        if self.status == SUCCESS:
            bag = decrypt(content, signer)
            self.cipher = cms.envelope_facts(content)[0]
            self.crl = only_crl(bag)
            self.certificate = None if self.crl else only_certificate(bag)

    def _value(self, name, kind):
        values = self.attributes.get(OIDS[name], [])
        if not values:
            return None
        assert len(values) == 1 and isinstance(values[0], kind), f"{name}: {values}"
        return values[0].native

    def _text(self, name):
        return self._value(name, core.PrintableString)


def only_certificate(der):
    """The certificate of a certs-only message that must have no other."""
    signed = asn1_cms.ContentInfo.load(der)["content"]
    assert len(signed["certificates"]) == 1 and not signed["signer_infos"]
    return x509.load_der_x509_certificate(signed["certificates"][0].dump())


def only_crl(der):
    """The list of a SignedData that has nothing else; None if there is none."""
    signed = asn1_cms.ContentInfo.load(der)["content"]
    if not signed["crls"].native:
        return None
    assert len(signed["crls"]) == 1 and not signed["certificates"].native
    assert not signed["signer_infos"]
    return x509.load_der_x509_crl(signed["crls"][0].dump())


def get_url(url, message):
    """PKIOperation by GET, everything escaped as certmonger does it."""
    return f"{url}?operation=PKIOperation&message=" + urllib.parse.quote(
        base64.b64encode(message).decode(), safe="")


# --- clients that we did not write ---------------------------------------------------------------

CERTMONGER = ("/usr/lib/certmonger", "/usr/libexec/certmonger")  # where its helpers are


def strongswan(url, ca, challenge, key_file, folder, cipher="aes", digest="sha256", ok=True,
               ra=None, old=None):
    """strongSwan's pki, over http. ra: who answers in the CA's stead. old: the identity to renew,
    then without a challenge. The certificate, or the failed run."""
    folder = pathlib.Path(folder)
    (folder / "ca.der").write_bytes(ca.der)
    (folder / "ra.der").write_bytes((ra or ca).der)
    command = [paths.program("pki"), "--scep", "--url", url, "--in", key_file, "--dn",
               "C=US, O=Smuggled, CN=not ours", "--cacert-enc", folder / "ra.der", "--cacert-sig",
               folder / "ca.der", "--cipher", cipher, "--digest", digest, "--outform", "pem"]
    if old is not None:
        command += ["--cert", old.cert_file, "--key", old.key_file]
    if challenge is not None:
        command += ["--password", challenge]
    done = run(*command, ok=ok)
    if done.returncode:
        return done
    return x509.load_pem_x509_certificate(done.stdout)


def strongswan_ca(url, folder, ra=False):
    """GetCACert by strongSwan's pki: the CA's DER; with ra, the CA's and the RA's."""
    out, ra_out = pathlib.Path(folder) / "got-ca.der", pathlib.Path(folder) / "got-ra.der"
    run(paths.program("pki"), "--scepca", "--url", url, "--caout", out,
        *(["--raout", ra_out] if ra else []), "-F")
    return (out.read_bytes(), ra_out.read_bytes()) if ra else out.read_bytes()


def scepclient(url, challenge, folder):
    """Debian's scepclient, which knows single DES only. The finished run."""
    return run(paths.program("scepclient"), "-server-url", url, "-challenge", challenge,
               "-private-key", pathlib.Path(folder) / "client.key", "-certificate",
               pathlib.Path(folder) / "client.pem", "-debug", ok=False, cwd=folder)


def certmonger(url, ca_file, operation, message=None, ra_file=None):
    """certmonger's helper, which speaks GET only; it verifies the reply, its nonces and its
    transactionID. ca_file: None to trust what it gets; ra_file: who answers in the CA's stead. Its
    output."""
    helper = paths.program("scep-submit", where=CERTMONGER)
    trusted = ["-r", ra_file or ca_file, "-N", ca_file] if ca_file else []
    command = [helper, "-u", url, *trusted, operation]
    if message is None:
        return run(*command).stdout
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"-----BEGIN PKCS7-----\n" + base64.encodebytes(message)
                   + b"-----END PKCS7-----\n")
        file.flush()
        return run(*command, file.name).stdout


def certmonger_enroll(url, ca_file, message, signer, operation="-p", ra_file=None):
    """The certificate that certmonger's helper got for a ready-made message, PKCSReq (-p) or
    CertPoll (-g)."""
    envelope = certmonger(url, ca_file, operation, message, ra_file)
    body = base64.b64decode(b"".join(envelope.split(b"-----")[2].split()))
    return only_certificate(cms.decrypt(body, signer))


def write_key(folder, key):
    path = pathlib.Path(folder) / f"{secrets.token_hex(4)}.key"
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM,
                                       serialization.PrivateFormat.TraditionalOpenSSL,
                                       serialization.NoEncryption()))
    return path
