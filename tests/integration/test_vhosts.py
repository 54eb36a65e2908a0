# SPDX-License-Identifier: Apache-2.0
"""Virtual hosts beside each other: what is one's own is not the other's, whatever a client says."""

import pytest

from harness import scep, slapd
from harness.database import unchanged
from harness.site import DEVICE, ID, PROFILE, SCEP, endpoints, htpasswd, ldap_url, opened

TOPIC = "com.apple.mgmt.External.ffffffff-4e5f-6071-8293-a4b5c6d7e8f9"
STRICT = "/strict/profile"


def hosts_of(site):
    """lax.test takes whom a password file knows, and enrolls in another MDM server; own.test has a
    profile endpoint of its own beside the inherited one; cert.test takes names from certificates
    that it does not verify."""
    world = site.world
    text = endpoints(htpasswd(world)) + site.tls_vhost(
        site.HOST, "ServerAlias alias.test *.wild.test\n") + site.tls_vhost(
        "lax.test", f"MDMEnrollTopic {TOPIC}\n", authentication=htpasswd(world))
    text += site.tls_vhost("own.test").replace(f'"{PROFILE}"', f'"{STRICT}"')
    verify = ("SSLVerifyClient optional_no_ca\nSSLVerifyDepth 2\nSSLUserName SSL_CLIENT_S_DN_CN\n")
    # The same MDM server, identifier and sign-in; devices must be iPads.
    text += site.tls_vhost("ipads.test", "MDMEnrollRequire \"%{MDM_PRODUCT} =~ /^iPad/\"\n")
    text += site.tls_vhost("cert.test", verify, authentication="Require all granted\n")
    text += site.tls_vhost("login.test", verify, authentication=htpasswd(world))
    return text


@pytest.fixture(scope="module")
def hosts(world):
    site = world.make_site("vhosts", vhosts=hosts_of).start()
    yield site
    site.stop()


def refused(hosts, response, message):
    assert (response.status, response.json()["code"]) == (403, ID[message])


# --- an enrollment belongs to where it was offered -----------------------------------------------


def elsewhere(hosts, walk, path):
    return hosts.url(path, hosts.HOST if walk.host else "lax.test")


@pytest.mark.parametrize("host", ["lax.test", None], ids=["lax to strict", "strict to lax"])
def test_enrollment_at_another_host(hosts, host):
    """Each step is refused at the other host, and then taken at its own."""
    walk = hosts.walk(host=host).offer()
    own = walk.device_url
    hosts.expect("CHALLENGE_UNKNOWN", "CHALLENGE_UNKNOWN", "CERTIFICATE_UNKNOWN")

    walk.device_url = elsewhere(hosts, walk, DEVICE)
    with unchanged(hosts.database):
        refused(hosts, walk.post(walk.phase2_message()), "CHALLENGE_UNKNOWN")
    walk.device_url = own
    walk.identify()

    request, ca = walk.request(), hosts.world.site.ca.cert_file
    with unchanged(hosts.database):
        response = hosts.curl(elsewhere(hosts, walk, SCEP) + "?operation=PKIOperation",
                              data=request.message(walk.scep_challenge, ca))
    assert request.open(response.body, ca).status == scep.FAILURE
    walk.certify()

    walk.device_url = elsewhere(hosts, walk, DEVICE)
    with unchanged(hosts.database):
        refused(hosts, walk.post(walk.phase3_message(), phase=3), "CERTIFICATE_UNKNOWN")
    assert hosts.log.text().count("another site") == 3
    walk.device_url = own
    walk.deliver().certify()


def test_rules_of_another_host(hosts):
    """What a host with rules offered, a host without them does not go on with."""
    walk = hosts.walk(host="ipads.test").offer()
    own = walk.device_url
    hosts.expect("CHALLENGE_UNKNOWN", "POLICY_REFUSED", "CERTIFICATE_UNKNOWN")
    with unchanged(hosts.database):
        walk.device_url = hosts.url(DEVICE)
        refused(hosts, walk.post(walk.phase2_message()), "CHALLENGE_UNKNOWN")
    walk.device_url = own
    refused(hosts, walk.post(walk.phase2_message()), "POLICY_REFUSED")
    assert "offered under other rules" in hosts.log.text()

    walk = hosts.walk(hosts.world.device(PRODUCT="iPad14,1"), host="ipads.test")
    walk.offer().identify().certify()
    own = walk.device_url
    with unchanged(hosts.database):
        walk.device_url = hosts.url(DEVICE)
        refused(hosts, walk.post(walk.phase3_message(), phase=3), "CERTIFICATE_UNKNOWN")
    walk.device_url = own
    walk.deliver()

    # Nor does it get updates there, as what it is not.
    hosts.expect("CERTIFICATE_UNKNOWN")
    walk.age()
    walk.device.attributes["PRODUCT"] = "iPhone17,2"
    with unchanged(hosts.database):
        walk.device_url = hosts.url(DEVICE)
        refused(hosts, walk.post(walk.device.message(signer=walk.enrolled_with, md="sha256"), phase=3),
                "CERTIFICATE_UNKNOWN")
    assert "which another virtual host let in" in hosts.log.text()
    walk.device.attributes["PRODUCT"] = "iPad14,1"
    walk.device_url = own
    walk.update()


