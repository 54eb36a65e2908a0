# SPDX-License-Identifier: Apache-2.0
"""Identities from a CA that the site has already: Debian's scepserver stands for it. Whole walks, and
who else may want somebody's enrollment."""

import secrets

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID

from harness import foreign, paths, pki, slapd
from harness.database import unchanged
from harness.http import volley
from harness.process import run
from harness.site import CHECKIN, DEVICE, ID, PROFILE, SCEP

SECRET = "static secret of the foreign CA"


@pytest.fixture(scope="module")
def server(world):
    one = foreign.ScepServer(world.new_folder("scepserver"), SECRET).start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def handmade(world):
    """A second foreign CA, whose certificates the tests make as they like."""
    return world.maker.issue("O=Elsewhere, CN=Handmade CA", ca=True)


@pytest.fixture(scope="module")
def site(world, server, handmade, device_folder):
    """Both certificates come from elsewhere. Devices of mdm-device may come as well."""
    one = foreign.ForeignSite(
        world, world.new_folder("foreign"),
        directives=f'MDMEnrollIdentity scep {server.url} "challenge=text:{SECRET}"\n'
        f"MDMEnrollIdentityCA {server.ca_file} {handmade.cert_file}\n"
        f"MDMEnrollDeviceCA {device_folder}/device-ca.pem {world.device_ca.cert_file}\n").start()
    yield one
    one.stop()


@pytest.fixture
def walk(site, server):
    """Phase 2 is over."""
    return foreign.ForeignWalk(server, site, site.world.device()).offer().identify()


# --- both from elsewhere -------------------------------------------------------------------------


def test_walk(walk, server):
    payload = walk.content
    assert payload["Challenge"] == SECRET
    (unit,) = [v for ((k, v),) in payload["Subject"] if k == "OU"]
    assert unit.startswith("mdm-enroll:") and len(unit) <= 64
    assert [["CN", walk.device.udid]] in payload["Subject"]
    # What phase 3 wants besides is not to be read in the certificate.
    assert walk.device.serial not in walk.subject
    walk.certify().deliver()
    assert walk.row() == ("delivered", walk.enrolled_with.fingerprint)
    assert walk.scep_url == server.url
    assert [["2.5.4.5", walk.device.serial]] in walk.content["Subject"]
    assert [["OU", "MDM"]] in walk.content["Subject"]
    assert walk.payload("com.apple.mdm")["CheckInURL"] == CHECKIN
    walk.certify()
    assert walk.identity.fingerprint != walk.enrolled_with.fingerprint
    # Recorded as one of ours is, in the terms of its CA; nothing is recorded of the second.
    recorded = walk.site.database.query(
        "SELECT serial, purpose, fingerprint, revoked_at FROM certificate WHERE enrollment = "
        f"(SELECT id FROM enrollment WHERE udid = '{walk.device.udid}')")
    assert [r[1:] for r in recorded] == [("identity", walk.enrolled_with.fingerprint, "0")]
    assert recorded[0][0] == f"{walk.enrolled_with.cert.serial_number:02x}"


def test_again_with_the_same_certificate(walk):
    """A copy is one too many; a message of later is an update, which is encrypted to that
    certificate and says the same."""
    message = walk.certify().phase3_message()
    walk.deliver(message=message)
    walk.refused("ENROLLMENT_STATE", message=message)
    walk.age().deliver()
    assert walk.scep_url == walk.server.url
    assert walk.row() == ("delivered", walk.enrolled_with.fingerprint)


def test_pinned_at_first_use(walk, handmade):
    """A second certificate with the same subject, of whichever CA: refused from then on. The first
    to come is the one that counts."""
    first = walk.certify().identity
    second = walk.certify().identity
    walk.take(second).deliver()
    walk.take(first).refused("BINDING_SPENT")
    walk.take(foreign.made(walk, handmade, subject=second.cert.subject.rfc4514_string()
                   .replace(",", ", "))).refused("BINDING_SPENT")
    assert walk.row() == ("delivered", second.fingerprint)


