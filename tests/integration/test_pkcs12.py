# SPDX-License-Identifier: Apache-2.0
"""The identity for the MDM server as PKCS #12: what is in it, read by programs that nobody here wrote;
that it works; that of many answers at one moment one counts."""

import json
import os
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs12

from harness import paths, slapd
from harness.http import volley
from harness.process import run
from harness.schema import Schemas
from harness.site import DEVICE, PROFILE, certificate, htpasswd, vhost

SOUND = 0


def hosts_of(site):
    """enroll.test says no more than it must; fast.test has EC keys and asks for client certificates
    at /who, old.test old algorithms and another curve; localhost is for mdm-device."""
    world = site.world
    text = site.tls_vhost(site.HOST, "MDMEnrollIdentity pkcs12\n")
    text += site.tls_vhost("fast.test", "MDMEnrollIdentity pkcs12 for=mdm key=P-256\n"
                           f"SSLCACertificateFile {world.site.ca.cert_file}\n"
                           "SSLVerifyDepth 3\n"
                           '<Location "/who">\nSSLVerifyClient require\n</Location>\n'
                           f"DocumentRoot {site.folder}\n")
    text += site.tls_vhost("localhost", "MDMEnrollIdentity pkcs12 key=P-256\n")
    return text + site.tls_vhost(
        "old.test", "MDMEnrollIdentity pkcs12 algorithms=legacy key=P-384\n")


@pytest.fixture(scope="module")
def hosts(world, device_ca):
    site = world.make_site(
        "pkcs12", vhosts=hosts_of,
        directives=f"MDMEnrollDeviceCA {device_ca}/device-ca.pem {world.device_ca.cert_file}\n")
    yield site.start()
    site.stop()


@pytest.fixture(scope="module")
def device_ca(world):
    folder = world.new_folder("pkcs12-device")
    run(paths.MDM_DEVICE, "make-ca", folder)
    return folder


def identified(site, host=None, **attributes):
    return site.walk(site.world.device(**attributes), host=host).offer().identify().certify()


def delivered(site, host=None, **attributes):
    return identified(site, host, **attributes).deliver()


def container(walk):
    """(the payload, key, certificate), by Python's cryptography."""
    payload = walk.payload("com.apple.security.pkcs12")
    key, cert, more = pkcs12.load_key_and_certificates(payload["PayloadContent"],
                                                       payload["Password"].encode())
    assert more == []
    return payload, key, cert


def openssl_info(walk, folder, *options):
    payload = walk.payload("com.apple.security.pkcs12")
    (folder / "p12").write_bytes(payload["PayloadContent"])
    return run("openssl", "pkcs12", "-info", "-in", folder / "p12", "-noout", *options, "-passin",
               "env:P12", env=os.environ | {"P12": payload["Password"]}).stderr.decode()


def recorded(walk):
    """[(fingerprint, revoked)] of the certificates for the MDM server of a device's enrollment."""
    return [(f, r != "0") for f, r in walk.site.database.query(
        "SELECT fingerprint, revoked_at FROM certificate WHERE purpose = 'mdm' AND enrollment = "
        f"(SELECT id FROM enrollment WHERE udid = '{walk.device.udid}')")]


def fingerprint(cert):
    return cert.fingerprint(hashes.SHA256()).hex()


