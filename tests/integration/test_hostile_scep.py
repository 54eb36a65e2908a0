# SPDX-License-Identifier: Apache-2.0
"""What nobody may send to the scep endpoint: a CertRep FAILURE with the right failInfo where the
message can be answered, an HTTP status where it cannot; no certificate, no row changed."""

import base64
import os
import time

import pytest
from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.asymmetric import padding as rsa_padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.x509.oid import ExtensionOID, ExtendedKeyUsageOID

from harness import cms, pki, scep
from harness.database import unchanged
from harness.http import curl
from harness.site import DEVICE, SCEP

LIMIT = 32 * 1024  # bytes of a pkiMessage
LIFETIME = 1  # seconds for the next step, on short.test


@pytest.fixture(scope="module")
def hosts(world):
    site = world.make_site("hostile-scep", vhosts=lambda s: s.default_vhosts() + s.tls_vhost(
        "short.test", f"MDMEnrollLifetime {LIFETIME}s\n")).start()
    yield site
    site.stop()


class Kit:
    """A live challenge, and a request that would be granted."""

    def __init__(self, site):
        self.site, self.world = site, site.world
        self.walk = site.walk().offer().identify()
        self.challenge = self.walk.scep_challenge
        self.ca_file = site.world.site.ca.cert_file
        self.request = self.walk.request()
        self.key = self.request.key

    def message(self, challenge=None, **options):
        return self.request.message(self.challenge if challenge is None else challenge,
                                    self.ca_file, **options)

    def csr(self, **options):
        return scep.csr(self.key, self.challenge, **options)


@pytest.fixture(scope="module")
def kit(hosts):
    return Kit(hosts)


def flip(der, at=-1):
    octets = bytearray(der)
    octets[at] ^= 1
    return bytes(octets)


def single_des(kit):
    """Triple DES with one key three times is single DES."""
    key = os.urandom(8)
    iv = os.urandom(8)
    made = algorithms.TripleDES(key * 3)
    padder = padding.PKCS7(64).padder()
    encryptor = Cipher(made, modes.CBC(iv)).encryptor()
    encrypted = (encryptor.update(padder.update(kit.csr()) + padder.finalize())
                 + encryptor.finalize())
    wrapped = kit.world.site.ca.key.public_key().encrypt(key, rsa_padding.PKCS1v15())
    return cms.enveloped_data(kit.world.site.ca, "1.3.14.3.2.7", iv, encrypted, wrapped)


def other_recipient(kit):
    return cms.encrypt(kit.csr(), kit.world.site.root.cert_file)


def damaged_ciphertext(kit):
    """In the last block but one, so that the padding, and not what is random, is wrong."""
    return flip(cms.encrypt(kit.csr(), kit.ca_file), -17)


def costly_key_in_pieces(kit):
    """A certificate in the content, whose bytes come in two pieces, cut within the tell-tale: only
    the whole shows what it is."""
    content = cms.signed_data(b"x", kit.request.signer, cms.signed_attributes(b"x"),
                              certificates=[kit.request.signer, pki.Costly()])
    attributes = cms.signed_attributes(content, others=scep.attributes(kit.request.transaction))
    return cms.signed_data(content, kit.request.signer, attributes,
                           split=content.index(bytes.fromhex("2a8648ce3d01")) + 3)


def printable(text):
    return [core.PrintableString(text)]


BAD_ALG, BAD_CHECK, BAD_REQUEST = "badAlg", "badMessageCheck", "badRequest"