@pytest.mark.parametrize("subject", ["O=Example, CN={udid}", "OU={unit}, OU={unit}",
                                     "OU={unit}, OU=mdm-enroll:other", "O={unit}, CN=x"])
def test_not_bound(walk, handmade, subject):
    """Somebody who knows the static challenge has a certificate, and not an enrollment."""
    (unit,) = [v for ((k, v),) in walk.content["Subject"] if k == "OU"]
    subject = subject.format(udid=walk.device.udid, unit=unit)
    walk.take(foreign.made(walk, handmade, subject)).refused("BINDING_MISSING")


def test_other_device(walk, site, handmade):
    """The subject of somebody else's enrollment, and one's own device."""
    walk.certify()
    device = walk.device
    for changes in ({"UDID": "ANOTHER"}, {"SERIAL": "ANOTHER"}):
        walk.device = site.world.device(**(device.attributes | changes))
        walk.refused("DEVICE_MISMATCH")
    walk.device = device
    walk.deliver()


def test_secret_of_another_enrollment(walk, site, server):
    victim = foreign.ForeignWalk(server, site, site.world.device()).offer().identify()
    walk.certify(subject=victim.subject).refused("DEVICE_MISMATCH")
    assert victim.row() == ("identifying", "")
    victim.certify().deliver()


def test_other_secrets(walk, handmade):
    """A secret that was never given, and one that was given for something else."""
    for secret in (secrets.token_urlsafe(32), walk.challenge):
        walk.take(foreign.made(walk, handmade, f"OU=mdm-enroll:{secret}, CN={walk.device.udid}")) \
            .refused("CHALLENGE_UNKNOWN")


def test_dates(walk, handmade):
    walk.take(foreign.made(walk, handmade, start=pki.days(-9), end=pki.days(-2))).refused("SIGNER_EXPIRED")


def test_too_late(walk):
    walk.certify()
    walk.site.database.execute("UPDATE challenge SET expires_at = 1 WHERE purpose = 'binding'")
    walk.refused("CHALLENGE_EXPIRED")


def test_revoked(walk):
    """An administrator revokes what was pinned."""
    walk.certify().deliver()
    walk.site.database.execute("UPDATE certificate SET revoked_at = 1 WHERE fingerprint = ?",
                               walk.enrolled_with.fingerprint)
    walk.take(walk.enrolled_with).refused("CERTIFICATE_REVOKED")


def test_user_disabled_in_between(site, server):
    walk = foreign.ForeignWalk(server, site, site.world.device(), user="bob").offer().identify().certify()
    site.world.slapd.disable("bob")
    try:
        site.expect("DIRECTORY_NO_USER")
        assert walk.post(walk.phase3_message(), phase=3).status == 403
        assert walk.row() == ("identifying", "")
    finally:
        site.world.slapd.enable("bob")
    walk.deliver()


def test_ec_key(walk, handmade):
    """Nothing could be encrypted to it."""
    walk.take(foreign.made(walk, handmade, key="p256"))
    walk.site.expect("SIGNER_KEY")
    with unchanged(walk.site.database):
        assert walk.post(walk.phase3_message(), phase=3).status == 400


def test_unknown_ca(walk, world):
    other = world.maker.issue("O=Elsewhere, CN=Handmade CA", ca=True, key=walk.request().key)
    walk.take(foreign.made(walk, other)).refused("SIGNER_UNKNOWN_ISSUER")


def test_nothing_at_the_endpoint_scep(site):
    assert site.curl(SCEP + "?operation=GetCACert").status == 404


@pytest.fixture(scope="module")
def aes_server(world, handmade):
    one = foreign.AesServer(handmade, SECRET, world.new_folder("aes-server"))
    yield one
    one.stop()


@pytest.fixture(scope="module")
def device_folder(world):
    folder = world.scratch / "device"
    run(paths.MDM_DEVICE, "make-ca", folder)
    return folder


