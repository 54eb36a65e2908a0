# SPDX-License-Identifier: Apache-2.0
"""What nobody may send to the device endpoint: each message gets the documented status and message
id, changes no row, and leaves no line in the log but its own."""

import plistlib
import time

import pytest
from asn1crypto import core
from cryptography.hazmat.primitives import hashes

from harness import cms, device, pki
from harness.database import unchanged
from harness.site import DEVICE, ID, SCEP

LIMIT = 64 * 1024  # bytes of a device message
LIFETIME = 1  # seconds for the next step, on short.test


def hosts_of(site):
    """short.test gives a device one second for the next step; deny.test knows a bad leaf."""
    return (site.default_vhosts() +
            site.tls_vhost("short.test", f"MDMEnrollLifetime {LIFETIME}s\n") +
            site.tls_vhost("deny.test",
                           f"MDMEnrollDenyCertificate {site.world.leaf.fingerprint}\n"))


@pytest.fixture(scope="module")
def hosts(world):
    site = world.make_site("hostile", vhosts=hosts_of).start()
    yield site
    site.stop()


class Kit:
    """What the makers of hostile messages work with: an enrollment that waits for phase 2, with a
    live challenge. As no message may change a row, all of them share it."""

    def __init__(self, site):
        self.site, self.world = site, site.world
        self.walk = site.walk().offer()
        self.device, self.leaf = self.walk.device, self.walk.device.identity
        self.maker, self.ca = self.world.maker, self.world.device_ca
        self.other = device.make_leaf(self.maker, self.ca)

    @property
    def content(self):
        return self.device.plist(self.walk.challenge)

    def good(self, **options):
        return self.walk.phase2_message(**options)

    def signed(self, content, **options):
        """Another content, signed in order."""
        return cms.sign(content, self.leaf, **options)

    def with_attributes(self, digest="sha1", **options):
        content = self.content
        return cms.signed_data(content, self.leaf,
                               cms.signed_attributes(content, digest, **options), digest)

    def by(self, signer, **options):
        return self.good(signer=signer, **options)

    def leaf_of(self, issuer=None, **options):
        return device.make_leaf(self.maker, issuer or self.ca, **options)

    def xml(self, body, doctype=""):
        return (f'<?xml version="1.0" encoding="UTF-8"?>\n{doctype}<plist version="1.0">{body}'
                "</plist>\n").encode()

    def dictionary(self, extra, **options):
        """A message that is in order but for one more entry."""
        keys = "".join(f"<key>{k}</key><string>{v}</string>" for k, v in
                       (("UDID", self.device.udid), ("SERIAL", self.device.serial),
                        ("CHALLENGE", self.walk.challenge)))
        return self.signed(self.xml(f"<dict>{keys}{extra}</dict>", **options))


@pytest.fixture(scope="module")
def kit(hosts):
    return Kit(hosts)


def two_signers_twice_the_same(kit):
    return cms.edit(kit.good(), lambda signed: signed["signer_infos"].append(
        signed["signer_infos"][0].copy()))


def wrong_signature(kit):
    def work(signed):
        info = signed["signer_infos"][0]
        octets = bytearray(info["signature"].native)
        octets[-1] ^= 1
        info["signature"] = bytes(octets)
    return cms.edit(kit.good(), work)


def leaf_by_leaf(kit):
    issuer = kit.leaf_of(key="rsa2048", digest=hashes.SHA256())
    return kit.by(kit.leaf_of(issuer), bag=[issuer, kit.ca])


def rogue(kit):
    """A CA with the names of the true one and a key of its own."""
    ca = device.make_ca(kit.maker)
    return kit.by(kit.leaf_of(ca), bag=[ca])


def rogue_apple(kit):
    ca = device.make_ca(kit.maker, device.APPLE_CA_NAME)
    return kit.by(kit.leaf_of(ca), bag=[ca])


def enveloped(kit):
    return cms.encrypt(kit.content, kit.leaf.cert_file)


def many_certificates(kit):
    return kit.good(bag=[kit.leaf_of() for _ in range(9)])