# name: (maker, failInfo, message)
FAILURES = {
    "unknown challenge": (lambda k: k.message("A" * 43), BAD_REQUEST, "CHALLENGE_UNKNOWN"),
    "no challenge": (lambda k: k.message(request=scep.csr(k.key)), BAD_REQUEST, "SCEP_REQUEST"),
    "SQL as challenge": (lambda k: k.message("' OR '1'='1"), BAD_REQUEST, "CHALLENGE_UNKNOWN"),
    "a long challenge": (lambda k: k.message("x" * 300), BAD_REQUEST, "SCEP_REQUEST"),
    "messageType 0": (lambda k: k.message(message_type="0"), BAD_REQUEST, "SCEP_MESSAGE_TYPE"),
    "messageType 3, a CertRep": (lambda k: k.message(message_type="3"), BAD_REQUEST,
                                 "SCEP_MESSAGE_TYPE"),
    "messageType 18, an update": (lambda k: k.message(message_type="18"), BAD_REQUEST,
                                  "SCEP_MESSAGE_TYPE"),
    "messageType 019": (lambda k: k.message(message_type="019"), BAD_REQUEST, "SCEP_MESSAGE_TYPE"),
    "messageType text": (lambda k: k.message(message_type="PKCSReq"), BAD_REQUEST,
                         "SCEP_MESSAGE_TYPE"),
    "single DES": (lambda k: k.message(envelope=single_des(k)), BAD_ALG, "SCEP_ALGORITHM"),
    "triple DES": (lambda k: k.message(cipher="des3"), BAD_ALG, "SCEP_ALGORITHM"),
    "MD5": (lambda k: k.message(digest="md5"), BAD_ALG, "SCEP_ALGORITHM"),
    "SHA-1": (lambda k: k.message(digest="sha1"), BAD_ALG, "SCEP_ALGORITHM"),
    "request signed with MD5": (
        lambda k: k.message(request=k.csr(digest=hashes.MD5())), BAD_ALG, "SCEP_ALGORITHM"),
    "outer signature altered": (
        lambda k: flip(k.message()), BAD_CHECK, "SCEP_SIGNATURE"),
    "content altered": (
        lambda k: cms.edit_content(k.message(), lambda c: c[:-1] + bytes([c[-1] ^ 1])), BAD_CHECK,
        "SCEP_SIGNATURE"),
    "digest of another content": (lambda k: cms.signed_data(
        cms.encrypt(k.csr(), k.ca_file), k.request.signer, cms.signed_attributes(
            b"another", others=scep.attributes(k.request.transaction))), BAD_CHECK,
        "SCEP_SIGNATURE"),
    "envelope for another": (lambda k: k.message(envelope=other_recipient(k)), BAD_CHECK,
                             "SCEP_DECRYPT"),
    "ciphertext altered": (lambda k: k.message(envelope=damaged_ciphertext(k)), BAD_CHECK,
                           "SCEP_DECRYPT"),
    "no envelope": (lambda k: k.message(envelope=k.csr()), BAD_CHECK, "SCEP_DECRYPT"),
    "empty content": (lambda k: k.message(envelope=b""), BAD_CHECK, "SCEP_DECRYPT"),
    "a request within a SignedData": (lambda k: k.message(
        envelope=cms.sign(k.csr(), k.request.signer, md="sha256")), BAD_CHECK, "SCEP_DECRYPT"),
    "no request inside": (lambda k: k.message(request=b"hello"), BAD_CHECK, "SCEP_PROOF"),
    "a byte behind the request": (lambda k: k.message(request=k.csr() + b"\x00"), BAD_CHECK,
                                  "SCEP_PROOF"),
    "request signature altered": (lambda k: k.message(request=flip(k.csr())), BAD_CHECK,
                                  "SCEP_PROOF"),
    "request of another key": (lambda k: k.message(
        request=scep.csr(pki.make_key(), k.challenge)), BAD_CHECK, "SCEP_PROOF"),
}

