# SPDX-License-Identifier: Apache-2.0
"""SCEP as RFC 8894 has it, point by point: what a server must do, may do and must not. The numbers are
those of the project's own list of the RFC's demands (10 is not in it)."""

import base64
import dataclasses
import urllib.parse

import pytest
from asn1crypto import cms as asn1_cms
from asn1crypto import core
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from harness import cms, pki, scep
from harness.database import unchanged
from harness.pki import days
from harness.process import wait_until
from harness.site import ID, SCEP, htpasswd

RA_USAGE = {"digital_signature", "key_encipherment"}
CAPS = ["AES", "POSTPKIOperation", "Renewal", "SCEPStandard", "SHA-256", "SHA-384", "SHA-512"]
CA_PATH, CRL_PATH = "/enroll/ca", "/enroll/crl"
PUBLIC = (f'<Location "{CA_PATH}">\nMDMEnrollEndpoint ca\n</Location>\n'
          f'<Location "{CRL_PATH}">\nMDMEnrollEndpoint crl\n</Location>\n')


@dataclasses.dataclass
class Place:
    """A virtual host and who answers there."""
    site: object
    host: str
    ca: pki.Identity
    responder: pki.Identity
    next_ca: pki.Identity = None

    def walk(self, **options):
        return self.site.walk(host=self.host, ca=self.ca, responder=self.responder, **options)

    def member(self):
        """A device that has its MDM identity."""
        return self.walk().all()

    def get(self, query):
        return self.site.curl(SCEP + query, host=self.host)

    def post(self, message, query="?operation=PKIOperation"):
        return self.site.curl(SCEP + query, host=self.host, data=message)

    def ask(self, request, message):
        response = self.post(message)
        assert (response.status, response.type) == (200, "application/x-pki-message")
        return request.open(response.body, self.ca.cert_file)

    def refused(self, request, message, fail_info, name):
        """name: of the message that is logged, or several of which one is."""
        names = [name] if isinstance(name, str) else name
        before = {one: len(self.site.log.lines(ID[one])) for one in names}
        with unchanged(self.site.database):
            reply = self.ask(request, message)
        (logged,) = [one for one in names if len(self.site.log.lines(ID[one])) > before[one]]
        self.site.expect(logged)
        assert (reply.status, reply.fail_info) == (scep.FAILURE, fail_info)
        assert reply.certificate is None and reply.content == b""
        return reply

    def renewal(self, walk, key=None, **options):
        """(the request, signed with the identity at hand; a RenewalReq of it for another key)"""
        request = scep.Request(walk.identity, "renewal " + walk.device.udid)
        key = key or scep.Request.make(self.site.world.scratch).key
        options = {"message_type": "17", "request": scep.csr(key)} | options
        return request, request.message(None, self.responder.cert_file, **options), key


@pytest.fixture(scope="module")
def places(world):
    maker = world.maker
    ec_ca = maker.issue("O=Test, CN=P-256 CA", ca=True, key="p256", end=days(3650))
    ra = maker.issue("O=Test, CN=RA", ec_ca, usage=RA_USAGE, end=days(3650))
    next_ca = maker.issue("O=Test, CN=Next CA", ca=True, key="p256", end=days(7300))
    texts = {
        "single.test": "MDMEnrollRenewal 3650d\n" + PUBLIC,
        "ra.test": (f"MDMEnrollCA {ec_ca.cert_file} {ec_ca.key_file}\n"
                    f"MDMEnrollRA {ra.cert_file} {ra.key_file}\n"
                    f"MDMEnrollNextCA {next_ca.cert_file}\n"
                    "MDMEnrollRenewal 3650d\n" + PUBLIC),
        "weak.test": "MDMEnrollSCEPAllow SHA-1 DES3\nMDMEnrollRenewal off\n",
        "late.test": "",
    }
    site = world.make_site("rfc", vhosts=lambda site: "".join(
        site.tls_vhost(host, text, htpasswd(world)) for host, text in texts.items()),
        directory=False).start()
    own = world.site.ca
    yield {"single": Place(site, "single.test", own, own),
           "ra": Place(site, "ra.test", ec_ca, ra, next_ca),
           "weak": Place(site, "weak.test", own, own),
           "late": Place(site, "late.test", own, own)}
    site.stop()