# What one host has and the other has not; and what is then said of an enrollment of the other.
DIFFERENCES = {
    "identifier": ("MDMEnrollIdentifier com.example.another", "another site"),
    "server": ("MDMEnrollServer https://another.test/mdm", "another site"),
    "topic": (f"MDMEnrollTopic {TOPIC}", "another site"),
    "requirement": ("MDMEnrollRequire true", "other rules"),
    "directory": ("MDMEnrollDirectory ldap://127.0.0.1:9/dc=example?uid", "other rules"),
    "group": ("MDMEnrollDirectoryGroup cn=another,dc=example", "other rules"),
    "directory-ca": ("MDMEnrollDirectoryCA {ca.cert_file}", "other rules"),
    "device-ca": ("MDMEnrollDeviceCA apple {device_ca.cert_file}", "other rules"),
    "denied": (f"MDMEnrollDenyCertificate {'ab' * 32}", "other rules"),
    "tls": ("MDMEnrollClientCertificate require", "other rules"),
}


@pytest.fixture(scope="module")
def twins(world):
    def hosts_of_twins(site):
        return site.tls_vhost(site.HOST) + "".join(
            site.tls_vhost(f"{name}.test", line.format(ca=world.site.ca, device_ca=world.device_ca) + "\n",
                           authentication=htpasswd(world))
            for name, (line, _) in DIFFERENCES.items())
    site = world.make_site("twins", vhosts=hosts_of_twins).start()
    yield site
    site.stop()


@pytest.mark.parametrize("name", DIFFERENCES)
def test_one_difference(twins, name):
    """Each of them is enough for not going on with what was offered elsewhere, either way."""
    for here, there in ((None, f"{name}.test"), (f"{name}.test", None)):
        walk = twins.walk(host=here).offer()
        walk.device_url = twins.url(DEVICE, there)
        before = twins.log.text().count(DIFFERENCES[name][1])
        twins.expect("CHALLENGE_UNKNOWN")
        with unchanged(twins.database):
            refused(twins, walk.post(walk.phase2_message()), "CHALLENGE_UNKNOWN")
        assert twins.log.text().count(DIFFERENCES[name][1]) == before + 1


# --- URLs in signed profiles ---------------------------------------------------------------------


def device_url(hosts, *extra, host=None, **options):
    response = hosts.curl(PROFILE, *extra, host=host, user=("alice", slapd.password("alice")),
                          **options)
    _, profile = opened(response, hosts.world.site.root_file)
    return profile["PayloadContent"]["URL"]


@pytest.mark.parametrize("header", ["evil.example:444", "evil.example", "127.0.0.2",
                                    "enroll.test.evil.example", "[::1]:444"])
@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_foreign_name(hosts, header, http2):
    """Such a request ends at the first host; the URL is that host's, with its port."""
    url = device_url(hosts, headers=[f"Host: {header}"], http2=http2)
    assert url == hosts.url(DEVICE)


def test_foreign_name_as_whole_url(hosts):
    url = device_url(hosts, "--request-target", f"https://evil.example:444{PROFILE}")
    assert url == hosts.url(DEVICE)


@pytest.mark.parametrize("name", ["alias.test", "any.wild.test"])
def test_alias(hosts, name):
    """An alias is a name of the host, and stays; the certificate is for its main name."""
    url = device_url(hosts, headers=[f"Host: {name}:{hosts.port}"])
    assert url == hosts.url(DEVICE, name)


def test_port_of_server_name(own_site):
    """Behind something that forwards a port, ServerName says which."""
    site = own_site(directory=False, vhosts=lambda s: s.tls_vhost(s.HOST).replace(
        f"ServerName {s.HOST}", f"ServerName {s.HOST}:8443")).start()
    assert device_url(site, headers=["Host: evil.example"]) == f"https://{site.HOST}:8443{DEVICE}"
    assert device_url(site, headers=[f"Host: {site.HOST}:9443"]) == (
        f"https://{site.HOST}:9443{DEVICE}")


# --- endpoints and users -------------------------------------------------------------------------


def test_inherited_endpoint_beside_an_own_one(hosts):
    """The main server's way in is none where a host has a way of its own."""
    with unchanged(hosts.database):
        assert hosts.curl(PROFILE, host="own.test",
                          user=("alice", slapd.password("alice"))).status == 404
    assert hosts.curl(STRICT, host="own.test",
                      user=("alice", slapd.password("alice"))).status == 200


def test_name_of_an_unverified_certificate(hosts, world):
    """SSLUserName makes r->user of whatever a client writes in a certificate. Where there is a
    login too, it depends on the version of mod_ssl whether that still happens: alice or nobody."""
    forged = world.maker.issue("O=Test, CN=bob")
    alice = ("alice", slapd.password("alice"))
    hosts.expect("HTTP_NO_USER", "AH02227", times=None)
    with unchanged(hosts.database):
        assert hosts.curl(PROFILE, host="cert.test", identity=forged).status == 500
    assert hosts.curl(PROFILE, host="login.test", identity=forged, user=alice).status in (200, 500)
    assert hosts.curl(PROFILE, host="login.test", user=alice).status == 200
    users = hosts.database.query("SELECT DISTINCT user_name FROM enrollment")
    assert ("alice",) in users and ("bob",) not in users


# --- directories ---------------------------------------------------------------------------------


def test_bind_stays_with_its_directory(own_site, world):
    """A host with a directory of its own sends it neither the main server's name and password nor
    its group: here the search is anonymous, and carol is in no group."""
    def hosts_of_two(site):
        return site.tls_vhost(site.HOST) + site.tls_vhost(
            "second.test", f'MDMEnrollDirectory "{ldap_url(world.slapd.url)}"\n',
            authentication=htpasswd(world))
    site = own_site(vhosts=hosts_of_two,
                    directives=f'MDMEnrollDirectoryBind "{slapd.ADMIN}" wrong\n')
    site.start()
    walk = site.walk(host="second.test", user="carol").offer()
    walk.identify()
    walk = site.walk().offer()
    site.expect("DIRECTORY_UNAVAILABLE")
    assert walk.post(walk.phase2_message()).status == 503
