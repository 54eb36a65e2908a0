# SPDX-License-Identifier: Apache-2.0
"""Require mdm-device: a vhost beside the endpoints' that serves what it has to enrolled devices
only; what each of them is refused for, over HTTP/1.1 and HTTP/2."""

import base64
import contextlib
import datetime
import http.client
import os
import threading
import time

import pytest

from harness import faults, paths, pki, slapd
from harness.http import connection
from harness.process import Failed, run, wait_until
from harness.site import ID, Site, certificate, vhost

HOST = "guarded.test"
KEPT = 5  # seconds for which an answer about a certificate is kept
HTTP2 = pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])

# What each path asks for.
PATHS = {
    "/all": "Require mdm-device",
    "/true": "Require mdm-device \"%{MDM_USER} == 'alice' && %{MDM_CERTIFICATE} =~ /^[0-9a-f]+$/\"",
    "/false": "Require mdm-device %{MDM_USER} == 'bob'",
    "/either": "Require mdm-device\nRequire env LETTER",
    "/any": "<RequireAny>\nRequire env LETTER\nRequire mdm-device %{MDM_USER} == 'bob'\n"
            "Require mdm-device %{MDM_USER} == 'alice'\n</RequireAny>",
    "/both": "<RequireAll>\nRequire mdm-device\nRequire env LETTER\n</RequireAll>",
    "/none": "<RequireAll>\nRequire all granted\n<RequireNone>\nRequire mdm-device\n</RequireNone>\n"
             "</RequireAll>",
    "/not": "<RequireAll>\nRequire all granted\nRequire not mdm-device\n</RequireAll>",
    "/but": "<RequireAll>\nRequire mdm-device\n<RequireNone>\n"
            "Require mdm-device %{MDM_USER} == 'bob'\n</RequireNone>\n</RequireAll>",
    "/person": "<RequireAll>\nRequire mdm-device %{MDM_USER}==%{REMOTE_USER}\nRequire valid-user\n"
               "</RequireAll>",
}


def client_certificates(site):
    """They are asked for; mod_ssl trusts more CAs than the site has."""
    return f"SSLVerifyClient optional\nSSLCACertificateFile {site.trusted}\n"


def guarded_vhost(site):
    identity = site.world.site.server(HOST)
    locations = "".join(
        f'<Location "{path}">\n{require}\n</Location>\n' for path, require in PATHS.items())
    for path in PATHS:
        (site.documents / path[1:]).write_text("for devices\n")
    (site.documents / "folder").mkdir(exist_ok=True)
    (site.documents / "folder" / ".htaccess").write_text(
        "Require mdm-device %{MDM_PRODUCT}=='iPhone17,2'\n")
    (site.documents / "folder" / "file").write_text("for iPhones\n")
    (site.documents / "503.html").write_text("later\n")
    return vhost(
        site.port, HOST, certificate(identity, bundle=site.world.bundle(identity)) +
        client_certificates(site) +
        f"DocumentRoot {site.documents}\n"
        f'<Directory "{site.documents}">\nAllowOverride AuthConfig\nRequire all granted\n'
        "</Directory>\n"
        "ErrorDocument 503 /503.html\n"
        "SetEnvIf X-Letter . LETTER\n"
        "SetEnvIf Request_URI ^/[a-z]+$ MDM_UDID=forged\n" +
        "".join(f'Header always set X-{n} "expr=%{{MDM_{n}}}"\n' for n in
                ("ENROLLMENT", "USER", "UDID", "SERIAL", "PRODUCT", "CERTIFICATE")) +
        'Header always set X-OS "expr=%{MDM_OS_VERSION}"\n' + locations +
        '<Location "/person">\nAuthType Basic\nAuthName devices\nAuthBasicProvider file\n'
        f"AuthUserFile {site.world.password_file}\nAuthzSendForbiddenOnFailure On\n</Location>\n")