@pytest.fixture(params=["single", "ra"])
def place(places, request):
    return places[request.param]


@pytest.fixture
def single(places):
    return places["single"]


class Kit:
    """An enrollment that waits for its identity, and a request that fits."""

    def __init__(self, place):
        self.place = place
        self.walk = place.walk().offer().identify()
        self.request = self.walk.request()
        self.key = self.request.key

    def message(self, **options):
        return self.request.message(self.walk.scep_challenge, self.place.responder.cert_file,
                                    **options)

    def ask(self, **options):
        return self.place.ask(self.request, self.message(**options))

    def refused(self, fail_info, name, **options):
        return self.place.refused(self.request, self.message(**options), fail_info, name)


@pytest.fixture
def kit(place):
    return Kit(place)


# --- operations and HTTP -------------------------------------------------------------------------


@pytest.mark.parametrize("message", ["", "&message=", "&message=0", "&message=1",
                                     "&message=Example%20CA"])
def test_01_get_ca_caps_and_get_ca_cert(place, message):
    assert place.get("?operation=GetCACaps" + message).type == "text/plain"
    assert place.get("?operation=GetCACert" + message).status == 200


@pytest.mark.parametrize("name", ["getcacaps", "GetCACAPS", "GetCACert ", "PKIoperation"])
def test_01_operation_names_are_exact(single, name):
    single.site.expect("SCEP_OPERATION")
    assert single.get("?operation=" + urllib.parse.quote(name)).status == 400


def test_02_pki_operation_by_post(kit):
    assert kit.ask().status == scep.SUCCESS
    response = kit.place.post(kit.message(), query="")
    assert kit.request.open(response.body, kit.place.ca.cert_file).status == scep.SUCCESS


def lines_of_64(text):
    return urllib.parse.quote("\n".join(text[i:i + 64] for i in range(0, len(text), 64)), safe="")


ESCAPES = {"raw + and /": lambda text: text,
           "everything escaped": lambda text: urllib.parse.quote(text, safe=""),
           "lines of 64": lines_of_64,
           "padding escaped": lambda text: text.replace("=", "%3D"),
           "no padding": lambda text: text.rstrip("="),
           "URL-safe": lambda text: text.replace("+", "-").replace("/", "_"),
           "blanks for +": lambda text: text.replace("+", "%20")}


@pytest.mark.parametrize("name", ESCAPES)
def test_02_pki_operation_by_get(single, name):
    kit = Kit(single)
    text = ESCAPES[name](base64.b64encode(kit.message()).decode())
    response = single.get("?operation=PKIOperation&message=" + text)
    assert response.type == "application/x-pki-message"
    assert kit.request.open(response.body, single.ca.cert_file).status == scep.SUCCESS


def test_03_get_ca_caps(places):
    for name, more, less in (("single", [], []), ("ra", ["GetNextCACert"], []),
                             ("weak", ["SHA-1", "DES3"], ["Renewal"]), ("late", [], [])):
        response = places[name].get("?operation=GetCACaps")
        assert (response.status, response.type) == (200, "text/plain")
        assert response.body.endswith(b"\n") and b"\r" not in response.body
        assert response.body.decode().split("\n")[:-1] == sorted(set(CAPS + more) - set(less))


def test_04_get_ca_cert_of_a_root(single):
    response = single.get("?operation=GetCACert")
    assert (response.status, response.type) == (200, "application/x-x509-ca-cert")
    assert response.body == single.ca.der


def test_05_get_ca_cert_with_an_ra(places):
    response = places["ra"].get("?operation=GetCACert")
    assert (response.status, response.type) == (200, "application/x-x509-ca-ra-cert")
    signed = asn1_cms.ContentInfo.load(response.body)["content"]
    assert [c.dump() for c in signed["certificates"]] == [places["ra"].responder.der,
                                                          places["ra"].ca.der]
    assert not signed["signer_infos"] and signed["encap_content_info"]["content"].native is None


