# SPDX-License-Identifier: Apache-2.0
"""CMS by the openssl program for what it can make, and asn1crypto for what it would never make."""

import tempfile

from asn1crypto import algos, cms, core
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa, ec

from .process import run


def sign(content, *signers, md="sha1", attributes=True, bag=None, detached=False, extra=()):
    """SignedData by openssl. bag: None for the signers' certificates, else further identities to
    add, or "none" for no certificate at all."""
    command = ["openssl", "cms", "-sign", "-binary", "-outform", "DER", "-md", md]
    command += [] if detached else ["-nodetach"]
    command += [] if attributes else ["-noattr"]
    for signer in signers:
        command += ["-signer", signer.cert_file, "-inkey", signer.key_file]
    if bag == "none":
        command += ["-nocerts"]
        bag = None
    with tempfile.NamedTemporaryFile() as file:
        if bag:
            file.write(b"".join(i.pem for i in bag))
            file.flush()
            command += ["-certfile", file.name]
        return run(*command, *extra, data=content).stdout


class Verified:
    """What openssl says of a SignedData message: content, the signer, every certificate."""

    def __init__(self, content, signer, certificates):
        self.content, self.signer, self.certificates = content, signer, certificates


def verify(der, root_file):
    """Verify a message up to a root with openssl; a failure is an error."""
    with tempfile.NamedTemporaryFile() as signer, tempfile.NamedTemporaryFile() as certs:
        content = run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-CAfile",
                      root_file, "-purpose", "any", "-signer", signer.name, "-certsout", certs.name,
                      data=der).stdout
        return Verified(content, x509.load_pem_x509_certificate(signer.read()), _split(certs.read()))


def _split(pem):
    end = b"-----END CERTIFICATE-----"
    return [x509.load_pem_x509_certificate(part + end)
            for part in pem.split(end)[:-1]]


def decrypt(der, identity):
    return run("openssl", "cms", "-decrypt", "-binary", "-inform", "DER", "-recip",
               identity.cert_file, "-inkey", identity.key_file, data=der).stdout


def encrypt(content, recipient_file, cipher="aes-128-cbc", others=()):
    """EnvelopedData by openssl, for one recipient or more."""
    return run("openssl", "cms", "-encrypt", "-binary", "-outform", "DER", f"-{cipher}",
               "-recip", recipient_file, *others, data=content).stdout


def envelope_facts(der):
    """(cipher, number of recipients, kind of the recipient's identifier, key transport)"""
    info = cms.ContentInfo.load(der)
    assert info["content_type"].native == "enveloped_data"
    data = info["content"]
    recipient = data["recipient_infos"][0].chosen
    return (data["encrypted_content_info"]["content_encryption_algorithm"]["algorithm"].native,
            len(data["recipient_infos"]), recipient["rid"].name,
            recipient["key_encryption_algorithm"]["algorithm"].native)


