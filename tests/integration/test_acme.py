# SPDX-License-Identifier: Apache-2.0
"""The identity for the MDM server by ACME: what which device is told, and what an ACME server that
asks for a client identifier is answered. The questions are those that step-ca sends (its
webhook/types.go); Debian has no ACME server that knows device-attest-01."""

import base64
import json
import re

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from harness import paths, scep, slapd
from harness.database import unchanged
from harness.http import curl, volley
from harness.process import run
from harness.schema import Schemas
from harness.site import ID, SCEP, htpasswd, vhost

DIRECTORY = "https://ca.example.test/acme/mdm/directory"
ACME = "/enroll/acme"
CALLER = ("alice", slapd.password("alice"))
OLD = {"PRODUCT": "iPhone9,1", "OS_VERSION": "15.8.3", "VERSION": "19H386"}
UNATTESTED = {"PRODUCT": "iPad7,11", "OS_VERSION": "17.7", "VERSION": "21H16"}


def asked(world):
    return f'<Location "{ACME}">\nMDMEnrollEndpoint acme\n{htpasswd(world)}</Location>\n'


def hosts_of(site):
    """enroll.test says no more than it must; step.test is for step-ca; strict.test lets nobody fall
    back. A vhost on loopback has the endpoint acme for a server on this very host."""
    world = site.world
    text = site.tls_vhost(site.HOST, f"MDMEnrollIdentity acme {DIRECTORY}\n" + asked(world))
    text += site.tls_vhost("step.test", f"MDMEnrollIdentity acme {DIRECTORY} attest=require "
                           "client-identifier=serial fallback=builtin\n" + asked(world))
    text += site.tls_vhost("strict.test", f"MDMEnrollIdentity acme {DIRECTORY} attest=require\n" +
                           asked(world))
    return text + vhost(
        site.plain_port, "plain.test", f"MDMEnrollIdentity acme {DIRECTORY}\n"
        f'<Location "{ACME}">\nMDMEnrollEndpoint acme\nRequire ip 127.0.0.1\n</Location>\n',
        protocols="http/1.1")


@pytest.fixture(scope="module")
def hosts(world):
    site = world.make_site("acme", vhosts=hosts_of).start()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def keys():
    return [ec.generate_private_key(ec.SECP256R1()) for _ in range(20)]


def deliver(hosts, host=None, **attributes):
    device = hosts.world.device(**attributes)
    return hosts.walk(device, host=host).offer().identify().certify().deliver()


def payload(hosts, host=None, **attributes):
    return deliver(hosts, host, **attributes).payload("com.apple.security.acme")


def b64(data):
    return base64.b64encode(data).decode()


def webhook(identifier, key, unit=None):
    """An enriching webhook's body: the request as the device sends it."""
    names = [x509.NameAttribute(NameOID.COMMON_NAME, identifier)]
    if unit:
        names.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    request = (x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names))
               .sign(key, hashes.SHA256()))
    return json.dumps({
        "timestamp": "2026-11-26T09:00:00.000000000Z", "provisionerName": "mdm",
        "attestationData": {"permanentIdentifier": identifier},
        "x509CertificateRequest": {
            "version": 0, "subject": {"commonName": identifier}, "dnsNames": None,
            "publicKey": b64(spki(key)), "publicKeyAlgorithm": "ECDSA",
            "raw": b64(request.public_bytes(serialization.Encoding.DER))}}).encode()


def spki(key):
    return key.public_key().public_bytes(serialization.Encoding.DER,
                                         serialization.PublicFormat.SubjectPublicKeyInfo)


def ask(hosts, body, host=None, user=CALLER):
    return hosts.curl(ACME, host=host, data=body, user=user,
                      headers=["Content-Type: application/json"])


def allowed(response, walk):
    assert (response.status, response.type) == (200, "application/json")
    assert response.json() == {"allow": True, "data": {
        "serial": walk.device.serial, "udid": walk.device.udid, "user": "alice",
        "enrollment": walk.site.database.query(
            f"SELECT id FROM enrollment WHERE udid = '{walk.device.udid}'")[0][0]}}