def test_06_key_usage_of_who_answers(own_site, world):
    """The CA or RA must be allowed to sign and to be encrypted to."""
    for usage, wanted in (({"key_cert_sign"}, "digitalSignature and keyEncipherment"),
                          (RA_USAGE, "keyCertSign")):
        narrow = world.maker.issue("O=Test, CN=Narrow", ca=True, key=world.site.ca.key,
                                   usage=usage, end=days(3650))
        site = own_site(directives=f"MDMEnrollCA {narrow.cert_file} {narrow.key_file}\n")
        status, said = site.httpd.test()
        assert status != 0 and wanted in said


def test_07_content_types(kit):
    assert kit.place.post(kit.message()).type == "application/x-pki-message"


def test_07_get_next_ca_cert(places):
    place = places["ra"]
    response = place.get("?operation=GetNextCACert&message=0")
    assert (response.status, response.type) == (200, "application/x-x509-next-ca-cert")
    verified = cms.verify(response.body, place.ca.cert_file)
    assert verified.signer == place.ca.cert  # the CA itself, not the RA
    assert scep.only_certificate(verified.content) == place.next_ca.cert


def test_07_get_next_ca_cert_where_there_is_none(single):
    single.site.expect("SCEP_OPERATION")
    assert single.get("?operation=GetNextCACert").status == 400


def test_08_http_status(single):
    site = single.site
    site.expect("SCEP_MESSAGE")
    assert single.post(b"\x30\x00").status == 400
    site.expect("HTTP_METHOD")
    assert site.curl(SCEP + "?operation=PKIOperation", "--request", "PUT",
                     host=single.host).status == 405
    site.expect("HTTP_BODY_TOO_LARGE")
    assert single.post(b"\x30" * 32769).status == 413
    assert single.get("?operation=PKIOperation&message=" + "A" * 9000).status == 414


def test_08_http_status_without_a_database(own_site):
    site = own_site(directory=False).start()
    walk = site.walk().offer().identify()
    site.database.path.rename(site.database.path.with_suffix(".away"))
    site.log.expect(ID["STORE_UNAVAILABLE"])
    response = site.post_scep(walk.request().message(walk.scep_challenge, walk.ca.cert_file))
    assert response.status == 503 and response.headers["retry-after"]


@pytest.mark.parametrize("cipher", ["aes-128-cbc", "aes-192-cbc", "aes-256-cbc"])
@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_09_algorithms(single, cipher, digest):
    assert Kit(single).ask(cipher=cipher, digest=digest).status == scep.SUCCESS


@pytest.mark.parametrize("options", [{"digest": "sha1"}, {"cipher": "des3"}, {"digest": "md5"}])
def test_09_weak_algorithms_are_off(kit, options):
    kit.refused("badAlg", "SCEP_ALGORITHM", **options)


def test_09_weak_algorithms_switched_on(places):
    reply = Kit(places["weak"]).ask(digest="sha1", cipher="des3")
    assert reply.status == scep.SUCCESS
    Kit(places["weak"]).refused("badAlg", "SCEP_ALGORITHM", digest="md5")


# --- messages ------------------------------------------------------------------------------------


def malformed(kit, name, message):
    kit.place.site.expect(name)
    with unchanged(kit.place.site.database):
        assert kit.place.post(message).status == 400


def test_11_signed_data(kit):
    envelope = cms.encrypt(b"x", kit.place.responder.cert_file)
    malformed(kit, "SCEP_MESSAGE", kit.message(signers=2))
    malformed(kit, "SCEP_MESSAGE", envelope)
    malformed(kit, "SCEP_ATTRIBUTES", cms.sign(envelope, kit.request.signer, md="sha256",
                                               attributes=False))


@pytest.mark.parametrize("name", ["transactionID", "messageType", "senderNonce"])
def test_12_attributes_have_one_value(kit, name):
    value = core.OctetString(b"x" * 16) if name == "senderNonce" else core.PrintableString("19")
    malformed(kit, "SCEP_ATTRIBUTES", kit.message(replace={name: None}))
    malformed(kit, "SCEP_ATTRIBUTES", kit.message(replace={name: [value, value]}))


@pytest.mark.parametrize("name", ["content_type", "message_digest"])
def test_12_attributes_of_cms(kit, name):
    malformed(kit, "SCEP_ATTRIBUTES", kit.message(leave_out=[name]))