class GuardedSite(Site):
    def __init__(self, world, folder, **options):
        self.documents = folder / "documents"
        self.documents.mkdir()
        self.other_ca = world.maker.issue("O=Test, CN=Test Enrollment CA", ca=True, key="p256")
        self.trusted = world.maker.bundle(f"{folder.name}-trusted.pem", world.site.ca,
                                          self.other_ca)
        super().__init__(world, folder, vhosts=GuardedSite.hosts, **options)

    def hosts(self):
        return (self.tls_vhost(self.HOST, client_certificates(self) +
                               '<Location "/beside">\nRequire mdm-device\n</Location>\n') +
                self.plain_vhost() + guarded_vhost(self))

    def get(self, path, identity=None, *, http2=False, **options):
        return self.curl(path, host=HOST, identity=identity, http2=http2, **options)

    def connection(self, identity=None):
        return connection(self.port, HOST, self.world.site.root_file, identity)

    def refused(self, path, identity=None, message="DEVICE_REFUSED", **options):
        """403, with one line that says why, and mod_authz_core's own."""
        self.expect(message, "AH01630")
        response = self.get(path, identity, **options)
        assert response.status == 403
        assert response.headers["content-type"].startswith("text/html")
        assert not [h for h in response.headers if h.startswith("x-") and response.headers[h]]
        return response

    def revoke(self, identity):
        self.database.execute("UPDATE certificate SET revoked_at = ?, revocation_reason = 1 "
                              "WHERE fingerprint = ?", int(time.time()), identity.fingerprint)


@pytest.fixture(scope="module")
def directory(world):
    server = slapd.Slapd(world.new_folder("guard-directory") / "slapd", world.directory_identity,
                         world.site.root_file)
    yield server
    server.stop()


@pytest.fixture(scope="module")
def site(world, directory):
    site = GuardedSite(world, world.new_folder("guarded"), directory_server=directory).start()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def walk(site):
    """A device with both its identities."""
    return site.walk(user="alice").all()


_numbers = iter(range(1, 1000))


@pytest.fixture
def member(site, walk):
    """Makes further identities of the walk's enrollment, or a copy of it, without the walk."""
    def make(issuer=None, *, enrollment=None, purpose="mdm", issued=-100, end=pki.days(30),
             authority="", recorded=True, state="delivered", user="alice", other_site=False):
        number = next(_numbers)
        identity = site.world.maker.issue(f"O=Test, CN=device {number}",
                                          issuer or site.world.site.ca,
                                          key=walk.identity.key, end=end)
        now = int(time.time())
        if enrollment is None:
            enrollment = f"{number:032x}"
            site.database.execute(
                "INSERT INTO enrollment SELECT ?, flow, "
                f"{'?' if other_site else 'site || substr(?, 1, 0)'}, rules, ?, ?, "
                "udid, serial, product, os_version, device_fingerprint, identity_fingerprint, "
                "created_at, updated_at, expires_at, last_refusal, refused_at, signed_at, terms "
                "FROM enrollment WHERE state = 'delivered' LIMIT 1",
                enrollment, "another", state, user)
        if recorded:
            site.database.execute(
                "INSERT INTO certificate (serial, issuer, enrollment, purpose, request, poll, "
                "authority, fingerprint, der, not_before, not_after, issued_at) "
                "VALUES (?, '', ?, ?, ?, '', ?, ?, ?, ?, ?, ?)",
                f"{identity.cert.serial_number:x}", enrollment, purpose, f"request {number}",
                authority, identity.fingerprint, base64.b64encode(identity.der).decode(),
                now - 86400, int(identity.cert.not_valid_after.replace(
                    tzinfo=datetime.timezone.utc).timestamp()), now + issued)
        identity.enrollment = enrollment
        return identity
    return make


def ask(opened):
    """One more request on a connection: its status, and whose device it was taken for."""
    opened.request("GET", "/all")
    response = opened.getresponse()
    response.read()
    return response.status, response.getheader("X-USER", "")