def denied(hosts, message, body, host=None):
    """A "no" is an answer, not a failure of the server."""
    hosts.expect(message)
    response = ask(hosts, body, host)
    assert response.status == 200
    answer = response.json()
    assert answer["allow"] is False and answer["error"]["code"] == ID[message], answer
    assert answer["error"]["message"]


# --- what the device is told ---------------------------------------------------------------------


@pytest.mark.parametrize("host, attributes, hardware, attest", [
    (None, {}, True, True), (None, UNATTESTED, True, False),
    (None, {"PRODUCT": "Mac14,2", "OS_VERSION": "14.5"}, True, True),
    (None, {"PRODUCT": "MacBookPro16,1", "OS_VERSION": "15.1"}, True, False),
    (None, {"PRODUCT": "Mac14,2", "OS_VERSION": "13.6"}, False, False),
    ("step.test", {}, True, True)])
def test_payload(hosts, shared_folder, host, attributes, hardware, attest):
    walk = deliver(hosts, host, **attributes)
    acme = walk.payload("com.apple.security.acme")
    schemas = Schemas(shared_folder / "schema")
    assert [problem for p in walk.payloads for problem in schemas.payload(p)] == []
    assert walk.scep_payload is None
    assert walk.payload("com.apple.mdm")["IdentityCertificateUUID"] == acme["PayloadUUID"]
    assert acme["DirectoryURL"] == DIRECTORY
    assert (acme["HardwareBound"], acme["Attest"]) == (hardware, attest)
    assert (acme["KeyType"], acme["KeySize"]) == ("ECSECPrimeRandom", 256)
    assert acme["ExtendedKeyUsage"] == ["1.3.6.1.5.5.7.3.2"] and acme["UsageFlags"] == 1
    assert ("KeyIsExtractable" in acme) == ("Mac" in walk.device.attributes["PRODUCT"])
    subject = dict(rdn[0] for rdn in acme["Subject"])
    if host:
        assert acme["ClientIdentifier"] == subject["CN"] == walk.device.serial
        assert subject["OU"].startswith("mdm-enroll:")
    else:
        assert len(acme["ClientIdentifier"]) == 43
        assert (subject["CN"], subject["OU"]) == (walk.device.udid, "MDM")
        assert acme["ClientIdentifier"].encode() not in hosts.database.path.read_bytes()
        assert acme["ClientIdentifier"] not in hosts.log.text()


@pytest.mark.parametrize("host, attributes", [(None, OLD), ("step.test", OLD),
                                              ("step.test", UNATTESTED)])
def test_fallback(hosts, host, attributes):
    """By SCEP from the site's own CA, as ever."""
    walk = deliver(hosts, host, **attributes)
    assert walk.scep_payload is not None
    walk.certify()


@pytest.mark.parametrize("attributes, message, says", [
    (OLD, "ACME_SYSTEM", "too old"), (UNATTESTED, "ACME_ATTESTATION", "prove")])
def test_refused(hosts, attributes, message, says):
    """In phase 2 already, in words for the person at the device."""
    walk = hosts.walk(hosts.world.device(**attributes), host="strict.test").offer()
    hosts.expect(message)
    response = walk.post(walk.phase2_message())
    assert (response.status, response.json()["code"]) == (403, ID[message])
    assert says in response.json()["message"]
    assert deliver(hosts, "strict.test").payload("com.apple.security.acme")["Attest"] is True


# --- what the server is answered -----------------------------------------------------------------


def test_once(hosts, keys):
    walk = deliver(hosts)
    identifier = walk.payload("com.apple.security.acme")["ClientIdentifier"]
    body = webhook(identifier, keys[0])
    allowed(ask(hosts, body), walk)
    allowed(ask(hosts, body), walk)  # its answer was lost
    authorizing = json.dumps({
        "attestationData": {"permanentIdentifier": identifier},
        "x509Certificate": {"publicKey": b64(spki(keys[0])), "publicKeyAlgorithm": "ECDSA"}})
    allowed(ask(hosts, authorizing.encode()), walk)  # of the same order
    denied(hosts, "ACME_SPENT", webhook(identifier, keys[1]))
    assert identifier not in hosts.log.text()