def test_13_types_of_attributes(kit):
    malformed(kit, "SCEP_ATTRIBUTES", kit.message(
        replace={"transactionID": [core.UTF8String("A")]}))
    malformed(kit, "SCEP_ATTRIBUTES", kit.message(replace={"messageType": [core.Integer(19)]}))
    malformed(kit, "SCEP_ATTRIBUTES", kit.message(nonce=b"x" * 15))
    reply = kit.refused("badRequest", "SCEP_MESSAGE_TYPE", message_type="1")
    assert isinstance(reply.attributes["1.3.6.1.5.5.7.24.1"][0], core.UTF8String)


def test_14_signer(kit):
    """Its certificate is in the message; its name need not be the request's."""
    malformed(kit, "SCEP_MESSAGE", kit.message(bag=[]))
    assert kit.ask(subject="O=Another, CN=name").status == scep.SUCCESS


@pytest.mark.parametrize("message_type", ["19", "20", "21", "22"])
def test_15_content_fits_the_type(kit, message_type):
    """A request where a name is wanted, and a name where a request is."""
    wrong = (scep.issuer_and(kit.place.ca, kit.request.signer) if message_type == "19"
             else scep.csr(kit.key, kit.walk.scep_challenge))
    if message_type == "21":
        walk = kit.place.member()
        kit.request = scep.Request(walk.identity, "get")
    kit.refused("badMessageCheck", "SCEP_PROOF", message_type=message_type, request=wrong)


def test_16_pkcs_req(kit):
    kit.refused("badRequest", "SCEP_REQUEST", request=scep.csr(kit.key))
    broken = bytearray(scep.csr(kit.key, kit.walk.scep_challenge))
    broken[-1] ^= 1
    kit.refused("badMessageCheck", "SCEP_PROOF", request=bytes(broken))
    assert kit.ask().status == scep.SUCCESS


@pytest.mark.parametrize("message_type", ["18", "3", "0", "PKCSReq", "019", "23"])
def test_17_unknown_message_types(kit, message_type):
    kit.refused("badRequest", "SCEP_MESSAGE_TYPE", message_type=message_type)


# --- CertRep -------------------------------------------------------------------------------------


def test_18_attributes_of_a_cert_rep(kit):
    nonce = b"0123456789abcdef"
    first, second = kit.ask(nonce=nonce), kit.ask(nonce=nonce)
    for reply in (first, second):
        assert (reply.message_type, reply.transaction) == ("3", kit.request.transaction)
        assert reply.recipient_nonce == nonce and len(reply.sender_nonce) == 16
    assert first.sender_nonce not in (second.sender_nonce, nonce)


def test_19_success(kit):
    reply = kit.ask()  # Reply takes nothing but one certificate, without content and signers
    assert (reply.status, reply.fail_info) == (scep.SUCCESS, None)
    assert cms.envelope_facts(reply.content)[1:] == (1, "issuer_and_serial_number",
                                                     "rsaes_pkcs1v15")
    assert reply.certificate.public_key().public_numbers() == kit.key.public_key().public_numbers()


def test_20_failure(kit):
    reply = kit.refused("badRequest", "CHALLENGE_UNKNOWN",
                        request=scep.csr(kit.key, "A" * 43))  # no envelope: refused() looks
    assert reply.message_type == "3"


@pytest.mark.parametrize("cipher, native", [("aes-128-cbc", "aes128_cbc"),
                                            ("aes-256-cbc", "aes256_cbc")])
@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_21_reply_mirrors_the_request(single, cipher, native, digest):
    reply = Kit(single).ask(cipher=cipher, digest=digest)
    assert (reply.cipher, reply.digest) == (native, digest)


def test_21_reply_mirrors_weak_ones(places):
    reply = Kit(places["weak"]).ask(cipher="des3", digest="sha1")
    assert (reply.cipher, reply.digest) == ("tripledes_3key", "sha1")


# --- errors --------------------------------------------------------------------------------------


def test_22_bad_alg(kit, world):
    kit.refused("badAlg", "SCEP_ALGORITHM", cipher="des3")
    kit.refused("badAlg", "SCEP_ALGORITHM",
                request=scep.csr(kit.key, kit.walk.scep_challenge, digest=hashes.MD5()))
    kit.request = scep.Request.make(world.scratch, "rsa1024")
    kit.refused("badAlg", "SCEP_KEY")