@pytest.fixture(scope="module")
def device_site(world, aes_server, handmade, device_folder):
    one = foreign.ForeignSite(
        world, world.new_folder("for-mdm-device"),
        directives=f"MDMEnrollIdentity scep {aes_server.url} name=Devices "
        f'"challenge=text:{SECRET}" '
        f"ca-fingerprint={handmade.cert.fingerprint(hashes.SHA1()).hex()}\n"
        f"MDMEnrollIdentityCA {handmade.cert_file}\n"
        f"MDMEnrollDeviceCA {device_folder}/device-ca.pem\n").start()
    yield one
    one.stop()


def enroll(site, device_folder, *options):
    password = site.world.scratch / "password"
    password.write_text(slapd.password("alice") + "\n")
    done = run(paths.MDM_DEVICE, "enroll", site.url(PROFILE), "--user", "alice", "--password-file",
               password, "--ca", site.world.site.root_file, "--identity", device_folder, *options,
               ok=False)
    return done.returncode, (done.stdout + done.stderr).decode()


def test_simulated_device(device_site, device_folder, aes_server):
    """mdm-device, which knows SCEP as devices do."""
    status, said = enroll(device_site, device_folder, "--udid", "U-foreign", "--serial", "SFOREIGN")
    assert status == 0, said
    assert said.count(f"POST {aes_server.url}") == 2 and "com.apple.mdm" in said
    assert device_site.database.query("SELECT state, udid FROM enrollment") == [("delivered",
                                                                               "U-foreign")]
    identity, mdm = (r.subject.rfc4514_string() for r in aes_server.requests)
    assert "OU=mdm-enroll:" in identity and "SFOREIGN" not in identity
    assert "OU=MDM" in mdm and "2.5.4.5=SFOREIGN" in mdm


def test_simulated_device_and_single_des(site, server, device_folder):
    """scepserver's answer is past what mdm-device takes; what it was asked for, it issued."""
    status, said = enroll(site, device_folder, "--udid", "U-des", "--serial", "SDES")
    assert status == 4 and "cipher" in said
    issued = [f.read_bytes() for f in (server.folder / "depot").glob("U-des.*.pem")]
    (unit,) = [a.value for pem in issued for a in x509.load_pem_x509_certificate(pem).subject
               if a.oid == NameOID.ORGANIZATIONAL_UNIT_NAME]
    assert unit.startswith("mdm-enroll:")


# --- at once -------------------------------------------------------------------------------------

COPIES = 12


def volley_of(site, host, messages):
    return volley(site.port, host, site.world.site.root_file, DEVICE, messages)


def test_certificates_at_once(walk, handmade):
    """Of several certificates with one subject, one is pinned, and its owner alone is answered."""
    identities = [foreign.made(walk, handmade) for _ in range(COPIES)]
    responses = volley_of(walk.site, walk.site.HOST, [
        walk.take(identity).phase3_message() for identity in identities])
    for response in responses:
        if response.status != 200:
            walk.site.log.expect(response.json()["code"])
    assert sorted(r.status for r in responses) == [200] + [403] * (COPIES - 1)
    (winner,) = [i for i, r in zip(identities, responses) if r.status == 200]
    assert walk.row() == ("delivered", winner.fingerprint)
    # Who read the secret before it was spent and the row thereafter is told of its state.
    assert {r.json()["code"] for r in responses if r.status == 403} <= {
        ID["BINDING_SPENT"], ID["ENROLLMENT_STATE"]}
    assert walk.site.database.query(
        "SELECT fingerprint FROM certificate WHERE enrollment = (SELECT id FROM enrollment WHERE "
        f"udid = '{walk.device.udid}')") == [(winner.fingerprint,)]


def test_copies_at_once(walk):
    """One message many times: one answer."""
    message = walk.certify().phase3_message()
    walk.site.expect("ENROLLMENT_STATE", times=COPIES - 1)
    responses = volley_of(walk.site, walk.site.HOST, [message] * COPIES)
    assert sorted(r.status for r in responses) == [200] + [403] * (COPIES - 1)
    assert walk.row() == ("delivered", walk.identity.fingerprint)


def test_challenge_is_not_logged(site):
    assert SECRET not in site.log.path.read_text()