def live(site, identity):
    ((revoked, reason),) = site.database.query(
        "SELECT revoked_at, revocation_reason FROM certificate "
        f"WHERE fingerprint = '{identity.fingerprint}'")
    return revoked == "0" or reason


# --- who is admitted -----------------------------------------------------------------------------


@HTTP2
def test_live(site, walk, http2):
    response = site.get("/all", walk.identity, http2=http2)
    assert (response.status, response.body) == (200, b"for devices\n")
    assert response.version == ("2" if http2 else "1.1")
    told = {h: response.headers["x-" + h] for h in
            ("enrollment", "user", "udid", "serial", "product", "os", "certificate")}
    ((enrollment, serial),) = site.database.query(
        "SELECT enrollment, serial FROM certificate WHERE purpose = 'mdm' AND "
        f"fingerprint = '{walk.identity.fingerprint}'")
    device = walk.device.attributes
    assert told == {"enrollment": enrollment, "user": "alice", "udid": walk.device.udid,
                    "serial": device["SERIAL"], "product": device["PRODUCT"],
                    "os": device.get("OS_VERSION", device["VERSION"]), "certificate": serial}


@HTTP2
def test_no_certificate(site, http2):
    site.refused("/all", http2=http2)
    # What needs none is as ever, and no variable stands there, whatever the configuration sets.
    assert site.get("/503.html", http2=http2).status == 200


def test_beside_the_endpoints(site, walk):
    """In the virtual host of the endpoints, where devices go on enrolling. There is no file."""
    assert site.curl("/beside", identity=walk.identity).status == 404
    site.expect("DEVICE_REFUSED", "AH01630")
    assert site.curl("/beside").status == 403


def test_htaccess(site, walk):
    assert walk.device.attributes["PRODUCT"] == "iPhone17,2"
    for _ in range(2):
        assert site.get("/folder/file", walk.identity).body == b"for iPhones\n"
    site.refused("/folder/file", walk.enrolled_with)


@HTTP2
def test_expression(site, walk, http2):
    assert site.get("/true", walk.identity, http2=http2).status == 200
    site.refused("/false", walk.identity, "DEVICE_EXPRESSION", http2=http2)
    (line,) = site.log.lines(ID["DEVICE_EXPRESSION"])
    assert walk.device.udid in line and "'bob'" in line


def test_identity_of_phase_3(site, walk):
    site.refused("/all", walk.enrolled_with)
    (line,) = site.log.lines(ID["DEVICE_REFUSED"])
    assert 'is for "identity"' in line


@HTTP2
def test_other_cas(site, member, http2):
    """One that mod_ssl trusts, of the same name as the site's own; whatever the database says."""
    site.refused("/all", member(site.other_ca, recorded=False), http2=http2)
    site.refused("/all", member(site.other_ca), http2=http2)
    site.refused("/all", member(recorded=False), http2=http2)
    assert "no record" in site.log.lines(ID["DEVICE_REFUSED"])[-1]


def test_foreign_rows(site, member):
    site.refused("/all", member(state="identified"))
    site.refused("/all", member(other_site=True))


def test_expired(site, member):
    """In the middle of a connection; a new one mod_ssl does not let begin."""
    identity = member(end=datetime.datetime.utcnow() + datetime.timedelta(seconds=2))
    with contextlib.closing(site.connection(identity)) as opened:
        assert ask(opened) == (200, "alice")
        time.sleep(3)
        site.expect("DEVICE_REFUSED", "AH01630")
        assert ask(opened) == (403, "")
    for http2 in (False, True):
        with pytest.raises(Failed):
            site.get("/all", identity, http2=http2)