def flipped(octets, at):
    changed = bytearray(octets)
    changed[at] ^= 1
    return bytes(changed)


def test_23_bad_message_check(kit, world):
    envelope = cms.encrypt(scep.csr(kit.key, kit.walk.scep_challenge),
                           kit.place.responder.cert_file)
    place, request = kit.place, kit.request
    place.refused(request, flipped(kit.message(), -1), "badMessageCheck", "SCEP_SIGNATURE")
    alike = [place.refused(request, kit.message(envelope=damaged), "badMessageCheck", name)
             for damaged, name in (
                 (flipped(envelope, -17), "SCEP_DECRYPT"),  # the padding
                 (cms.encrypt(b"x", world.site.root.cert_file), "SCEP_DECRYPT"),
                 (b"", "SCEP_DECRYPT"),
                 (cms.encrypt(b"no request", place.responder.cert_file), "SCEP_PROOF"))]
    assert len({r.attributes["1.3.6.1.5.5.7.24.1"][0].native for r in alike}) == 1


def test_24_bad_request(kit):
    kit.refused("badRequest", "CHALLENGE_UNKNOWN", request=scep.csr(kit.key, "A" * 43))
    kit.refused("badRequest", "SCEP_MESSAGE_TYPE", message_type="18")


def test_25_bad_cert_id(place):
    walk = place.member()
    request = scep.Request(walk.identity, "get")
    place.refused(request, request.message(
        None, place.responder.cert_file, message_type="21",
        request=scep.issuer_and(place.ca, 4711)), "badCertId", "SCEP_CERT_ID")


def test_25_signing_time_is_not_judged(kit):
    """Devices' clocks are often wrong: badTime is never sent."""
    late = cms.attribute("signing_time", core.UTCTime("200101000000Z"))
    assert kit.ask(others=[late]).status == scep.SUCCESS


# --- transactions --------------------------------------------------------------------------------


def certificates(kit):
    (row,) = kit.place.site.database.query(
        f"SELECT id FROM enrollment WHERE udid = '{kit.walk.device.udid}'")
    return kit.place.site.database.query(
        f"SELECT serial, revoked_at, revocation_reason FROM certificate WHERE enrollment = "
        f"'{row[0]}' ORDER BY issued_at")


def test_26_retransmission(kit):
    message = kit.message()
    first, second = kit.place.ask(kit.request, message), kit.place.ask(kit.request, message)
    assert first.certificate == second.certificate
    assert first.sender_nonce != second.sender_nonce and first.content != second.content
    assert len(certificates(kit)) == 1


def test_27_same_transaction_another_request(kit):
    """A new request, judged by its own challenge."""
    assert kit.ask().status == scep.SUCCESS
    kit.refused("badRequest", "CHALLENGE_UNKNOWN", request=scep.csr(kit.key, "A" * 43))


def test_28_lost_reply(kit):
    """A device that makes a new key for each attempt; each certificate ends the one before."""
    lost = [kit.ask().certificate]
    for _ in range(2):
        kit.request = kit.walk.request()
        kit.key = kit.request.key
        lost.append(kit.ask().certificate)
    states = {serial: (revoked_at != "0", reason)
              for serial, revoked_at, reason in certificates(kit)}
    wanted = [(True, "4"), (True, "4"), (False, "0")]
    assert [states[f"{c.serial_number:x}"] for c in lost] == wanted
    last = kit.request
    kit.request = kit.walk.request()
    kit.key = kit.request.key
    kit.refused("badRequest", "SCEP_CHALLENGE")
    # the device goes on with the last one
    kit.walk.identity = kit.place.site.world.maker.store(lost[-1], last.key)
    kit.walk.deliver()


def poll(place, request):
    return request.message(None, place.responder.cert_file, message_type="20",
                           request=scep.issuer_and(place.ca, request.signer))