def test_plain_form(hosts):
    walk = deliver(hosts)
    question = {"clientIdentifier": walk.payload("com.apple.security.acme")["ClientIdentifier"]}
    serial = question | {"serial": "C02OTHER"}
    denied(hosts, "ACME_DEVICE", json.dumps(serial).encode())
    denied(hosts, "ACME_DEVICE", json.dumps(question | {"udid": "0"}).encode())
    right = question | {"serial": walk.device.serial, "udid": walk.device.udid.lower(),
                        "order": "https://ca.example.test/order/1"}
    allowed(ask(hosts, json.dumps(right).encode()), walk)
    allowed(ask(hosts, json.dumps(right).encode()), walk)
    denied(hosts, "ACME_SPENT", json.dumps(question).encode())


def test_one_of_many(hosts, world, keys):
    """20 orders at one moment: one is allowed. One order 20 times is one order."""
    def ask_all(bodies):
        token = base64.b64encode(":".join(CALLER).encode()).decode()
        responses = volley(hosts.port, hosts.HOST, world.site.root_file, ACME, bodies,
                           headers={"Content-Type": "application/json",
                                    "Authorization": f"Basic {token}"})
        assert {r.status for r in responses} == {200}
        return [r.json()["allow"] for r in responses]

    hosts.expect("ACME_SPENT", times=19)
    identifier = payload(hosts)["ClientIdentifier"]
    assert sorted(ask_all([webhook(identifier, key) for key in keys])) == [False] * 19 + [True]
    body = webhook(payload(hosts)["ClientIdentifier"], keys[0])
    assert ask_all([body] * 20) == [True] * 20


def test_step_ca(hosts, keys):
    """The identifier is the serial number that was attested; the secret is in the subject."""
    walk = deliver(hosts, "step.test")
    acme = walk.payload("com.apple.security.acme")
    unit = dict(rdn[0] for rdn in acme["Subject"])["OU"]
    other = deliver(hosts, "step.test")
    serial = acme["ClientIdentifier"]
    denied(hosts, "CHALLENGE_UNKNOWN", webhook(serial, keys[0]), "step.test")
    denied(hosts, "CHALLENGE_UNKNOWN", webhook(serial, keys[0], "mdm-enroll:guess"), "step.test")
    denied(hosts, "ACME_DEVICE", webhook(other.device.serial, keys[0], unit), "step.test")
    allowed(ask(hosts, webhook(serial, keys[0], unit), "step.test"), walk)
    denied(hosts, "ACME_SPENT", webhook(serial, keys[1], unit), "step.test")


def test_elsewhere(hosts, keys):
    """What one host offered is none of a host with other demands."""
    body = webhook(payload(hosts, "strict.test")["ClientIdentifier"], keys[0])
    denied(hosts, "CHALLENGE_UNKNOWN", body)
    assert ask(hosts, body, "strict.test").json()["allow"] is True


def test_expired_and_ended(hosts, keys):
    identifier = payload(hosts)["ClientIdentifier"]
    hosts.database.execute("UPDATE challenge SET expires_at = 1 WHERE purpose = 'acme'")
    denied(hosts, "CHALLENGE_EXPIRED", webhook(identifier, keys[0]))
    walk = deliver(hosts)
    identifier = walk.payload("com.apple.security.acme")["ClientIdentifier"]
    run(paths.MDM_ADMIN, "revoke", "--device", walk.device.serial, "--store", hosts.database.store)
    denied(hosts, "CHALLENGE_EXPIRED", webhook(identifier, keys[0]))
    with_time_left = "UPDATE challenge SET expires_at = 9999999999 WHERE purpose = 'acme'"
    hosts.database.execute(with_time_left)
    denied(hosts, "ACME_ENDED", webhook(identifier, keys[0]))