# name: (maker, status, message)
REJECTED = {
    "empty body": (lambda k: b"", 400, "HTTP_BODY_EMPTY"),
    "junk": (lambda k: os.urandom(500), 400, "SCEP_MESSAGE"),
    "truncated": (lambda k: k.message()[:-1], 400, "SCEP_MESSAGE"),
    "a byte behind": (lambda k: k.message() + b"\x00", 400, "SCEP_MESSAGE"),
    "an envelope alone": (lambda k: cms.encrypt(k.csr(), k.ca_file), 400, "SCEP_MESSAGE"),
    "certificates only": (lambda k: cms.certs_only(k.request.signer), 400, "SCEP_MESSAGE"),
    "two signers": (lambda k: k.message(signers=2), 400, "SCEP_MESSAGE"),
    "no signer": (lambda k: k.message(signers=0), 400, "SCEP_MESSAGE"),
    "no certificate": (lambda k: k.message(bag=[]), 400, "SCEP_MESSAGE"),
    "another certificate": (lambda k: k.message(bag=[k.world.site.root]), 400, "SCEP_MESSAGE"),
    "five certificates": (lambda k: k.message(bag=[k.request.signer] + [
        scep.Request.make(k.world.scratch).signer for _ in range(4)]), 400, "SCEP_MESSAGE"),
    "a curve of one's own": (lambda k: k.message(bag=[k.request.signer, pki.Costly()]), 400,
                             "SCEP_MESSAGE"),
    "five EC keys": (lambda k: k.message(bag=[k.request.signer] + [
        scep.Request.make(k.world.scratch, "p256").signer for _ in range(5)]), 400,
        "SCEP_MESSAGE"),
    "10,000 empty certificates": (lambda k: k.message(
        bag=[k.request.signer] + [pki.Empty()] * 10000), 400, "SCEP_MESSAGE"),
    "nested BER": (lambda k: cms.nested_ber(30000), 400, "SCEP_MESSAGE"),
    "no signed attributes": (lambda k: cms.sign(cms.encrypt(k.csr(), k.ca_file), k.request.signer,
                                                md="sha256", attributes=False), 400,
                             "SCEP_ATTRIBUTES"),
    "no SCEP attributes": (lambda k: cms.sign(cms.encrypt(k.csr(), k.ca_file), k.request.signer,
                                              md="sha256"), 400, "SCEP_ATTRIBUTES"),
    "no transactionID": (lambda k: k.message(replace={"transactionID": None}), 400,
                         "SCEP_ATTRIBUTES"),
    "two transactionIDs": (lambda k: k.message(replace={
        "transactionID": printable("A") + printable("B")}), 400, "SCEP_ATTRIBUTES"),
    "transactionID as UTF8String": (lambda k: k.message(replace={
        "transactionID": [core.UTF8String("A")]}), 400, "SCEP_ATTRIBUTES"),
    "empty transactionID": (lambda k: k.message(replace={"transactionID": printable("")}), 400,
                            "SCEP_ATTRIBUTES"),
    "no messageType": (lambda k: k.message(replace={"messageType": None}), 400,
                       "SCEP_ATTRIBUTES"),
    "messageType as INTEGER": (lambda k: k.message(replace={"messageType": [core.Integer(19)]}),
                               400, "SCEP_ATTRIBUTES"),
    "no senderNonce": (lambda k: k.message(replace={"senderNonce": None}), 400,
                       "SCEP_ATTRIBUTES"),
    "senderNonce of 8 octets": (lambda k: k.message(nonce=b"12345678"), 400, "SCEP_ATTRIBUTES"),
    "no messageDigest": (lambda k: k.message(leave_out=["message_digest"]), 400,
                         "SCEP_ATTRIBUTES"),
    "no contentType": (lambda k: k.message(leave_out=["content_type"]), 400, "SCEP_ATTRIBUTES"),
    "too large": (lambda k: cms.nested_ber(LIMIT + 1), 413, "HTTP_BODY_TOO_LARGE"),
}


def failure(site, request, message, fail_info, name):
    """The message is answered by a FAILURE that a client can verify."""
    site.expect(name)
    with unchanged(site.database):
        response = site.post_scep(message)
        assert (response.status, response.type) == (200, "application/x-pki-message")
    reply = request.open(response.body, site.world.site.ca.cert_file)
    assert (reply.status, reply.fail_info) == (scep.FAILURE, fail_info)
    assert (reply.message_type, reply.transaction) == ("3", request.transaction)
    assert reply.content == b"" and reply.certificate is None


@pytest.mark.parametrize("name", FAILURES)
def test_failure(hosts, kit, name):
    maker, fail_info, message = FAILURES[name]
    failure(hosts, kit.request, maker(kit), fail_info, message)


def test_key_in_pieces(hosts, kit):
    failure(hosts, kit.request, costly_key_in_pieces(kit), BAD_CHECK, "SCEP_DECRYPT")
    assert "not exactly one EnvelopedData" in hosts.log.text()