def test_29_cert_poll_is_bound_to_the_key(kit):
    place = kit.place
    place.refused(kit.request, poll(place, kit.request), "badCertId", "SCEP_CERT_ID")
    assert kit.ask().status == scep.SUCCESS
    other = kit.walk.request()
    stranger = scep.Request(other.signer, kit.request.transaction)
    place.refused(stranger, poll(place, stranger), "badCertId", "SCEP_CERT_ID")
    another = scep.Request(kit.request.signer, "another transaction")
    place.refused(another, poll(place, another), "badCertId", "SCEP_CERT_ID")


def test_30_cert_poll_after_the_issue(kit):
    issued = kit.ask().certificate
    for _ in range(2):
        assert kit.place.ask(kit.request, poll(kit.place, kit.request)).certificate == issued


def test_31_renewal_req(place):
    walk = place.member()
    request, message, key = place.renewal(walk)
    renewed = place.ask(request, message).certificate
    assert renewed.public_key().public_numbers() == key.public_key().public_numbers()
    assert renewed.subject == walk.identity.cert.subject
    assert renewed != walk.identity.cert
    # and that one again, by itself: now the first one ends
    first = walk.identity
    walk.identity = place.site.world.maker.store(renewed, key)
    request, message, _ = place.renewal(walk, first.key)
    assert place.ask(request, message).status == scep.SUCCESS
    walk.identity = first
    request, message, _ = place.renewal(walk)
    place.refused(request, message, "badRequest", "CERTIFICATE_REVOKED")


def test_31_renewal_proves_possession(place):
    walk = place.member()
    csr = scep.csr(scep.Request.make(place.site.world.scratch).key)
    request, message, _ = place.renewal(walk, request=flipped(csr, -1))
    place.refused(request, message, "badMessageCheck", "SCEP_PROOF")


def test_31_renewal_is_for_members(place, world):
    walk = place.member()
    stranger = place.walk()
    stranger.identity = scep.Request.make(world.scratch).signer
    request, message, _ = place.renewal(stranger)
    place.refused(request, message, "badRequest", "SCEP_SIGNER")
    # the enrollment's identity is none for the MDM server
    walk.identity = walk.enrolled_with
    request, message, _ = place.renewal(walk)
    place.refused(request, message, "badRequest", "CERTIFICATE_PURPOSE")


def test_31_renewal_too_early(places):
    walk = places["late"].member()
    request, message, _ = places["late"].renewal(walk)
    places["late"].refused(request, message, "badRequest", "SCEP_RENEWAL")


def test_31_renewal_of_revoked(place):
    walk = place.member()
    place.site.database.execute("UPDATE certificate SET revoked_at = 1 WHERE serial = ?",
                                f"{walk.identity.cert.serial_number:x}")
    request, message, _ = place.renewal(walk)
    place.refused(request, message, "badRequest", "CERTIFICATE_REVOKED")


def test_32_renewal_of_old_clients(place):
    """PKCSReq, signed with the certificate that is to be renewed."""
    walk = place.member()
    request, message, key = place.renewal(walk, message_type="19")
    renewed = place.ask(request, message).certificate
    assert renewed.public_key().public_numbers() == key.public_key().public_numbers()
    assert renewed.subject == walk.identity.cert.subject


def test_33_a_self_signed_certificate_proves_nothing(place, world):
    """Whatever stands in it: the names of a certificate that was issued, and the CA's as issuer."""
    walk = place.member()
    key = scep.Request.make(world.scratch).key
    issued = walk.identity.cert
    forged = (x509.CertificateBuilder().subject_name(issued.subject).issuer_name(issued.issuer)
              .serial_number(issued.serial_number).public_key(key.public_key())
              .not_valid_before(issued.not_valid_before).not_valid_after(issued.not_valid_after)
              .sign(key, hashes.SHA256()))
    walk.identity = world.maker.store(forged, key)
    request, message, _ = place.renewal(walk)
    place.refused(request, message, "badRequest", "SCEP_SIGNER")
    request, message, _ = place.renewal(walk, message_type="21",
                                        request=scep.issuer_and(place.ca, issued.serial_number))
    place.refused(request, message, "badRequest", "SCEP_SIGNER")