def test_payload(hosts, world, shared_folder, tmp_path):
    walk = delivered(hosts)
    payload, key, cert = container(walk)
    schemas = Schemas(shared_folder / "schema")
    assert schemas.profile(walk.profile) == []
    assert [problem for p in walk.payloads for problem in schemas.payload(p)] == []
    mdm = walk.payload("com.apple.mdm")
    assert mdm["IdentityCertificateUUID"] == payload["PayloadUUID"]
    assert walk.scep_payload is None and "KeyIsExtractable" not in payload
    assert isinstance(key, rsa.RSAPrivateKey) and key.key_size == 2048
    assert key.public_key().public_numbers() == cert.public_key().public_numbers()
    # what the identity of phase 3 says of the device is said here, too
    names = {a.oid.dotted_string: a.value for a in cert.subject}
    assert (names["2.5.4.3"], names["2.5.4.5"], names["2.5.4.11"]) == (
        walk.device.udid, walk.device.serial, "MDM")
    identity = world.maker.store(cert, key)
    run("openssl", "verify", "-purpose", "sslclient", "-CAfile", world.site.ca.cert_file,
        identity.cert_file)
    assert recorded(walk) == [(fingerprint(cert), False)]
    # It is in the encrypted part only, and another one the next time.
    assert payload["PayloadContent"] not in walk.encrypted
    other, other_key, _ = container(delivered(hosts))
    assert other["Password"] != payload["Password"] and len(payload["Password"]) == 43
    assert other_key.private_numbers() != key.private_numbers()
    # neither key nor password is anywhere else
    log = hosts.log.text()
    assert payload["Password"] not in log and other["Password"] not in log
    database = hosts.database.path.read_bytes()
    for number in (key.private_numbers().d, key.private_numbers().p):
        assert number.to_bytes((number.bit_length() + 7) // 8, "big") not in database
    assert payload["Password"].encode() not in database


@pytest.mark.parametrize("host, version, algorithms", [
    (None, "18.1", "PBES2, PBKDF2, AES-256-CBC"), (None, "17.6", "pbeWithSHA1And3-KeyTripleDES"),
    ("old.test", "18.1", "pbeWithSHA1And3-KeyTripleDES")])
def test_algorithms(hosts, tmp_path, host, version, algorithms):
    walk = delivered(hosts, host, OS_VERSION=version)
    info = openssl_info(walk, tmp_path)
    assert info.count(algorithms) == 2, info  # key and certificate
    assert ("MAC: sha256" if algorithms.startswith("PBES2") else "MAC: sha1") in info
    assert "RC2" not in info
    assert openssl_info(walk, tmp_path, "-legacy").count(algorithms) == 2
    _, key, _ = container(walk)
    assert key.key_size == (384 if host == "old.test" else 2048)


def test_mac(hosts):
    """It knows KeyIsExtractable."""
    walk = delivered(hosts, "fast.test", PRODUCT="Mac14,2", OS_VERSION="14.5")
    payload, key, cert = container(walk)
    assert payload["KeyIsExtractable"] is False
    assert isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1"
    usage = cert.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_encipherment


def test_tls(hosts, world):
    """What an MDM server does: ask for the certificate, and know its CA."""
    (hosts.folder / "who").write_text("you\n")
    _, key, cert = container(delivered(hosts, "fast.test"))
    identity = world.maker.store(cert, key)
    options = {"host": "fast.test"}
    assert hosts.curl("/who", identity=identity, **options).body == b"you\n"
    hosts.expect("AH02263")
    failed = run("curl", "--silent", "--cacert", world.site.root_file, "--http1.1", "--connect-to",
                 f"::127.0.0.1:{hosts.port}", hosts.url("/who", "fast.test"), ok=False)
    assert failed.returncode != 0 or b"you" not in failed.stdout


def test_one_of_many(hosts, world):
    """The same message at the same moment: one answer, and one certificate that lives."""
    walk = identified(hosts, "fast.test")
    message = walk.phase3_message()
    hosts.expect("ENROLLMENT_STATE", times=19)
    responses = volley(hosts.port, "fast.test", world.site.root_file, DEVICE, [message] * 20)
    assert sorted(r.status for r in responses) == [200] + [403] * 19
    (won,) = [r for r in responses if r.status == 200]
    walk.post = lambda message, phase: won
    _, _, cert = container(walk.deliver())
    rows = recorded(walk)
    assert (fingerprint(cert), False) in rows
    assert [f for f, revoked in rows if not revoked] == [fingerprint(cert)]


def test_revoked(hosts):
    """As every other certificate of the site."""
    walk = delivered(hosts, "fast.test")
    run(paths.MDM_ADMIN, "revoke", "--device", walk.device.serial, "--store", hosts.database.store)
    assert [revoked for _, revoked in recorded(walk)] == [True]


def test_mdm_device(hosts, world, device_ca):
    """The simulated device imports it, and has no URL to renew it at."""
    password = world.scratch / "password"
    password.write_text(slapd.password("alice") + "\n")
    done = run(paths.MDM_DEVICE, "enroll", hosts.url(PROFILE, "localhost"), "--user", "alice",
               "--password-file", password, "--ca", world.site.root_file, "--identity", device_ca,
               "--udid", "U-P12", "--serial", "SP12", ok=False)
    assert done.returncode == SOUND, (done.stdout + done.stderr).decode()
    shown = done.stdout.decode()
    assert "PKCS #12: the device imports the identity" in shown and "(one-time secret" in shown
    cert = run("openssl", "x509", "-in", device_ca / "mdm-identity.pem", "-noout", "-pubkey").stdout
    key = run("openssl", "pkey", "-in", device_ca / "mdm-identity.key", "-pubout").stdout
    assert cert == key
    assert json.loads((device_ca / "mdm-identity.json").read_text()) == {}
    before = (device_ca / "mdm-identity.pem").read_bytes()
    time.sleep(1.1)  # messages are told apart by their signing time
    update = run(paths.MDM_DEVICE, "update", device_ca, "--ca", world.site.root_file, ok=False)
    assert update.returncode == SOUND, (update.stdout + update.stderr).decode()
    assert (device_ca / "mdm-identity.pem").read_bytes() != before
    # Both live until the new one is seen (Require mdm-device), or the old one ends.
    assert [r for r in hosts.database.query(
        "SELECT count(*) FROM certificate WHERE purpose = 'mdm' AND revoked_at = 0 AND enrollment "
        "= (SELECT id FROM enrollment WHERE udid = 'U-P12')")] == [("2",)]
    renewal = run(paths.MDM_DEVICE, "renew", device_ca, "--ca", world.site.root_file, ok=False)
    assert renewal.returncode != SOUND and b"PKCS #12" in renewal.stderr


def test_without_scep(own_site, world):
    """Identities from elsewhere and PKCS #12 for the MDM server: the CA, and no endpoint scep."""
    directives = ("MDMEnrollIdentity scep https://ca.test/scep for=identity challenge=text:x\n"
                  f"MDMEnrollIdentityCA {world.site.root_file}\n"
                  "MDMEnrollIdentity pkcs12\n")

    def hosts(site):
        identity = world.site.server(site.HOST)
        return vhost(site.port, site.HOST, certificate(identity, bundle=world.bundle(identity)) +
                     f'<Location "{PROFILE}">\nMDMEnrollEndpoint profile\n{htpasswd(world)}'
                     f'</Location>\n<Location "{DEVICE}">\nMDMEnrollEndpoint device\n'
                     "Require all granted\n</Location>\n")
    site = own_site(directives=directives, directory=False, vhosts=hosts)
    assert site.httpd.test() == (0, "Syntax OK\n")
    site.httpd.configure("\n".join(
        line for line in site.config().splitlines() if not line.startswith("MDMEnrollCA ")))
    status, said = site.httpd.test()
    assert status != 0 and "MDMEnrollCA is missing" in said