def test_no_scep_with_it(hosts):
    """The secret is for ACME alone, and SCEP's challenge is none for ACME."""
    walk = deliver(hosts)
    identifier = walk.payload("com.apple.security.acme")["ClientIdentifier"]
    request = walk.request()
    hosts.expect("SCEP_CHALLENGE")
    with unchanged(hosts.database):
        response = hosts.post_scep(request.message(identifier, walk.ca.cert_file))
    assert request.open(response.body, walk.ca.cert_file).status == scep.FAILURE
    old = deliver(hosts, **OLD)
    denied(hosts, "CHALLENGE_UNKNOWN",
           json.dumps({"clientIdentifier": old.scep_challenge}).encode())


@pytest.mark.parametrize("body", [
    b"{}", b"[]", b"not JSON", b'{"clientIdentifier": 7}', b'{"clientIdentifier": ""}',
    b'{"clientIdentifier": "x", "clientIdentifier": "y"}', b'{"clientIdentifier": "x\\u0000"}',
    b'{"clientIdentifier": "x", "csr": "AAAA"}', b'{"clientIdentifier": "x", "csr": "%"}',
    b'{"attestationData": {"permanentIdentifier": "' + b"x" * 300 + b'"}}',
    b'{"attestationData": [], "x509CertificateRequest": "x"}'])
def test_malformed(hosts, body):
    hosts.expect("ACME_REQUEST")
    with unchanged(hosts.database):
        assert ask(hosts, body).status == 400


def test_callers(hosts, keys, world):
    """Whom httpd does not know learns nothing, and spends nothing."""
    walk = deliver(hosts)
    body = webhook(walk.payload("com.apple.security.acme")["ClientIdentifier"], keys[0])
    with unchanged(hosts.database):
        assert ask(hosts, body, user=None).status == 401
        hosts.expect("AH01617")
        assert ask(hosts, body, user=("alice", "wrong")).status == 401
        hosts.expect("HTTP_METHOD", "HTTP_BODY_TOO_LARGE")
        response = hosts.curl(ACME, user=CALLER)
        assert response.status == 405 and "GET" not in response.headers["allow"]
        assert ask(hosts, b" " * 65537).status == 413
    # on loopback without TLS, by the address
    response = curl(hosts.plain_url(ACME), data=body, headers=["Content-Type: application/json"])
    allowed(response, walk)


# --- the configuration ---------------------------------------------------------------------------