def test_34_get_cert(place):
    walk, other = place.member(), place.member()

    def get(cert):
        request = scep.Request(walk.identity, "get")
        return request, request.message(None, place.responder.cert_file, message_type="21",
                                        request=scep.issuer_and(place.ca, cert.serial_number))
    for own in (walk.identity.cert, walk.enrolled_with.cert):
        request, message = get(own)
        assert place.ask(request, message).certificate == own
    request, message = get(other.identity.cert)
    place.refused(request, message, "badCertId", "SCEP_CERT_ID")


def test_35_get_crl(place):
    walk = place.member()
    serial = walk.identity.cert.serial_number
    place.site.database.execute("UPDATE certificate SET revoked_at = 1, revocation_reason = 1 "
                                "WHERE serial = ?", f"{serial:x}")
    request = walk.request()
    message = request.message(None, place.responder.cert_file, message_type="22",
                              request=scep.issuer_and(place.ca, serial))

    def listed():
        crl = place.ask(request, message).crl
        assert crl.is_signature_valid(place.ca.key.public_key())
        return crl.get_revoked_certificate_by_serial_number(serial)
    entry = wait_until(listed, "the certificate in the list, which may be some seconds old")
    assert (entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
            == x509.ReasonFlags.key_compromise)


def test_36_challenge(kit):
    """High entropy, one use (three where replies are lost), a short life; a second use is logged."""
    challenge = kit.walk.scep_challenge
    assert len(base64.urlsafe_b64decode(challenge + "=")) == 32
    for _ in range(3):
        assert kit.ask().status == scep.SUCCESS
        kit.request = kit.walk.request()
        kit.key = kit.request.key
    kit.refused("badRequest", "SCEP_CHALLENGE")
    assert challenge not in kit.place.site.log.text()
    rows = kit.place.site.database.query("SELECT * FROM challenge")
    assert challenge not in str(rows)


def test_37_capabilities_do_not_open_weak_algorithms(place):
    """GetCACaps is not authenticated: a client that was lied to gets a refusal, not a downgrade."""
    kit = Kit(place)
    kit.refused("badAlg", "SCEP_ALGORITHM", digest="sha1")
    kit.refused("badAlg", "SCEP_ALGORITHM", cipher="des3")
    assert kit.ask().digest == "sha256"


# --- attacks, point by point ---------------------------------------------------------------------


SMUGGLED = [(x509.BasicConstraints(True, None), True),
            (x509.SubjectAlternativeName([x509.DNSName("www.example.com")]), False),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), True)]


@pytest.mark.parametrize("how", ["challenge", "renewal"])
def test_attack_1_everything_but_the_key_is_ours(place, how):
    """VU#971035."""
    walk = place.member()
    key = scep.Request.make(place.site.world.scratch).key
    smuggled = {"extensions": SMUGGLED, "subject": "O=Test, CN=../../etc/passwd"}
    if how == "renewal":
        request, message, _ = place.renewal(walk, request=scep.csr(key, **smuggled))
        cert = place.ask(request, message).certificate
    else:
        kit = Kit(place)
        walk, cert = kit.walk, kit.ask(**smuggled).certificate
    extensions = {e.oid.dotted_string: e for e in cert.extensions}
    assert not extensions["2.5.29.19"].value.ca and extensions["2.5.29.19"].critical
    assert extensions["2.5.29.15"].critical and not extensions["2.5.29.15"].value.key_cert_sign
    assert [oid.dotted_string for oid in extensions["2.5.29.37"].value] == ["1.3.6.1.5.5.7.3.2"]
    (name,) = extensions["2.5.29.17"].value
    assert name.value.startswith("urn:mdm-enroll:")
    assert walk.device.udid in cert.subject.rfc4514_string()
    assert "passwd" not in cert.subject.rfc4514_string()
    (point,) = extensions["2.5.29.31"].value  # names this host's endpoint crl
    assert point.full_name[0].value == place.site.url(CRL_PATH, place.host)


def test_attack_2_serial_numbers_are_random(single):
    serials = {Kit(single).ask().certificate.serial_number for _ in range(4)}
    assert len(serials) == 4 and all(s.bit_length() == 159 for s in serials)


