# SPDX-License-Identifier: Apache-2.0
"""Endpoint direct: the enrollment profile straight after the login."""

import pytest
from cryptography.x509.oid import NameOID

from harness import scep, slapd
from harness.database import unchanged
from harness.site import IDENTIFIER, SCEP, SERVER, TOPIC, basic_ldap, opened

DIRECT = "/enroll/direct"
TEXT = "Macs come by the device management of the purchase department."


def location(authentication):
    return f'<Location "{DIRECT}">\nMDMEnrollEndpoint direct\n{authentication}</Location>\n'


def hosts(site):
    signing_in = location(basic_ldap(site.directory_server))
    return (site.tls_vhost(site.HOST, signing_in) +
            site.tls_vhost("strict.test", signing_in +
                           "MDMEnrollIdentifier com.example.strict\n"
                           f"MDMEnrollRequire \"%{{MDM_FLOW}} == 'ota' || "
                           f"%{{REMOTE_USER}} == 'alice'\" \"{TEXT}\"\n") +
            site.tls_vhost("open.test", location("Require all granted\n")) +
            site.tls_vhost("without.test"))


@pytest.fixture(scope="module")
def direct(world):
    site = world.make_site("direct", vhosts=hosts).start()
    yield site
    site.stop()


def get(site, *extra, user="alice", password=None, host=None, **options):
    return site.curl(DIRECT, *extra, host=host,
                     user=(user, password or slapd.password(user)), **options)


def payload(profile, kind):
    (found,) = [p for p in profile["PayloadContent"] if p["PayloadType"] == kind]
    return found


def certify(site, profile, request=None):
    request = request or scep.Request.make(site.world.scratch)
    content = payload(profile, "com.apple.security.scep")["PayloadContent"]
    assert content["URL"].endswith(SCEP)
    response = site.curl(content["URL"] + "?operation=PKIOperation",
                         data=request.message(content["Challenge"], site.world.site.ca.cert_file))
    return request.open(response.body, site.world.site.ca.cert_file)


def row(site, enrollment):
    (found,) = site.database.query("SELECT flow, state, user_name, udid FROM enrollment "
                                   f"WHERE id = '{enrollment}'")
    return found


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_profile_and_identity(direct, http2):
    response = get(direct, http2=http2)
    _, profile = opened(response, direct.world.site.root_file)
    assert profile["PayloadType"] == "Configuration"
    assert profile["PayloadIdentifier"] == IDENTIFIER
    assert "EncryptedPayloadContent" not in profile
    assert "enroll.mobileconfig" in response.headers["content-disposition"]
    mdm = payload(profile, "com.apple.mdm")
    assert (mdm["ServerURL"], mdm["Topic"]) == (SERVER, TOPIC)
    assert (mdm["IdentityCertificateUUID"] ==
            payload(profile, "com.apple.security.scep")["PayloadUUID"])

    request = scep.Request.make(direct.world.scratch)
    reply = certify(direct, profile, request)
    assert reply.status == scep.SUCCESS
    (name,) = reply.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert row(direct, name.value) == ("direct", "delivered", "alice", "")
    assert not reply.certificate.subject.get_attributes_for_oid(NameOID.SERIAL_NUMBER)
    # the same request once more is the same certificate
    assert certify(direct, profile, request).certificate == reply.certificate


def test_one_challenge_one_device(direct):
    _, profile = opened(get(direct), direct.world.site.root_file)
    for _ in range(3):  # a reply that was lost, twice
        assert certify(direct, profile).status == scep.SUCCESS
    direct.expect("SCEP_CHALLENGE")
    assert certify(direct, profile).status == scep.FAILURE
    (live,) = direct.database.query(
        "SELECT COUNT(*) FROM certificate WHERE revoked_at = 0 AND enrollment = "
        "(SELECT enrollment FROM certificate ORDER BY issued_at DESC LIMIT 1)")
    assert live == ("1",)


def test_head_makes_no_row(direct):
    with unchanged(direct.database):
        response = get(direct, "--head")
        assert response.status == 200


@pytest.mark.parametrize("user, password", [("alice", "wrong"), ("nobody", "x")])
def test_who_cannot_sign_in(direct, user, password):
    direct.expect("AH01617" if user == "alice" else "AH01618")
    with unchanged(direct.database):
        assert get(direct, user=user, password=password).status == 401


def test_without_authentication(direct):
    direct.expect("HTTP_NO_USER")
    with unchanged(direct.database):
        assert get(direct, host="open.test").status == 500


def test_off_by_default(direct):
    assert get(direct, host="without.test").status == 404


def test_own_policy(direct):
    """The other flow is none of its business."""
    assert get(direct, host="strict.test").status == 200
    direct.expect("POLICY_REFUSED")
    with unchanged(direct.database):
        response = get(direct, user="bob", host="strict.test")
        assert response.status == 403
        assert TEXT.encode() in response.body
    direct.walk(user="bob", host="strict.test").offer().identify()


def test_too_late(direct):
    _, profile = opened(get(direct, user="bob"), direct.world.site.root_file)
    direct.database.execute("UPDATE enrollment SET expires_at = expires_at - 100000 "
                            "WHERE flow = 'direct' AND state = 'offered'")
    direct.expect("ENROLLMENT_EXPIRED")
    assert certify(direct, profile).status == scep.FAILURE
