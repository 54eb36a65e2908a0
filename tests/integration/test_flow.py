# SPDX-License-Identifier: Apache-2.0
"""The whole flow, walked by programs that this project did not write: curl for HTTP, openssl for
CMS, strongSwan's pki and certmonger's helper for SCEP, plistlib for property lists."""

import base64
import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, NameOID

from harness import cms, device, pki, scep, slapd
from harness.database import states
from harness.http import curl
from harness.process import wait_until
from harness.site import (CHECKIN, IDENTIFIER, ORGANIZATION, PROFILE, SCEP, SERVER, TOPIC,
                          certificate, form_ldap)

WEAK = "SSLCipherSuite DEFAULT@SECLEVEL=0\nSSLVerifyClient optional_no_ca\n"
# host: key kinds of its certificates
KEYS = {"enroll.test": ["rsa2048"], "ecdsa.test": ["p256"], "both.test": ["p256", "rsa2048"],
        "apart.test": ["rsa2048"]}
CIPHERS = {"aes256.test": ("AES-256", "aes256_cbc"), "aes128.test": ("AES-128", "aes128_cbc"),
           "des3.test": ("DES3", "tripledes_3key")}


def many_hosts(site):
    world = site.world
    text = site.plain_vhost("signer.test") + site.tls_vhost("enroll.test")
    text += site.tls_vhost("ecdsa.test", certificates=with_bundle(world, "ecdsa.test", "p256"))
    both = [world.site.server("both.test", kind) for kind in KEYS["both.test"]]
    # A file for each key holds certificate and chain; mod_ssl keeps a chain for each.
    text += site.tls_vhost("both.test", certificates=certificate(both[0],
                                                                 bundle=world.bundle(both[0]))
                           + certificate(both[1], bundle=world.bundle(both[1])))
    text += site.tls_vhost("apart.test", certificates=certificate(
        world.site.server("apart.test"), chain=world.site.intermediate.cert_file))
    text += site.tls_vhost("signer.test", f"MDMEnrollSigner {world.signer.cert_file} "
                           f"{world.signer.key_file} {world.site.intermediate.cert_file}\n")
    text += site.tls_vhost("form.test", authentication=form_ldap(site.directory_server))
    for host, (cipher, _) in CIPHERS.items():
        text += site.tls_vhost(host, f"MDMEnrollCipher {cipher}\n")
    for mode in ("off", "optional", "require"):
        text += site.tls_vhost(f"{mode}.test", WEAK + f"MDMEnrollClientCertificate {mode}\n")
    return text


def with_bundle(world, host, kind):
    identity = world.site.server(host, kind)
    return certificate(identity, bundle=world.bundle(identity))


@pytest.fixture(scope="module")
def hosts(world):
    site = world.make_site("hosts", vhosts=many_hosts).start()
    yield site
    site.stop()


def subject(cert, oid):
    return [a.value for a in cert.subject.get_attributes_for_oid(oid)]


def extension(cert, oid):
    return cert.extensions.get_extension_for_oid(oid).value


# --- from the login to the identity of the MDM ---------------------------------------------------


@pytest.mark.parametrize("client", ["ours", "strongswan"])
@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_whole_flow(hosts, client, http2):
    walk = hosts.walk(http2=http2).all(client)

    assert walk.profile["PayloadIdentifier"] == IDENTIFIER
    assert walk.profile["PayloadOrganization"] == ORGANIZATION
    mdm = walk.payload("com.apple.mdm")
    assert (mdm["ServerURL"], mdm["CheckInURL"], mdm["Topic"]) == (SERVER, CHECKIN, TOPIC)
    assert mdm["IdentityCertificateUUID"] == walk.scep_payload["PayloadUUID"]
    assert mdm["AccessRights"] == 8191
    root = walk.payload("com.apple.security.root")
    assert root["PayloadContent"] == hosts.world.site.root.der
    assert walk.identity.cert != walk.enrolled_with.cert
    assert states(hosts.database)[enrollment_of(walk)] == "delivered"