def test_takes_hold_within_seconds(site, directory, member):
    """A revocation, and the end of a refusal: within the seconds that the manual says, without a
    restart."""
    def both(ask, *more):
        for http2, identity in zip((False, True), revoked):
            ask("/all", identity, *more, http2=http2)
    revoked = member(), member()
    dave = member(user="dave")
    both(site.get)
    with directory.without("dave"):
        for _ in range(2):
            site.refused("/all", dave, "DIRECTORY_NO_USER")
    for identity in revoked:
        site.revoke(identity)
        assert site.get("/all", identity).status == 200, "a certificate is not looked up each time"
    time.sleep(KEPT)
    for _ in range(2):  # from the database, and from memory
        both(site.refused)
    lines = site.log.lines(ID["DEVICE_REFUSED"])
    assert len(lines) == 4 and all("was revoked" in line for line in lines)
    assert site.get("/all", dave).status == 200


def test_ended(site, member):
    identity = member()
    run(paths.MDM_ADMIN, "revoke", "--enrollment", identity.enrollment, "--store", site.database.store)
    site.refused("/all", identity)


# --- sections ------------------------------------------------------------------------------------


LETTER = {"headers": ["X-Letter: yes"]}


def test_sections(site, walk):
    def status(path, identity=None, **options):
        return site.get(path, identity, **options).status
    assert status("/either", walk.identity) == 200
    assert status("/either", **LETTER) == 200  # no warning: who has no certificate may come, too
    assert status("/any", walk.identity) == 200
    assert status("/both", walk.identity, **LETTER) == 200
    assert status("/none") == 200 and status("/not") == 200
    response = site.get("/but", walk.identity)
    assert response.status == 200 and response.headers["x-udid"] == walk.device.udid
    site.expect("AH01630", times=3)
    for path in ("/both", "/none", "/not"):
        assert status(path, walk.identity) == 403
    site.expect("AH01630")
    assert status("/either") == 403


def test_with_a_password(site, walk):
    """The device's user must be who signs in: asked for the password, and not let in with
    another's."""
    assert site.get("/person", walk.identity).status == 401
    assert site.get("/person", walk.identity,
                    user=("alice", slapd.password("alice"))).status == 200
    site.expect("DEVICE_EXPRESSION", "AH01631")
    assert site.get("/person", walk.identity, user=("bob", slapd.password("bob"))).status == 403
    site.refused("/person")


# --- the older certificate -----------------------------------------------------------------------


def test_seen_ends_the_older(site, walk, member):
    """Only once it is seen; and what was superseded ends nothing."""
    first = member(issued=-300)
    second = member(issued=-200, enrollment=first.enrollment, authority=first.fingerprint)
    other = member(issued=-300, enrollment=first.enrollment, purpose="identity")
    assert site.get("/all", first).status == 200
    assert live(site, first) is True and live(site, second) is True
    assert site.get("/all", second).status == 200
    assert live(site, first) == "4"
    assert live(site, second) is True and live(site, other) is True
    assert live(site, walk.identity) is True
    # One that was replaced before anybody saw it.
    third = member(issued=-100, enrollment=first.enrollment)
    site.revoke(third)
    site.refused("/all", third)
    assert live(site, second) is True
    # By a process that does not remember it at once, by others within seconds.
    site.httpd.graceful()
    site.refused("/all", first)
    assert "another one took its place" in site.log.lines(ID["DEVICE_REFUSED"])[-1]


def test_update_ends_the_older(site):
    """The device came back and got a new profile and identity: the old one is good until the new
    one is seen."""
    updated = site.walk().all()
    old = updated.identity
    site.database.execute("UPDATE certificate SET issued_at = issued_at - 5 WHERE fingerprint = ?",
                          old.fingerprint)
    updated.age().update().certify()
    assert site.get("/all", old).status == 200
    assert live(site, old) is True
    assert site.get("/all", updated.identity).status == 200
    assert live(site, old) == "4" and live(site, updated.identity) is True


# --- users ---------------------------------------------------------------------------------------


def test_user_removed(site, directory, member):
    erin = member(user="erin")
    assert site.get("/all", erin).status == 200
    # Who was there a moment ago is taken to be there still.
    with directory.without("erin"):
        assert site.get("/all", erin).status == 200
        site.httpd.graceful()
        for http2 in (False, True):
            site.refused("/all", erin, "DIRECTORY_NO_USER", http2=http2)