def test_attack_3_no_oracle(kit):
    """Whatever is wrong up to the request's own signature looks the same: to strangers, and to who
    has a certificate and may ask for another key's."""
    place, member = kit.place, kit.place.member()
    captured = cms.encrypt(scep.csr(kit.key, kit.walk.scep_challenge), place.responder.cert_file)
    wrapped = asn1_cms.ContentInfo.load(captured)["content"]["recipient_infos"][0].chosen[
        "encrypted_key"].native
    # a random key takes the place of one that is damaged, and gives a padding that holds at times
    cases = [(flipped(captured, captured.index(wrapped) + 200), ("SCEP_DECRYPT", "SCEP_PROOF")),
             (flipped(captured, -1), ("SCEP_DECRYPT", "SCEP_PROOF")),
             (flipped(captured, -17), "SCEP_DECRYPT"),
             (cms.encrypt(b"\x30\x00", place.responder.cert_file), "SCEP_PROOF"),
             (cms.encrypt(flipped(scep.csr(kit.key, "x"), -1), place.responder.cert_file),
              "SCEP_PROOF")]
    stranger = kit.walk.request()
    for request, kind in ((stranger, "19"), (scep.Request(member.identity, "renewal"), "17")):
        replies = [place.refused(request, request.message(
            None, place.responder.cert_file, envelope=envelope, message_type=kind),
            "badMessageCheck", name) for envelope, name in cases]
        assert len({r.attributes["1.3.6.1.5.5.7.24.1"][0].native for r in replies}) == 1
    # a stranger who signs the captured envelope as his own learns no more
    place.refused(stranger, stranger.message(None, place.responder.cert_file, envelope=captured),
                  "badMessageCheck", "SCEP_PROOF")


def test_attack_4_bombs_are_not_decoded(kit):
    malformed(kit, "SCEP_MESSAGE", kit.message(bag=[kit.request.signer] + [pki.Empty()] * 10000))
    malformed(kit, "SCEP_MESSAGE", kit.message(bag=[kit.request.signer, pki.Costly()]))
    malformed(kit, "SCEP_MESSAGE", cms.nested_ber(32000))


def openssl_envelope(kit, *options):
    return cms.run("openssl", "cms", "-encrypt", "-binary", "-outform", "DER", *options,
                   data=scep.csr(kit.key, kit.walk.scep_challenge)).stdout


def test_attack_5_forms_that_are_left_out(kit, world):
    """Authenticated envelopes, key agreement, passwords, OAEP, key identifiers."""
    ec = world.maker.issue("O=Test, CN=Agrees", key="p256", usage={"key_agreement"})
    rsa_file = kit.place.responder.cert_file
    for options, fail_info, name in (
            (("-aes-128-gcm", "-recip", rsa_file), "badMessageCheck", "SCEP_DECRYPT"),
            (("-aes-128-cbc", "-recip", ec.cert_file), "badMessageCheck", "SCEP_DECRYPT"),
            (("-aes-128-cbc", "-pwri_password", "x"), "badMessageCheck", "SCEP_DECRYPT"),
            (("-aes-128-cbc", "-recip", rsa_file, "-keyopt", "rsa_padding_mode:oaep"), "badAlg",
             "SCEP_ALGORITHM"),
            (("-aes-128-cbc", "-keyid", "-recip", rsa_file), "badMessageCheck", "SCEP_DECRYPT")):
        kit.refused(fail_info, name, envelope=openssl_envelope(kit, *options))
    assert kit.ask().status == scep.SUCCESS


def test_attack_6_no_binary_plist_reaches_the_library(single):
    walk = single.walk().offer().identify().certify()
    message = cms.sign(b"bplist00" + b"\xd1" * 100, walk.identity, md="sha256")
    single.site.expect("PLIST_FORMAT")
    assert walk.post(message, phase=3).status == 400


def test_attack_7_nothing_secret_in_the_logs(kit):
    message = kit.message()
    text = base64.b64encode(message).decode()
    response = kit.place.get("?operation=PKIOperation&message=" + urllib.parse.quote(text, safe=""))
    assert kit.request.open(response.body, kit.place.ca.cert_file).status == scep.SUCCESS
    logged = kit.place.site.log.text()
    assert kit.walk.scep_challenge not in logged
    assert text[:60] not in logged and base64.b64encode(
        scep.csr(kit.key, kit.walk.scep_challenge)).decode()[:60] not in logged