def enrollment_of(walk):
    """The enrollment's id, which certificates carry in their subjectAltName."""
    (uri,) = extension(walk.identity.cert, ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    return uri.value.removeprefix("urn:mdm-enroll:")


def test_requests_over_http2(hosts):
    walk = hosts.walk(http2=True)
    response = walk.get_profile()
    assert response.version == "2"
    assert walk.post(walk.offer(response).phase2_message()).version == "2"


def test_profile_service(hosts):
    walk = hosts.walk().offer()
    content = walk.profile["PayloadContent"]
    assert content["URL"] == hosts.url("/enroll/device")
    assert {"UDID", "SERIAL"} <= set(content["DeviceAttributes"])
    assert walk.profile["PayloadIdentifier"] == IDENTIFIER + ".profile-service"
    assert len(base64.urlsafe_b64decode(walk.challenge + "=")) == 32
    assert hosts.walk().offer().challenge != walk.challenge


def test_only_hashes_of_secrets_are_stored(hosts):
    walk = hosts.walk().offer().identify()
    secrets = [walk.challenge, walk.scep_challenge, slapd.password("alice")]
    secrets.append(walk.certify().deliver().scep_challenge)
    assert len(set(secrets)) == 4
    stored = json.dumps([hosts.database.query(f"SELECT * FROM {t}") for t in
                         ("enrollment", "challenge", "certificate")])
    logged = hosts.log.path.read_text() + "".join(hosts.httpd.access_lines())
    for secret in secrets:
        assert secret not in stored and secret not in logged


def test_issued_certificates(hosts):
    """Subject and extensions are ours, whatever the request asks for (RFC 8894, VU#971035)."""
    walk = hosts.walk().offer().identify().certify("strongswan")
    for unit in ("Enrollment", "MDM"):
        cert = walk.identity.cert
        assert subject(cert, NameOID.ORGANIZATION_NAME) == [ORGANIZATION]
        assert subject(cert, NameOID.ORGANIZATIONAL_UNIT_NAME) == [unit]
        assert subject(cert, NameOID.COMMON_NAME) == [walk.device.udid]
        assert subject(cert, NameOID.SERIAL_NUMBER) == [walk.device.serial]
        assert not extension(cert, ExtensionOID.BASIC_CONSTRAINTS).ca
        assert list(extension(cert, ExtensionOID.EXTENDED_KEY_USAGE)) == [
            ExtendedKeyUsageOID.CLIENT_AUTH]
        assert cert.serial_number.bit_length() > 64
        cert.public_key()
        if unit == "Enrollment":
            walk.deliver().certify("strongswan")
    rows = hosts.database.query("SELECT fingerprint, purpose FROM certificate WHERE enrollment = "
                                f"'{enrollment_of(walk)}'")
    assert sorted(rows, key=lambda r: r[1]) == [(walk.enrolled_with.fingerprint, "identity"),
                                                (walk.identity.fingerprint, "mdm")]


# --- the signature of profiles -------------------------------------------------------------------


@pytest.mark.parametrize("host, signer", [
    ("enroll.test", "enroll.test"), ("ecdsa.test", "ecdsa.test"), ("both.test", "both.test"),
    ("apart.test", "apart.test"), ("signer.test", "Profile Signer")])
def test_signed_by_the_host(hosts, host, signer):
    walk = hosts.walk(host=host).all()
    for phase, verified in walk.verified.items():
        assert subject(verified.signer, NameOID.COMMON_NAME) == [signer], phase
        names = {c.subject.rfc4514_string() for c in verified.certificates}
        assert names == {verified.signer.subject.rfc4514_string(),
                         hosts.world.site.intermediate.cert.subject.rfc4514_string()}


def test_rsa_is_preferred(hosts):
    walk = hosts.walk(host="both.test").offer()
    assert isinstance(walk.verified[1].signer.public_key(), rsa.RSAPublicKey)
    walk = hosts.walk(host="ecdsa.test").offer()
    assert isinstance(walk.verified[1].signer.public_key(), ec.EllipticCurvePublicKey)


def test_behind_a_proxy_that_ends_tls(hosts):
    """A plain virtual host with a base URL: the same flow, and the URLs are those of the proxy."""
    response = curl(hosts.plain_url(PROFILE), user=("alice", slapd.password("alice")))
    walk = hosts.walk().offer(response)
    assert walk.device_url == hosts.url("/enroll/device", "signer.test")
    walk.identify().certify().deliver()


# --- login ---------------------------------------------------------------------------------------


def test_form_login(hosts, tmp_path):
    walk = hosts.walk(host="form.test")
    jar = tmp_path / "cookies"
    jar.touch()
    first = hosts.curl(PROFILE, host="form.test", cookies=jar)
    assert (first.status, first.headers["location"]) == (302, "/login.html")
    login = hosts.curl(PROFILE, "--data-urlencode", "httpd_username=jürgen", "--data-urlencode",
                       f"httpd_password={slapd.password('jürgen')}", host="form.test", cookies=jar)
    # mod_auth_form hands a POST that signs in on to the handler as a GET.
    assert login.status == 200
    response = hosts.curl(PROFILE, host="form.test", cookies=jar)
    walk.offer(response).identify().certify().deliver()
    (row,) = hosts.database.query("SELECT user_name FROM enrollment WHERE udid = "
                                  f"'{walk.device.udid}'")
    assert row == ("jürgen",)


# --- ciphers -------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [None, *CIPHERS])
def test_cipher_of_the_enrollment_profile(hosts, host):
    walk = hosts.walk(host=host).all()
    assert cms.envelope_facts(walk.encrypted) == (CIPHERS[host or "aes256.test"][1], 1, "issuer_and_serial_number",
                                                  "rsaes_pkcs1v15")


# --- shapes of device messages -------------------------------------------------------------------


def intermediates(world):
    """What a genuine device adds to its leaf: its CA and the two above it."""
    top = world.maker.issue("C=US, O=Test Inc., CN=Test Device Root", ca=True)
    middle = world.maker.issue("C=US, O=Test Inc., CN=Test Device Authority", top, ca=True)
    return [world.device_ca, middle, top]


@pytest.mark.parametrize("shape", ["signed attributes", "no signed attributes", "four certificates",
                                   "sha256", "sha512", "indefinite length", "key identifier"])
def test_shapes_of_device_messages(site, shape):
    options = {
        "signed attributes": {},
        "no signed attributes": {"attributes": False},
        "four certificates": {"bag": intermediates(site.world), "attributes": False},
        "sha256": {"md": "sha256"},
        "sha512": {"md": "sha512"},
        "indefinite length": {"extra": ["-stream", "-indef"]},
        "key identifier": {"extra": ["-keyid"]},
    }[shape]
    site.walk(signing=options).offer().identify().certify().deliver()


@pytest.mark.parametrize("bag", ["leaf alone", "four certificates"])
def test_genuine_mac(site, bag):
    """Booleans, empty strings and unasked keys; no signedAttrs."""
    chain = None if bag == "leaf alone" else intermediates(site.world)
    walk = site.walk(device.mac(site.world.leaf), signing={"attributes": False, "bag": chain})
    walk.offer().identify().certify().deliver()
    (row,) = site.database.query("SELECT product, os_version FROM enrollment WHERE udid = "
                                 f"'{walk.device.udid}'")
    assert row == ("MacBookPro18,2", "18.1")


def test_challenge_as_data(site):
    """A device returns what it was given with its type; some send data."""
    walk = site.walk().offer()
    walk.challenge = walk.challenge.encode()
    walk.identify()


def test_ecdsa_device(site):
    leaf = device.make_leaf(site.world.maker, site.world.device_ca, key="p256")
    site.walk(device.Device(leaf), signing={"md": "sha256"}).offer().identify()


@pytest.mark.parametrize("header", ["application/pkcs7-signature", "application/pkcs7-mime",
                                    "application/octet-stream", ""])
def test_content_type_of_device_messages_does_not_matter(site, header):
    walk = site.walk().offer()
    assert site.curl(walk.device_url, data=walk.phase2_message(),
                     headers=[f"Content-Type:{header}"]).status == 200


# --- the certificate of the TLS handshake --------------------------------------------------------


@pytest.fixture(scope="module")
def young(world):
    """A leaf that is valid now: mod_ssl refuses expired ones in the handshake by itself."""
    return device.make_leaf(world.maker, world.device_ca, start=pki.days(-1), end=pki.days(30))


@pytest.mark.parametrize("mode", ["off", "optional", "require"])
def test_tls_certificate_of_the_device(hosts, young, mode):
    walk = hosts.walk(device.Device(young), host=f"{mode}.test", weak_tls=True,
                      tls={2: young, 3: "identity"})
    walk.offer().identify().certify().deliver()


def test_tls_certificate_of_phase_2_in_phase_3(hosts, young):
    """Another certificate of the same enrollment will do."""
    hosts.walk(device.Device(young), host="require.test", weak_tls=True,
               tls={2: young, 3: young}).offer().identify().certify().deliver()


@pytest.mark.parametrize("mode, accepted", [("off", True), ("optional", True), ("require", False)])
def test_no_tls_certificate(hosts, young, mode, accepted):
    walk = hosts.walk(device.Device(young), host=f"{mode}.test", weak_tls=True).offer()
    if not accepted:
        hosts.expect("TLS_CERTIFICATE_MISSING")
    assert walk.post(walk.phase2_message()).status == (200 if accepted else 403)


@pytest.mark.parametrize("mode, accepted", [("off", True), ("optional", False),
                                            ("require", False)])
def test_tls_certificate_of_another_device(hosts, young, mode, accepted):
    other = device.make_leaf(hosts.world.maker, hosts.world.device_ca, start=pki.days(-1),
                             end=pki.days(30))
    walk = hosts.walk(device.Device(young), host=f"{mode}.test", weak_tls=True,
                      tls={2: other}).offer()
    if not accepted:
        hosts.expect("TLS_CERTIFICATE_FOREIGN")
    response = walk.post(walk.phase2_message())
    assert response.status == (200 if accepted else 403)
    if not accepted:
        assert response.json()["code"] == "MDM0211"


def test_made_up_tls_certificate(hosts, young):
    """One that nobody trusts, though it names the same subject."""
    made_up = hosts.world.maker.issue("O=Test Inc., CN=made up", key="rsa2048")
    walk = hosts.walk(device.Device(young), host="optional.test", weak_tls=True,
                      tls={2: made_up}).offer()
    hosts.expect("TLS_CERTIFICATE_FOREIGN")
    assert walk.post(walk.phase2_message()).status == 403


# --- SCEP ----------------------------------------------------------------------------------------


def test_get_ca_caps(hosts):
    response = curl(hosts.plain_url(SCEP) + "?operation=GetCACaps&message=x")
    assert (response.status, response.type) == (200, "text/plain")
    assert set(response.body.decode().split()) >= {"AES", "POSTPKIOperation", "SCEPStandard",
                                                   "SHA-256", "SHA-384", "SHA-512"}


@pytest.mark.parametrize("message", ["", "&message=", "&message=0", "&message=Example%20Corp"])
def test_get_ca_cert(hosts, message):
    response = curl(hosts.plain_url(SCEP) + "?operation=GetCACert" + message)
    assert (response.status, response.type) == (200, "application/x-x509-ca-cert")
    assert response.body == hosts.world.site.ca.der


def test_strongswan_gets_the_ca(hosts, tmp_path):
    assert scep.strongswan_ca(hosts.plain_url(SCEP), tmp_path) == hosts.world.site.ca.der


@pytest.mark.parametrize("cipher, digest", [("aes", "sha256"), ("aes", "sha384"),
                                            ("aes", "sha512")])
def test_strongswan_enrolls(hosts, cipher, digest):
    hosts.walk().offer().identify().certify("strongswan", cipher=cipher, digest=digest)


def test_certmonger_enrolls(hosts):
    """By GET, with everything escaped."""
    walk = hosts.walk().offer().identify()
    request, ca_file = walk.request(), hosts.world.site.ca.cert_file
    assert b"SHA-256" in scep.certmonger(hosts.plain_url(SCEP), ca_file, "-c")
    cert = scep.certmonger_enroll(hosts.plain_url(SCEP), ca_file,
                                  request.message(walk.scep_challenge, ca_file), request.signer)
    assert subject(cert, NameOID.COMMON_NAME) == [walk.device.udid]


@pytest.mark.parametrize("escaping", ["everything", "nothing", "lines", "padding left out",
                                      "url alphabet"])
def test_get_however_it_is_escaped(hosts, escaping):
    walk = hosts.walk().offer().identify()
    request = walk.request()
    ca_file = hosts.world.site.ca.cert_file
    message = request.message(walk.scep_challenge, ca_file)
    text = base64.b64encode(message).decode()
    url = hosts.plain_url(SCEP) + "?operation=PKIOperation&message="
    whole = {
        "everything": lambda: scep.get_url(hosts.plain_url(SCEP), message),
        "nothing": lambda: url + text,
        "lines": lambda: url + "%0A".join(text[i:i + 64] for i in range(0, len(text), 64)),
        "padding left out": lambda: url + text.rstrip("="),
        "url alphabet": lambda: url + base64.urlsafe_b64encode(message).decode(),
    }[escaping]()
    response = curl(whole)
    assert response.status == 200
    assert request.open(response.body, ca_file).status == scep.SUCCESS


def test_cert_rep(hosts):
    walk = hosts.walk().offer().identify()
    request, nonce = walk.request(), bytes(range(16))
    ca_file = hosts.world.site.ca.cert_file
    reply = request.open(hosts.post_scep(
        request.message(walk.scep_challenge, ca_file, nonce=nonce)).body, ca_file)
    assert (reply.status, reply.message_type, reply.fail_info) == (scep.SUCCESS, "3", None)
    assert (reply.transaction, reply.recipient_nonce) == (request.transaction, nonce)
    assert len(reply.sender_nonce) == 16 and reply.sender_nonce != nonce
    assert cms.envelope_facts(reply.content)[:2] == ("aes128_cbc", 1)


def test_repeated_request_gets_the_same_certificate(hosts):
    """A lost reply (RFC 8894, retransmission)."""
    walk = hosts.walk().offer().identify()
    request, ca_file = walk.request(), hosts.world.site.ca.cert_file
    message = request.message(walk.scep_challenge, ca_file)
    replies = [request.open(hosts.post_scep(message).body, ca_file) for _ in range(3)]
    assert {r.certificate for r in replies} == {replies[0].certificate}
    assert replies[0].sender_nonce != replies[1].sender_nonce


# --- PostgreSQL ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def postgres_site(world):
    site = world.make_site("postgres-site", database=world.make_database()).start()
    yield site
    site.stop()


@pytest.mark.parametrize("client", ["ours", "strongswan"])
def test_whole_flow_on_postgresql(postgres_site, client):
    walk = postgres_site.walk(user="jürgen").all(client)
    assert states(postgres_site.database)[enrollment_of(walk)] == "delivered"
    rows = postgres_site.database.query("SELECT user_name FROM enrollment")
    assert ("jürgen",) in rows


# --- what the log says ---------------------------------------------------------------------------


def test_variables_for_logformat(site):
    walk = site.walk().all()
    def lines_of_it():
        return [line for line in site.httpd.access_lines() if f"udid={walk.device.udid}" in line]
    wait_until(lambda: "phase=3" in "".join(lines_of_it()), "phase 3 in the access log")
    lines = lines_of_it()
    assert [line.split("phase=")[1][0] for line in lines if "/device" in line] == ["2", "3"]
    assert all(f"enrollment={enrollment_of(walk)}" in line and "user=alice" in line
               for line in lines)