# --- out of reach --------------------------------------------------------------------------------


def unavailable(site, path, identity, message, **options):
    site.expect(message)
    response = site.get(path, identity, **options)
    assert (response.status, response.body) == (503, b"later\n")
    assert int(response.headers["retry-after"]) > 0
    assert not response.headers.get("x-udid")


def test_directory_away(site, directory, member):
    identity = member(user="jürgen")
    with directory.down():
        begun = time.monotonic()
        unavailable(site, "/all", identity, "DIRECTORY_UNAVAILABLE")
        unavailable(site, "/all", identity, "DIRECTORY_UNAVAILABLE")
        assert time.monotonic() - begun < 5
    wait_until(lambda: time.monotonic() - begun > 1.1, "a second")
    assert site.get("/all", identity).status == 200


@HTTP2
def test_database_away(site, member, http2):
    identities = [member() for _ in range(4)]
    with faults.missing_folder(site.database):
        unavailable(site, "/all", identities[0], "STORE_UNAVAILABLE", http2=http2)
        # Whatever else would admit, or would admit those who are no devices.
        for path in ("/either", "/none", "/not"):
            unavailable(site, path, identities[1], "STORE_UNAVAILABLE", http2=http2)
        unavailable(site, "/person", identities[2], "STORE_UNAVAILABLE", http2=http2)
        # Nobody needs it to be told that he has no certificate.
        site.refused("/all", http2=http2)
    time.sleep(1)
    for identity in identities:
        assert site.get("/all", identity, http2=http2).status == 200


# --- many at a time ------------------------------------------------------------------------------


def test_many_threads(site, walk, member):
    """Devices, a stranger and a revoked one at the same time, on connections that stay open: each
    always gets its own answer."""
    revoked = member()
    site.revoke(revoked)
    expected = [(walk.identity, (200, "alice"))] * 4 + [
        (member(user="bob"), (200, "bob")), (revoked, (403, "")), (None, (403, ""))] * 4
    rounds, wrong = 15, []
    refusals = rounds * sum(answer == (403, "") for _, answer in expected)
    site.expect("DEVICE_REFUSED", "AH01630", times=refusals)
    barrier = threading.Barrier(len(expected))

    def one(identity, answer):
        with contextlib.closing(site.connection(identity)) as opened:
            opened.connect()
            barrier.wait(20)
            got = [ask(opened) for _ in range(rounds)]
            wrong.extend(one for one in got if one != answer)

    threads = [threading.Thread(target=one, args=e) for e in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# --- httpd -t ------------------------------------------------------------------------------------


def test_configuration(own_site):
    def said(text, directives=None):
        site = own_site(vhosts=lambda site: vhost(site.port, HOST, text))
        if directives is not None:
            site.config = lambda: directives + site.vhosts(site)
            site.reconfigure()
        return site.httpd.test()
    world_site = own_site().world.site
    tls = certificate(world_site.server(HOST))
    asks = f"SSLVerifyClient optional\nSSLCACertificateFile {world_site.ca.cert_file}\n"
    guard = '<Location "/all">\nRequire mdm-device\n</Location>\n'
    assert said(tls + asks + guard) == (0, "Syntax OK\n")
    # In a <Location>, too, for HTTP/1.1.
    assert said(tls + guard + f'<Location "/all">\n{asks.splitlines()[0]}\n</Location>\n'
                f"{asks.splitlines()[1]}\n")[0] == 0
    for text, wanted in ((guard, "there is no TLS here"),
                         (tls + guard, "no client certificate is asked for here"),
                         (tls + asks + guard.replace("device", "device %{MDM_UDID"),
                          'mdm-device: cannot parse "%{MDM_UDID"')):
        status, text = said(text)
        assert status == 1 and wanted in text, text
    status, text = said(tls + asks + guard, "")
    assert status == 1
    for name in ("Store", "Identifier", "Server", "Topic", "CA"):
        assert f"MDMEnroll{name} " in text
    assert "Organization" not in text and "Require (" in text