IDENTITY = f"MDMEnrollIdentity acme {DIRECTORY}"
BROKEN = {
    "no URL": ("MDMEnrollIdentity acme", "no URL of an ACME directory", "acme https://host"),
    "plain http": ("MDMEnrollIdentity acme http://ca.test/d", '"http://ca.test/d" is no URL',
                   "https://"),
    "for phase 3": (IDENTITY + " for=identity", '"for=identity" is not accepted',
                    "in phase 2 a device takes an identity by SCEP or PKCS #12 only"),
    "for all": (IDENTITY + " for=all", '"for=all" is not accepted', "for=mdm"),
    "key": (IDENTITY + " key=RSA-1024", '"key=RSA-1024"', "P-256"),
    "hardware": (IDENTITY + " hardware=yes", '"hardware=yes"', "auto, off or require"),
    "attest": (IDENTITY + " attest=", '"attest="', "auto, off or require"),
    "fallback": (IDENTITY + " fallback=scep", '"fallback=scep"', "builtin or none"),
    "identifier": (IDENTITY + " client-identifier=imei", "client-identifier=imei", "secret, serial"),
    "unknown": (IDENTITY + " challenge=text:x", '"challenge=text:x" is no option', "attest="),
    "twice": (IDENTITY + " key=P-256 key=P-256", "key= is given twice", "once"),
    "RSA in hardware": (IDENTITY + " key=RSA-2048 hardware=require", "an RSA key", "key=P-256"),
    "attested software": (IDENTITY + " attest=require hardware=off", "outside of the Secure",
                          "not hardware=off"),
    "said already": (IDENTITY + "\nMDMEnrollIdentity builtin for=mdm", "for=mdm is said already",
                     "once"),
    "attributes": (IDENTITY + "\nMDMEnrollDeviceAttributes UDID SERIAL", "PRODUCT is not in it",
                   "add them"),
    "payload": (IDENTITY + "\nMDMEnrollPayload com.apple.security.acme HardwareBound true",
                "HardwareBound goes by the device", "hardware= of MDMEnrollIdentity"),
    "pkcs12 for phase 3": ("MDMEnrollIdentity pkcs12 for=identity", '"for=identity"',
                           "is not encrypted"),
    "pkcs12 for all": ("MDMEnrollIdentity pkcs12 for=all", '"for=all"', "for=mdm"),
    "pkcs12 key": ("MDMEnrollIdentity pkcs12 key=auto", '"key=auto"', "RSA-2048"),
    "algorithms": ("MDMEnrollIdentity pkcs12 algorithms=rc2", '"algorithms=rc2"', "legacy"),
    "pkcs12 URL": ("MDMEnrollIdentity pkcs12 https://ca.test", '"https://ca.test" is no option',
                   "algorithms="),
    "pkcs12 attributes": ("MDMEnrollIdentity pkcs12\nMDMEnrollDeviceAttributes UDID SERIAL PRODUCT",
                          "neither OS_VERSION nor VERSION", "add them"),
    "direct as PKCS #12": ('MDMEnrollIdentity pkcs12\n<Location "/d">\nMDMEnrollEndpoint direct\n'
                           "Require valid-user\n</Location>", "endpoint direct is not encrypted",
                           "by SCEP"),
    "direct by ACME": (IDENTITY + ' fallback=none\n<Location "/d">\nMDMEnrollEndpoint direct\n'
                       "Require valid-user\n</Location>", "does not know the device",
                       "fallback=builtin"),
    "open": (f'{IDENTITY}\n<Location "{ACME}">\nMDMEnrollEndpoint acme\nRequire all granted\n'
             "</Location>", "everybody may ask", "valid-user"),
    "nobody asked": (f'{IDENTITY}\n<Location "{ACME}">\nMDMEnrollEndpoint acme\n</Location>',
                     "everybody may ask", "valid-user"),
}


@pytest.fixture(scope="module")
def kit(world):
    return world.make_site("acme-config", directory=False, authentication=htpasswd(world))


@pytest.mark.parametrize("name", BROKEN)
def test_broken(kit, name):
    lines, seen, wanted = BROKEN[name]
    kit.httpd.configure(kit.config().replace("</VirtualHost>", lines + "\n</VirtualHost>", 1))
    status, said = kit.httpd.test()
    assert status != 0 and seen in said and wanted in said, said
    assert "MDMEnroll" in said


def test_fallback_needs_scep(kit):
    """What is said to fall back needs where to; what is not simply has none."""
    text = kit.config()
    location = text[text.index(f'<Location "{SCEP}">'):]
    location = location[:location.index("</Location>") + len("</Location>\n")]
    text = text.replace(location, "")
    foreign = ("MDMEnrollIdentity scep https://ca.test/scep for=identity challenge=text:x\n"
               f"MDMEnrollIdentityCA {kit.world.site.root_file}\n{IDENTITY}")
    kit.httpd.configure(text.replace("</VirtualHost>", foreign + "\n</VirtualHost>"))
    assert kit.httpd.test() == (0, "Syntax OK\n")
    kit.httpd.configure(text.replace("</VirtualHost>", foreign +
                                     " fallback=builtin\n</VirtualHost>"))
    status, said = kit.httpd.test()
    assert status != 0 and "needs the endpoint scep" in said


def test_plain_and_open_to_the_world(kit):
    """Without TLS it must be on loopback."""
    endpoint = (f'<Location "{ACME}">\nMDMEnrollEndpoint acme\nRequire ip 192.0.2.7\n</Location>\n')
    port = kit.plain_port
    text = kit.config() + (f"<VirtualHost *:{port}>\nServerName open.test\n{IDENTITY}\n{endpoint}"
                           "</VirtualHost>\n")
    kit.httpd.configure(text)
    status, said = kit.httpd.test()
    assert status != 0 and "the endpoint acme needs https" in said