def test_challenge_of_the_device(hosts, kit):
    challenge = hosts.walk().offer().challenge
    failure(hosts, kit.request, kit.message(challenge), BAD_REQUEST, "SCEP_CHALLENGE")


@pytest.mark.parametrize("kind, message", [("rsa1024", "SCEP_KEY"), ("p256", "SCEP_KEY")])
def test_key(hosts, kit, kind, message):
    request = scep.Request.make(hosts.world.scratch, kind)
    failure(hosts, request, request.message(kit.challenge, kit.ca_file), BAD_ALG, message)


@pytest.mark.parametrize("name", REJECTED)
def test_rejected(hosts, kit, name):
    maker, status, message = REJECTED[name]
    body = maker(kit)
    hosts.expect(message)
    with unchanged(hosts.database):
        assert hosts.post_scep(body).status == status
    if "empty certificates" in name:
        assert "the certificates are not decoded" in hosts.log.text()


def test_the_challenge_lives_after_all_that(hosts, kit):
    reply = kit.request.open(hosts.post_scep(kit.message()).body, kit.ca_file)
    assert reply.status == scep.SUCCESS


# --- spent, foreign, late ------------------------------------------------------------------------


@pytest.mark.parametrize("purpose", ["identity", "mdm"])
def test_spent_challenge_with_another_key(hosts, purpose):
    walk = hosts.walk().offer().identify().certify()
    if purpose == "mdm":
        walk.deliver().certify()
    ca_file = hosts.world.site.ca.cert_file
    first = walk.identity.cert
    for _ in range(2):  # a device whose replies are lost: what it was issued before ends
        walk.certify()
    assert revocations(hosts, walk) == {first: "4", walk.identity.cert: "0"} | {
        cert: "4" for cert in revocations(hosts, walk) if cert not in (first, walk.identity.cert)}
    request = walk.request()
    failure(hosts, request, request.message(walk.scep_challenge, ca_file), BAD_REQUEST,
            "SCEP_CHALLENGE")
    if purpose == "identity":
        walk.deliver()


def revocations(site, walk):
    """{certificate: reason} of the certificates with the purpose of the one at hand."""
    serial = f"{walk.identity.cert.serial_number:x}"
    rows = site.database.query(
        "SELECT der, revocation_reason FROM certificate WHERE (enrollment, purpose) = (SELECT "
        f"enrollment, purpose FROM certificate WHERE serial = '{serial}')")
    return {x509.load_der_x509_certificate(base64.b64decode(der)): reason for der, reason in rows}


def test_same_transaction_with_another_request(hosts):
    """Not a retransmission: another request, which its challenge allows so often and no more."""
    kit = Kit(hosts)
    got = [kit.request.open(hosts.post_scep(kit.message(subject=f"CN={n}")).body, kit.ca_file)
           for n in range(3)]
    assert {r.status for r in got} == {scep.SUCCESS}
    assert len({r.certificate for r in got}) == 3
    failure(hosts, kit.request, kit.message(subject="O=Another, CN=request"), BAD_REQUEST,
            "SCEP_CHALLENGE")


def test_identity_challenge_after_delivery(hosts):
    walk = hosts.walk().offer().identify()
    old = walk.scep_challenge
    walk.certify().deliver()
    request = walk.request()
    failure(hosts, request, request.message(old, hosts.world.site.ca.cert_file), BAD_REQUEST,
            "ENROLLMENT_STATE")
    walk.certify()


def test_expired_challenge(hosts):
    walk = hosts.walk().offer()
    walk.device_url = hosts.url(DEVICE, "short.test")
    walk.identify()
    request = walk.request()
    time.sleep(LIFETIME + 0.1)
    failure(hosts, request, request.message(walk.scep_challenge,
                                            hosts.world.site.ca.cert_file), BAD_REQUEST,
            "CHALLENGE_EXPIRED")