def costly_keys(kit, count):
    """Each of them would take OpenSSL half a second to decode."""
    return cms.signed_data(kit.content, kit.leaf, cms.signed_attributes(kit.content, "sha1"),
                           "sha1", certificates=[kit.leaf, *map(pki.Costly, range(count))])


def many_ec_certificates(kit):
    """EC keys are counted before they are decoded."""
    return kit.good(bag=[kit.leaf_of(key="p256", digest=hashes.SHA256()) for _ in range(9)])


def many_empty_certificates(kit):
    """Who counts them first never learns that they are none."""
    return cms.signed_data(kit.content, kit.leaf, cms.signed_attributes(kit.content, "sha1"),
                           "sha1", certificates=[kit.leaf] + [pki.Empty()] * 20000)


def with_a_crl(kit):
    """Nobody asks for one; this one could not be decoded either."""
    return cms.signed_data(kit.content, kit.leaf, cms.signed_attributes(kit.content, "sha1"),
                           "sha1", crls=pki.Empty.der)


def bomb(kit):
    """Ten entities, each ten times the one before."""
    entities = '<!ENTITY a0 "lol">' + "".join(
        f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    return kit.dictionary("<key>X</key><string>&a9;</string>",
                          doctype=f"<!DOCTYPE plist [{entities}]>")


def outside_entity(kit):
    return kit.dictionary("<key>X</key><string>&x;</string>",
                          doctype='<!DOCTYPE plist [<!ENTITY x SYSTEM "file:///etc/passwd">]>')


def deep(kit, tag, levels=2000):
    inner = "<key>k</key>" if tag == "dict" else ""
    return kit.dictionary(f"<key>X</key>{f'<{tag}>{inner}' * levels}<true/>{f'</{tag}>' * levels}")


def plist_without(kit, *keys, **changes):
    return kit.signed(kit.device.plist(kit.walk.challenge, without=keys, **changes))


# name: (maker, status, message)
HOSTILE = {
    # not a message, or more than one
    "empty body": (lambda k: b"", 400, "HTTP_BODY_EMPTY"),
    "junk": (lambda k: b"\x00" * 100, 400, "CMS_DECODE"),
    "a property list without signature": (lambda k: k.content, 400, "CMS_DECODE"),
    "PEM": (lambda k: cms.sign(k.content, k.leaf, extra=["-outform", "PEM"]), 400, "CMS_DECODE"),
    "truncated by one byte": (lambda k: k.good()[:-1], 400, "CMS_DECODE"),
    "truncated in the middle": (lambda k: k.good()[:len(k.good()) // 2], 400, "CMS_DECODE"),
    "one byte behind": (lambda k: k.good() + b"\x00", 400, "CMS_TRAILING"),
    "two messages": (lambda k: k.good() * 2, 400, "CMS_TRAILING"),
    "nested BER below the limit": (lambda k: cms.nested_ber(60000), 400, "CMS_DECODE"),
    "enveloped": (enveloped, 400, "CMS_CONTENT_TYPE"),
    "certificates only": (lambda k: cms.certs_only(k.leaf), 400, "CMS_DETACHED"),
    "nine more certificates": (many_certificates, 400, "CMS_CERTIFICATES"),
    "nine certificates of EC keys": (many_ec_certificates, 400, "CMS_CERTIFICATES"),
    "a CRL": (with_a_crl, 400, "CMS_CERTIFICATES"),
    "20,000 empty certificates": (many_empty_certificates, 400, "CMS_CERTIFICATES"),
    "a curve of one's own": (lambda k: costly_keys(k, 1), 400, "CMS_CERTIFICATES"),
    # content
    "another content type": (lambda k: k.good(extra=["-econtent_type",
                                                     "1.2.840.113549.1.9.16.1.4"]), 400,
                             "CMS_CONTENT_TYPE"),
    "detached": (lambda k: cms.sign(k.content, k.leaf, detached=True), 400, "CMS_DETACHED"),
    # signers
    "two signers": (lambda k: cms.sign(k.content, k.leaf, k.other), 400, "CMS_SIGNERS"),
    "the same signer twice": (two_signers_twice_the_same, 400, "CMS_SIGNERS"),
    "signer not in the bag": (lambda k: k.good(bag="none"), 400, "CMS_SIGNER_CERTIFICATE"),
    "another certificate in the bag": (
        lambda k: cms.signed_data(k.content, k.leaf, cms.signed_attributes(k.content, "sha1"),
                                  "sha1", certificates=[k.other]), 400, "CMS_SIGNER_CERTIFICATE"),
    # who signed
    "rogue CA of the same name": (rogue, 403, "SIGNER_UNKNOWN_ISSUER"),
    "rogue CA of Apple's name": (rogue_apple, 403, "SIGNER_UNKNOWN_ISSUER"),
    "issued by a leaf": (leaf_by_leaf, 403, "SIGNER_UNKNOWN_ISSUER"),
    "self-made": (lambda k: k.by(k.maker.issue("O=Test Inc., CN=self-made")), 403,
                  "SIGNER_UNKNOWN_ISSUER"),
    "the CA itself": (lambda k: k.by(k.ca), 400, "SIGNER_IS_CA"),
    "a leaf that says CA": (lambda k: k.by(k.leaf_of(ca=True)), 400, "SIGNER_IS_CA"),
    "unknown critical extension": (
        lambda k: k.by(k.leaf_of(extensions=[(pki.unknown_extension(), True)])), 400,
        "SIGNER_CERTIFICATE"),
    "certificate signed with MD5": (lambda k: k.by(k.leaf_of(digest=hashes.MD5())), 400,
                                    "SIGNER_CERTIFICATE"),
    "RSA-512": (lambda k: k.by(k.leaf_of(key="rsa512")), 400, "SIGNER_KEY"),
    # the signature
    "MD5": (lambda k: k.good(md="md5"), 400, "CMS_ALGORITHM"),
    "altered with signed attributes": (lambda k: cms.edit_content(
        k.good(), lambda c: c.replace(b"iPhone17,2", b"iPhone17,1")), 400, "CMS_SIGNATURE"),
    "altered without signed attributes": (lambda k: cms.edit_content(
        k.good(attributes=False), lambda c: c.replace(b"iPhone17,2", b"iPhone17,1")), 400,
        "CMS_SIGNATURE"),
    "altered signature": (wrong_signature, 400, "CMS_SIGNATURE"),
    "digest of another content": (lambda k: cms.signed_data(
        k.content, k.leaf, cms.signed_attributes(b"another", "sha1"), "sha1"), 400,
        "CMS_SIGNATURE"),
    "attributes without a digest": (lambda k: k.with_attributes(leave_out=["message_digest"]), 400,
                                    "CMS_SIGNATURE"),
    "attributes without a content type": (lambda k: k.with_attributes(leave_out=["content_type"]),
                                          400, "CMS_SIGNATURE"),
    "attributes of another content type": (
        lambda k: k.with_attributes(content_type="1.2.840.113549.1.9.16.1.4"), 400,
        "CMS_SIGNATURE"),
    "two digests": (lambda k: k.with_attributes(
        others=[cms.attribute("message_digest", core.OctetString(b"x" * 20))]), 400,
        "CMS_SIGNATURE"),
    # the property list
    "no content": (lambda k: k.signed(b" "), 400, "PLIST_FORMAT"),
    "binary property list": (lambda k: k.signed(plistlib.dumps(
        k.device.attributes | {"CHALLENGE": k.walk.challenge}, fmt=plistlib.FMT_BINARY)), 400,
        "PLIST_FORMAT"),
    "JSON": (lambda k: k.signed(b'{"UDID": "x"}'), 400, "PLIST_FORMAT"),
    "cut property list": (lambda k: k.signed(k.content[:-20]), 400, "PLIST_FORMAT"),
    "entity bomb": (bomb, 400, "PLIST_FORMAT"),
    "outside entity": (outside_entity, 400, "PLIST_FORMAT"),
    "deep arrays": (lambda k: deep(k, "array"), 400, "PLIST_STRUCTURE"),
    "deep dictionaries": (lambda k: deep(k, "dict"), 400, "PLIST_STRUCTURE"),
    "an array as value": (lambda k: k.dictionary("<key>X</key><array/>"), 400, "PLIST_STRUCTURE"),
    "a dictionary as value": (lambda k: k.dictionary("<key>X</key><dict/>"), 400,
                              "PLIST_STRUCTURE"),
    "an array on top": (lambda k: k.signed(plistlib.dumps([k.device.attributes])), 400,
                        "PLIST_STRUCTURE"),
    "a string on top": (lambda k: k.signed(plistlib.dumps("UDID")), 400, "PLIST_STRUCTURE"),
    "a challenge of 600 bytes": (lambda k: k.signed(k.device.plist("x" * 600)), 400, "PLIST_VALUE"),
    # what the device says
    "no UDID": (lambda k: plist_without(k, "UDID"), 403, "DEVICE_IDENTITY_MISSING"),
    "empty UDID": (lambda k: plist_without(k, UDID=""), 403, "DEVICE_IDENTITY_MISSING"),
    "UDID with blanks": (lambda k: plist_without(k, UDID="a b"), 403, "DEVICE_IDENTITY_MISSING"),
    "UDID beyond ASCII": (lambda k: plist_without(k, UDID="äöü"), 403, "DEVICE_IDENTITY_MISSING"),
    "UDID of 65 bytes": (lambda k: plist_without(k, UDID="A" * 65), 403,
                         "DEVICE_IDENTITY_MISSING"),
    "no SERIAL": (lambda k: plist_without(k, "SERIAL"), 403, "DEVICE_IDENTITY_MISSING"),
    "empty SERIAL": (lambda k: plist_without(k, SERIAL=""), 403, "DEVICE_IDENTITY_MISSING"),
    "no CHALLENGE": (lambda k: k.signed(k.device.plist()), 403, "CHALLENGE_MISSING"),
    "empty CHALLENGE": (lambda k: k.signed(k.device.plist("")), 403, "CHALLENGE_MISSING"),
    "wrong CHALLENGE": (lambda k: k.signed(k.device.plist("A" * 43)), 403, "CHALLENGE_UNKNOWN"),
    "almost the CHALLENGE": (lambda k: k.signed(k.device.plist(k.walk.challenge[:-1])), 403,
                             "CHALLENGE_UNKNOWN"),
    "CHALLENGE in other letters": (lambda k: k.signed(k.device.plist(k.walk.challenge.swapcase())),
                                   403, "CHALLENGE_UNKNOWN"),
    "an SQL CHALLENGE": (lambda k: k.signed(k.device.plist("' OR '1'='1")), 403,
                         "CHALLENGE_UNKNOWN"),
}


def refused(site, response, status, message):
    assert response.status == status, response.body
    if status == 403:
        assert response.type == "application/json"
        answer = response.json()
        assert answer["code"] == ID[message] and answer["message"]
    assert b"MDMEnroll" not in response.body


def check(site, message, status, name, post=None):
    site.expect(name)
    with unchanged(site.database):
        refused(site, (post or site.post_device)(message), status, name)


@pytest.mark.parametrize("name", HOSTILE)
def test_phase_2(hosts, kit, name):
    maker, status, message = HOSTILE[name]
    check(hosts, maker(kit), status, message)


def test_the_challenge_lives_after_all_that(hosts):
    """The control: what the messages above share is good but for what makes them hostile."""
    kit = Kit(hosts)
    check(hosts, kit.by(kit.ca), 400, "SIGNER_IS_CA")
    kit.walk.identify().certify().deliver()


def test_keys_are_not_decoded(hosts, kit):
    """A message that would take a server a minute is refused at once."""
    message = costly_keys(kit, 150)
    assert LIMIT - 8000 < len(message) < LIMIT
    start = time.monotonic()
    check(hosts, message, 400, "CMS_CERTIFICATES")
    assert time.monotonic() - start < 5


def test_denied_certificate(hosts):
    walk = hosts.walk(host="deny.test").offer()
    check(hosts, walk.phase2_message(), 400, "SIGNER_DENIED", post=walk.post)


# --- bodies --------------------------------------------------------------------------------------


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
@pytest.mark.parametrize("length", ["told", "untold"])
@pytest.mark.parametrize("size", [LIMIT + 1, 1000000, 6000000])
def test_body_too_large(hosts, http2, length, size):
    body = cms.nested_ber(size)
    post = (lambda m: hosts.post_device(m, http2=http2)) if length == "told" else (
        lambda m: hosts.curl(DEVICE, stream=m, http2=http2))
    check(hosts, body, 413, "HTTP_BODY_TOO_LARGE", post=post)


def padded(kit, size):
    """A good message of exactly so many bytes."""
    pad = 0
    while True:
        message = kit.signed(kit.device.plist(kit.walk.challenge) + b" " * pad)
        if len(message) == size:
            return message
        pad += size - len(message)


@pytest.mark.parametrize("length", ["told", "untold"])
@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_body_of_exactly_the_limit(hosts, http2, length):
    message = padded(Kit(hosts), LIMIT)
    if length == "told":
        assert hosts.post_device(message, http2=http2).status == 200
    else:
        assert hosts.curl(DEVICE, stream=message, http2=http2).status == 200


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods(hosts, method):
    hosts.expect("HTTP_METHOD")
    with unchanged(hosts.database):
        response = hosts.curl(DEVICE, "--request", method)
    assert response.status == 405
    assert "POST" in response.headers["allow"]


# --- challenges that were good once --------------------------------------------------------------


def test_replayed(hosts):
    walk = hosts.walk().offer()
    message = walk.phase2_message()
    walk.identify()
    check(hosts, message, 403, "ENROLLMENT_STATE")
    walk.certify()
    check(hosts, message, 403, "ENROLLMENT_STATE")
    walk.deliver()
    check(hosts, message, 403, "ENROLLMENT_STATE")


def test_challenge_of_another_user(hosts):
    """Alice's device went first; Bob's sends what it overheard."""
    alice, bob = hosts.walk(user="alice").offer(), hosts.walk(user="bob").offer()
    alice.identify()
    check(hosts, bob.device.message(alice.challenge), 403, "ENROLLMENT_STATE")
    bob.identify()


def test_scep_challenge_as_device_challenge(hosts):
    walk = hosts.walk().offer().identify()
    check(hosts, walk.device.message(walk.scep_challenge), 403, "CHALLENGE_UNKNOWN")


def test_challenge_expired(hosts):
    walk = hosts.walk(host="short.test").offer()
    time.sleep(LIFETIME + 0.1)
    check(hosts, walk.phase2_message(), 403, "CHALLENGE_EXPIRED", post=walk.post)


# --- phase 3 -------------------------------------------------------------------------------------


class IdentifiedKit:
    """An enrollment that waits for phase 3; shared, as no message may change its row."""

    def __init__(self, site):
        self.walk = site.walk().offer().identify().certify()
        self.another = site.walk(user="bob").offer().identify().certify()
        self.world, self.maker = site.world, site.world.maker
        self.device, self.identity = self.walk.device, self.walk.identity

    def by(self, signer, **options):
        return self.device.message(signer=signer, md="sha256", **options)

    def issued(self, **options):
        """By the issuing CA's key, but not by the module."""
        return self.maker.issue(f"O=Example Corp, OU=Enrollment, CN={self.device.udid}",
                                self.world.site.ca, **options)


@pytest.fixture(scope="module")
def identified(hosts):
    return IdentifiedKit(hosts)


def rogue_identity(k):
    ca = k.maker.issue("O=Test, CN=Test Enrollment CA", ca=True)
    return k.by(k.maker.issue(f"O=Example Corp, CN={k.device.udid}", ca), bag=[ca])


def copied_names(k):
    """Names and serial number of the true identity, another key."""
    cert = k.identity.cert
    return k.by(k.maker.issue("O=x, CN=x", k.world.site.ca, serial=cert.serial_number))


PHASE_3 = {
    "another device's identity": (lambda k: k.by(k.another.identity), 403, "DEVICE_MISMATCH"),
    "another UDID": (lambda k: k.walk.phase3_message(content=k.device.plist(UDID="0" * 25)), 403,
                     "DEVICE_MISMATCH"),
    "another SERIAL": (lambda k: k.walk.phase3_message(content=k.device.plist(SERIAL="0" * 12)),
                       403, "DEVICE_MISMATCH"),
    "no UDID": (lambda k: k.walk.phase3_message(content=k.device.plist(without=["UDID"])), 403,
                "DEVICE_MISMATCH"),
    "expired": (lambda k: k.by(k.issued(start=pki.days(-9), end=pki.days(-1))), 403,
                "SIGNER_EXPIRED"),
    "not valid yet": (lambda k: k.by(k.issued(start=pki.days(2))), 403, "SIGNER_EXPIRED"),
    "not recorded": (lambda k: k.by(k.issued()), 403, "CERTIFICATE_UNKNOWN"),
    "serial number of another": (copied_names, 403, "CERTIFICATE_UNKNOWN"),
    "self-made": (lambda k: k.by(k.maker.issue(f"CN={k.device.udid}")), 403,
                  "SIGNER_UNKNOWN_ISSUER"),
    "rogue CA of the same name": (rogue_identity, 403, "SIGNER_UNKNOWN_ISSUER"),
    "the issuing CA itself": (lambda k: k.by(k.world.site.ca), 400, "SIGNER_IS_CA"),
    "SHA-1": (lambda k: k.walk.phase3_message(md="sha1"), 400, "CMS_ALGORITHM"),
    "RSA-1024": (lambda k: k.by(k.issued(key="rsa1024")), 400, "SIGNER_KEY"),
    "certificate signed with SHA-1": (lambda k: k.by(k.issued(digest=hashes.SHA1())), 400,
                                      "SIGNER_CERTIFICATE"),
    "altered": (lambda k: cms.edit_content(k.walk.phase3_message(),
                                           lambda c: c.replace(b"iPhone", b"iphone")), 400,
                "CMS_SIGNATURE"),
    "binary property list": (lambda k: k.walk.phase3_message(content=plistlib.dumps(
        k.device.attributes, fmt=plistlib.FMT_BINARY)), 400, "PLIST_FORMAT"),
}


@pytest.mark.parametrize("name", PHASE_3)
def test_phase_3(hosts, identified, name):
    maker, status, message = PHASE_3[name]
    check(hosts, maker(identified), status, message)


def test_phase_3_twice(hosts):
    walk = hosts.walk().offer().identify().certify()
    message = walk.phase3_message()
    walk.deliver()
    check(hosts, message, 403, "ENROLLMENT_STATE")


def test_phase_3_by_the_identity_of_the_mdm(hosts):
    walk = hosts.walk().all()
    check(hosts, walk.phase3_message(), 403, "CERTIFICATE_PURPOSE")


def test_phase_3_by_a_revoked_identity(hosts):
    walk = hosts.walk().offer().identify().certify()
    hosts.database.execute("UPDATE certificate SET revoked_at = ? WHERE fingerprint = ?",
                           int(time.time()), walk.identity.fingerprint)
    check(hosts, walk.phase3_message(), 403, "CERTIFICATE_REVOKED")


def test_phase_3_too_late(hosts):
    walk = hosts.walk().offer().identify()
    walk.scep_payload["PayloadContent"]["URL"] = hosts.url(SCEP, "short.test")
    walk.certify()
    time.sleep(LIFETIME + 0.1)
    check(hosts, walk.phase3_message(), 403, "ENROLLMENT_EXPIRED", post=walk.post)


def test_device_message_in_phase_3(hosts):
    """The factory identity opens phase 2 only, whatever state the row is in."""
    walk = hosts.walk().offer().identify().certify()
    check(hosts, walk.device.message(), 403, "CHALLENGE_MISSING")
    walk.deliver()