def certs_only(*identities):
    """A degenerate SignedData, as openssl makes it."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"".join(i.pem for i in identities))
        file.flush()
        return run("openssl", "crl2pkcs7", "-nocrl", "-outform", "DER", "-certfile",
                   file.name).stdout


# --- surgery -----------------------------------------------------------------------------------


def edit(der, change):
    """Load a SignedData message, let change(signed_data) work on it, encode it again."""
    info = cms.ContentInfo.load(der)
    signed = info["content"]
    change(signed)
    return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData({
        name: signed[name] for name in ("version", "digest_algorithms", "encap_content_info",
                                        "certificates", "crls", "signer_infos")
        if signed[name].native is not None})}).dump(force=True)


def edit_content(der, change):
    """Change the attached content and leave everything else, so that the signature breaks."""
    def work(signed):
        octets = signed["encap_content_info"]["content"].native
        signed["encap_content_info"] = {"content_type": signed["encap_content_info"]
                                        ["content_type"].native,
                                        "content": change(octets)}
    return edit(der, work)


def raw_signature(key, data, digest="sha256"):
    algorithm = {"md5": hashes.MD5, "sha1": hashes.SHA1, "sha256": hashes.SHA256,
                 "sha512": hashes.SHA512}[digest]()
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), algorithm)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.sign(data, ec.ECDSA(algorithm))


def digest_of(data, digest="sha256"):
    context = hashes.Hash({"md5": hashes.MD5, "sha1": hashes.SHA1, "sha256": hashes.SHA256,
                           "sha512": hashes.SHA512}[digest]())
    context.update(data)
    return context.finalize()


def attribute(kind, *values):
    """A signed attribute; kind is a name that asn1crypto knows or an OID, values are ASN.1."""
    attr = cms.CMSAttribute({"type": kind})
    # The set is given as it is, so that no value, several, or a wrong type can be had.
    body = b"".join(v.dump() for v in values)
    return core.Sequence.load(_tlv(0x30, attr["type"].dump() + _tlv(0x31, body))).dump()


def sequence(*parts):
    """A SEQUENCE of what is DER already."""
    return _tlv(0x30, b"".join(parts))


def _tlv(tag, body):
    length = len(body)
    if length < 0x80:
        return bytes([tag, length]) + body
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + body


def sequence(*parts):
    """SEQUENCE of what is DER already."""
    return _tlv(0x30, b"".join(parts))


def signed_attributes(content, digest="sha256", content_type="1.2.840.113549.1.7.1", others=(),
                      leave_out=()):
    """The DER of a SET OF attributes with the two that every message must have."""
    attributes = list(others)
    if "content_type" not in leave_out:
        attributes.append(attribute("content_type", core.ObjectIdentifier(content_type)))
    if "message_digest" not in leave_out:
        attributes.append(attribute("message_digest",
                                    core.OctetString(digest_of(content, digest))))
    return _tlv(0x31, b"".join(sorted(attributes)))


def signed_data(content, identity, attributes, digest="sha256", certificates=None, signers=1,
                split=None, crls=b""):
    """SignedData over id-data with exactly these attributes (a DER SET OF), signed for real. split:
    the content is a constructed octet string, cut there, as BER allows."""
    cert = asn1_x509.Certificate.load(identity.der)
    rsa_key = isinstance(identity.key, rsa.RSAPrivateKey)
    algorithm = algos.SignedDigestAlgorithm({
        "algorithm": "rsassa_pkcs1v15" if rsa_key else f"{digest}_ecdsa"})
    signer = _tlv(0x30, b"".join((
        core.Integer(1).dump(),
        cms.IssuerAndSerialNumber({"issuer": cert.issuer,
                                   "serial_number": cert.serial_number}).dump(),
        algos.DigestAlgorithm({"algorithm": digest}).dump(),
        b"\xa0" + attributes[1:],
        algorithm.dump(),
        core.OctetString(raw_signature(identity.key, attributes, digest)).dump())))
    bag = [identity] if certificates is None else certificates
    octets = core.OctetString(content).dump() if split is None else _tlv(
        0x24, _tlv(4, content[:split]) + _tlv(4, content[split:]))
    body = _tlv(0x30, b"".join((
        core.Integer(1).dump(),
        _tlv(0x31, algos.DigestAlgorithm({"algorithm": digest}).dump()),
        _tlv(0x30, core.ObjectIdentifier("1.2.840.113549.1.7.1").dump()
             + (_tlv(0xa0, octets) if content is not None else b"")),
        _tlv(0xa0, b"".join(i.der for i in bag)) if bag else b"",
        _tlv(0xa1, crls) if crls else b"",
        _tlv(0x31, signer * signers))))
    return _tlv(0x30, core.ObjectIdentifier("1.2.840.113549.1.7.2").dump() + _tlv(0xa0, body))


def enveloped_data(recipient, cipher_oid, iv, encrypted, wrapped_key):
    """EnvelopedData over id-data with any cipher; RSA PKCS#1 v1.5 key transport."""
    cert = asn1_x509.Certificate.load(recipient.der)
    ktri = _tlv(0x30, b"".join((
        core.Integer(0).dump(),
        cms.IssuerAndSerialNumber({"issuer": cert.issuer,
                                   "serial_number": cert.serial_number}).dump(),
        _tlv(0x30, core.ObjectIdentifier("1.2.840.113549.1.1.1").dump() + core.Null().dump()),
        core.OctetString(wrapped_key).dump())))
    body = _tlv(0x30, b"".join((
        core.Integer(0).dump(),
        _tlv(0x31, ktri),
        _tlv(0x30, core.ObjectIdentifier("1.2.840.113549.1.7.1").dump()
             + _tlv(0x30, core.ObjectIdentifier(cipher_oid).dump() + core.OctetString(iv).dump())
             + _tlv(0x80, encrypted)))))
    return _tlv(0x30, core.ObjectIdentifier("1.2.840.113549.1.7.3").dump() + _tlv(0xa0, body))


def nested_ber(size):
    """Constructed octet strings of indefinite length, one within the other."""
    return (b"\x24\x80" * (size // 2 + 1))[:size]