def test_scepclient_knows_single_des_only(hosts, tmp_path):
    """A clean FAILURE is what such a client gets."""
    walk = hosts.walk().offer().identify()
    hosts.expect("SCEP_ALGORITHM")
    with unchanged(hosts.database):
        done = scep.scepclient(hosts.plain_url(SCEP), walk.scep_challenge, tmp_path)
    assert done.returncode != 0
    assert b"badAlg" in done.stdout + done.stderr or b"BadAlg" in done.stdout + done.stderr


# --- smuggled ------------------------------------------------------------------------------------


SMUGGLED = {
    "CA flag": (x509.BasicConstraints(True, None), True),
    "names": (x509.SubjectAlternativeName([x509.DNSName("www.example.com"),
                                           x509.UniformResourceIdentifier("urn:mdm-enroll:0")]),
              False),
    "server authentication": (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH,
                                                     ExtendedKeyUsageOID.CODE_SIGNING]), True),
    "unknown critical extension": (pki.unknown_extension(), True),
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_smuggled_extension(hosts, name):
    """The request is granted, and nothing of it but the key is in the certificate."""
    walk = hosts.walk().offer().identify()
    request = walk.request()
    ca = hosts.world.site.ca
    message = request.message(walk.scep_challenge, ca.cert_file, extensions=[SMUGGLED[name]],
                              subject="O=Test, CN=Test Enrollment CA")
    cert = request.open(hosts.post_scep(message).body, ca.cert_file).certificate
    wanted = {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE,
              ExtensionOID.EXTENDED_KEY_USAGE, ExtensionOID.SUBJECT_KEY_IDENTIFIER,
              ExtensionOID.AUTHORITY_KEY_IDENTIFIER, ExtensionOID.SUBJECT_ALTERNATIVE_NAME}
    assert {e.oid for e in cert.extensions} == wanted
    value = {oid: cert.extensions.get_extension_for_oid(oid).value for oid in wanted}
    assert not value[ExtensionOID.BASIC_CONSTRAINTS].ca
    assert not value[ExtensionOID.KEY_USAGE].key_cert_sign
    assert list(value[ExtensionOID.EXTENDED_KEY_USAGE]) == [ExtendedKeyUsageOID.CLIENT_AUTH]
    (uri,) = value[ExtensionOID.SUBJECT_ALTERNATIVE_NAME]
    assert len(uri.value) == len("urn:mdm-enroll:") + 32
    assert cert.subject != ca.cert.subject
    assert cert.public_key().public_numbers() == request.key.public_key().public_numbers()


# --- HTTP ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "?operation=", "?operation=GetCACert2",
                                   "?operation=getcacert", "?operation=GetNextCACert",
                                   "?message=x"])
def test_unknown_operation(hosts, query):
    hosts.expect("SCEP_OPERATION")
    with unchanged(hosts.database):
        assert curl(hosts.plain_url(SCEP) + query).status == 400


@pytest.mark.parametrize("message", ["", "&message=", "&message=%%%", "&message=AAAA",
                                     "&message=!!!!", "&message=%4"])
def test_bad_message_by_get(hosts, message):
    hosts.expect("SCEP_MESSAGE")
    with unchanged(hosts.database):
        assert curl(hosts.plain_url(SCEP) + "?operation=PKIOperation" + message).status == 400


def test_post_without_operation(hosts):
    """Tolerated (RFC 8894 section 4.1 has it in the query): old clients."""
    walk = hosts.walk().offer().identify()
    request = walk.request()
    response = hosts.curl(SCEP, data=request.message(walk.scep_challenge,
                                                     hosts.world.site.ca.cert_file))
    assert request.open(response.body, hosts.world.site.ca.cert_file).status == scep.SUCCESS


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_other_methods(hosts, method):
    hosts.expect("HTTP_METHOD")
    with unchanged(hosts.database):
        response = hosts.curl(SCEP + "?operation=GetCACaps", "--request", method)
    assert response.status == 405
    assert "POST" in response.headers["allow"]


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
@pytest.mark.parametrize("size", [LIMIT + 1, 1000000])
def test_body_too_large(hosts, http2, size):
    hosts.expect("HTTP_BODY_TOO_LARGE")
    with unchanged(hosts.database):
        assert hosts.curl(SCEP + "?operation=PKIOperation", stream=cms.nested_ber(size),
                          http2=http2).status == 413
