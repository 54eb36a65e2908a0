# SPDX-License-Identifier: Apache-2.0
"""Devices that come back for their profile, and MDM servers that fetch it for them."""

import collections
import contextlib
import datetime
import plistlib
import re
import shutil
import time
import urllib.parse

import pytest
from asn1crypto import core

from harness import cms, paths, pki, scep, slapd
from harness.database import unchanged
from harness.http import volley
from harness.process import run, wait_until
from harness.site import (ASPEN, CHECKIN, DEVICE, ID, IDENTIFIER, PROFILE, SCEP, SERVER, TOPIC, Site,
                          certificate, htpasswd)

UPDATE = "/enroll/update"
COPIES = 50
OK, USAGE, NETWORK, REFUSED, NOT_ACCEPTED, FILES = range(6)


def endpoint(text):
    return f'<Location "{UPDATE}">\nMDMEnrollEndpoint update\n{text}</Location>\n'


def basic(world, user):
    return htpasswd(world).replace("Require valid-user", f"Require user {user}")


class UpdateSite(Site):
    """localhost has an endpoint for the MDM server, whose name is bob; at mtls.test it shows a
    certificate, at open.test it need not be anybody. At less.test devices get fewer rights."""
    HOST = "localhost"

    def __init__(self, world, folder, made, server_ca):
        self.server_ca = server_ca
        self.page = folder / "page"
        self.page.write_text("the MDM server")
        self.tls = world.site.server(self.HOST)
        super().__init__(world, folder, vhosts=UpdateSite.hosts, threads=COPIES + 10,
                         directives=f"MDMEnrollDeviceCA {world.device_ca.cert_file} "
                         f"{made}/device-ca.pem\n"
                         # the enrollment's, not the MDM server's
                         'MDMEnrollRequire "%{REMOTE_USER} == %{MDM_USER}"\n'
                         'LogFormat "%U phase=%<{MDM_PHASE}e event=%<{MDM_EVENT}e '
                         'udid=%<{MDM_UDID}e" events\n'
                         f"CustomLog {folder}/events.log events\n")

    def hosts(self):
        world = self.world
        cas = world.maker.bundle("clients.pem", self.server_ca, world.site.ca)
        mine = certificate(self.tls, bundle=world.bundle(self.tls))
        return (self.tls_vhost(self.HOST, endpoint(basic(world, "bob")) +
                               "MDMEnrollPayload Configuration PayloadExpirationDate +300d\n"
                               "SSLVerifyClient optional\n"
                               f"SSLCACertificateFile {world.site.ca.cert_file}\n"
                               f'Alias "/mdm" "{self.page}"\n'
                               '<Location "/mdm">\nRequire mdm-device\n</Location>\n',
                               certificates=mine) +
                self.tls_vhost("mtls.test", "SSLVerifyClient optional\n"
                               f"SSLCACertificateFile {cas}\n" +
                               endpoint("Require ssl-verify-client\n")) +
                self.tls_vhost("open.test", endpoint("Require all granted\n")) +
                self.tls_vhost("less.test", "MDMEnrollPayload com.apple.mdm AccessRights 1\n"))

    def events(self):
        return (self.folder / "events.log").read_text()


@pytest.fixture(scope="module")
def made(world):
    folder = world.scratch / "update-device"
    run(paths.MDM_DEVICE, "make-ca", folder)
    return folder


@pytest.fixture(scope="module")
def server_ca(world):
    """Of the MDM server's client certificate."""
    return world.maker.issue("O=Test, CN=Servers' CA", ca=True)


@pytest.fixture(scope="module")
def site(world, made, server_ca):
    one = UpdateSite(world, world.new_folder("update"), made, server_ca).start()
    yield one
    one.stop()


@pytest.fixture
def walk(site):
    return site.walk().all()


def row_of(walk, columns="state, rules, terms, signed_at, updated_at"):
    (row,) = walk.site.database.query(
        f"SELECT {columns} FROM enrollment WHERE udid = '{walk.device.udid}'")
    return row


def refused(walk, why, message=None, host=None):
    """An update is refused so, and changes nothing that counts."""
    walk.site.expect(why)
    with unchanged(walk.site.database):
        response = walk.site.post_device(message or update_message(walk), host=host)
    assert (response.status, response.json()["code"]) == (403, ID[why])


def update_message(walk, **options):
    return walk.device.message(signer=walk.enrolled_with, **({"md": "sha256"} | options))


def signed_at(walk, when):
    """A message whose signing time says so."""
    content = walk.device.plist()
    attribute = cms.attribute("signing_time", core.UTCTime(when.replace(tzinfo=datetime.timezone.utc)))
    return cms.signed_data(content, walk.enrolled_with,
                           cms.signed_attributes(content, others=[attribute]))


# --- a device comes back -------------------------------------------------------------------------


def test_a_device_comes_back(site, walk):
    first, mdm_identity = walk.profile, walk.identity
    before = row_of(walk)
    walk.age().update(md="sha512").certify()
    assert walk.profile["PayloadIdentifier"] == first["PayloadIdentifier"] == IDENTIFIER
    assert walk.profile["PayloadUUID"] != first["PayloadUUID"]
    made = datetime.datetime.utcnow() + datetime.timedelta(days=300)
    assert abs(walk.profile["PayloadExpirationDate"] - made) < datetime.timedelta(minutes=5)
    assert walk.payload("com.apple.mdm")["ServerURL"] == SERVER
    assert walk.identity.fingerprint != mdm_identity.fingerprint
    after = row_of(walk)
    assert after[:3] == before[:3] and after[0] == "delivered"
    assert f"ServerURL: {SERVER}\n" in after[2] and f"Topic: {TOPIC}\n" in after[2]
    wait_until(lambda: f"{DEVICE} phase=3 event=updated udid={walk.device.udid}" in site.events(),
               "the event in the access log")
    assert f"{DEVICE} phase=3 event=enrolled udid={walk.device.udid}" in site.events()


def test_copies(site):
    """Neither the message that brought the first profile nor one of an update is good twice."""
    walk = site.walk().offer().identify().certify()
    first = walk.phase3_message()
    walk.deliver(message=first).certify()
    refused(walk, "ENROLLMENT_STATE", first)
    second = update_message(walk.age())
    walk.update(message=second)
    for message in (first, second, update_message(walk, attributes=False)):
        refused(walk, "ENROLLMENT_STATE", message)


def test_copies_at_once(site, walk):
    message = update_message(walk.age())
    responses = volley(site.port, site.HOST, site.world.site.root_file, DEVICE, [message] * COPIES)
    assert collections.Counter(r.status for r in responses) == {200: 1, 403: COPIES - 1}
    assert {r.json()["code"] for r in responses if r.status == 403} == {"MDM0303"}
    site.expect("ENROLLMENT_STATE", times=COPIES - 1)
    walk.identity = walk.enrolled_with
    walk.take_profile(next(r for r in responses if r.status == 200)).certify()


def test_messages_without_a_signing_time(site):
    """As Macs send them: a copy cannot be told, so it is a matter of time."""
    walk = site.walk().offer().identify().certify()
    message = walk.phase3_message(attributes=False)
    walk.deliver(message=message)
    refused(walk, "ENROLLMENT_STATE", message)
    site.database.execute("UPDATE enrollment SET updated_at = updated_at - 900 WHERE udid = "
                          f"'{walk.device.udid}'")
    responses = volley(site.port, site.HOST, site.world.site.root_file, DEVICE, [message] * COPIES)
    assert collections.Counter(r.status for r in responses) == {200: 1, 403: COPIES - 1}
    site.expect("ENROLLMENT_STATE", times=COPIES - 1)
    assert row_of(walk, "signed_at") == ("0",)


def test_wrong_clocks(site, walk):
    """One that is fast is no time; and it leaves nothing behind that would keep the device out."""
    now = datetime.datetime.utcnow()
    walk.age()
    refused(walk, "ENROLLMENT_STATE", signed_at(walk, now + datetime.timedelta(days=365)))
    refused(walk, "ENROLLMENT_STATE", signed_at(walk, now - datetime.timedelta(days=1)))
    walk.update(message=signed_at(walk, now))
    assert row_of(walk, "signed_at") == (str(int(now.replace(
        tzinfo=datetime.timezone.utc).timestamp())),)


def test_who_is_refused(site, walk):
    other = site.walk().all()
    walk.age()
    refused(walk, "DEVICE_MISMATCH", other.device.message(signer=walk.enrolled_with, md="sha256"))
    refused(walk, "CERTIFICATE_PURPOSE", walk.device.message(signer=walk.identity, md="sha256"))
    fingerprint = walk.enrolled_with.fingerprint
    site.database.execute(f"UPDATE certificate SET revoked_at = 7 WHERE fingerprint = '{fingerprint}'")
    refused(walk, "CERTIFICATE_REVOKED")
    site.database.execute(f"UPDATE certificate SET revoked_at = 0 WHERE fingerprint = '{fingerprint}'")
    site.database.execute("UPDATE enrollment SET expires_at = updated_at - 1 WHERE udid = "
                          f"'{walk.device.udid}'")
    refused(walk, "CERTIFICATE_REVOKED")
    other.age().update()


def test_user_gone(site):
    walk = site.walk(user="dave").all().age()
    site.world.slapd.disable("dave")
    try:
        site.expect("DIRECTORY_NO_USER")
        assert site.post_device(update_message(walk)).status == 403
    finally:
        site.world.slapd.enable("dave")
    walk.update()


def grow_old(walk, end):
    """The device has an identity that ended so many days from now."""
    identity = walk.site.world.maker.issue("O=Test, CN=old", walk.site.world.site.ca,
                                           key=walk.enrolled_with.key, start=pki.days(end - 100),
                                           end=pki.days(end))
    walk.site.database.execute(
        "UPDATE certificate SET fingerprint = ?, not_after = ? WHERE fingerprint = ?",
        identity.fingerprint, int(identity.cert.not_valid_after.replace(
            tzinfo=datetime.timezone.utc).timestamp()), walk.enrolled_with.fingerprint)
    walk.site.database.execute("UPDATE enrollment SET identity_fingerprint = ? WHERE udid = ?",
                               identity.fingerprint, walk.device.udid)
    walk.enrolled_with = identity


def test_past_its_end(site, walk):
    grow_old(walk.age(), -29)
    walk.update().certify()
    grow_old(walk.age(), -31)
    refused(walk, "SIGNER_EXPIRED")


def test_fixed_keys(site):
    """Fewer rights may not become more; what is refused is named."""
    walk = site.walk(host="less.test").offer().identify().certify().deliver().certify().age()
    assert walk.payload("com.apple.mdm")["AccessRights"] == 1
    refused(walk, "UPDATE_TERMS", host=site.HOST)
    (line,) = site.log.lines(ID["UPDATE_TERMS"])
    assert 'AccessRights is "8191" now, was "1"' in line
    walk.update()
    more = site.walk().all().age()
    more.host, more.device_url = "less.test", more.device_url.replace("localhost", "less.test")
    assert more.update().payload("com.apple.mdm")["AccessRights"] == 1


def test_ten_a_day(site, walk):
    for _ in range(9):
        walk.age().update()
    refused(walk.age(), "UPDATE_TOO_MANY")


def test_predecessors_end_once_the_new_one_is_used(world, own_site):
    site = own_site(directives="MDMEnrollRenewal 3650d\n").start()
    walk = site.walk().all()
    old = walk.identity
    walk.age().update().certify()
    site.database.execute("UPDATE certificate SET issued_at = issued_at - 5 WHERE fingerprint = ?",
                          old.fingerprint)
    new = walk.identity
    live = ("SELECT purpose, fingerprint FROM certificate WHERE revoked_at = 0 ORDER BY purpose, "
            "issued_at")
    mdm = [r[1] for r in site.database.query(live) if r[0] == "mdm"]
    assert mdm == [old.fingerprint, new.fingerprint]
    request = scep.Request(new, "renewal")
    reply = request.open(site.post_scep(request.message(
        None, world.site.ca.cert_file, message_type="17",
        request=scep.csr(pki.make_key(), None))).body, world.site.ca.cert_file)
    assert reply.status == scep.SUCCESS, reply.fail_info
    rows = dict((r[1], r[0]) for r in site.database.query(live))
    assert old.fingerprint not in rows and new.fingerprint in rows
    assert walk.enrolled_with.fingerprint in rows


# --- what no update can change, at a start -------------------------------------------------------

OTHER = "https://other.example.test/mdm"


class ChangingSite(Site):
    """server: other directives in place of MDMEnrollServer."""
    server = None

    def config(self):
        return re.sub("^MDMEnrollServer .*\n", lambda m: self.server or m[0], super().config(),
                      flags=re.M)

    def say(self, server, directives=""):
        self.server, self.directives = server, directives
        self.reconfigure()
        return self.httpd.test()


@pytest.fixture
def changing(world):
    one = ChangingSite(world, world.new_folder("changing"), directory=False,
                       authentication=htpasswd(world)).start()
    yield one
    one.stop()


def test_changed_server(changing):
    """httpd -t and a start refuse what would leave devices behind; a restart says it, and goes on
    without updates; whoever wants it so can have it."""
    status, said_ = changing.say(f"MDMEnrollServer {OTHER}\n")
    assert status == 0, said_  # nobody is enrolled
    changing.say(None)
    walks = [changing.walk().all() for _ in range(2)]
    assert changing.httpd.test()[0] == 0
    status, said_ = changing.say(f"MDMEnrollServer {OTHER}\n")
    assert status == 1
    for key, before in (("ServerURL", SERVER), ("CheckInURL", CHECKIN)):
        assert (f"({changing.httpd.config_file}:" in said_ and
                f': {key} is "{OTHER}" now, and was "{before}" for 2 enrolled devices' in said_)
        assert f'"MDMEnrollAllowChange {key}"' in said_
    changing.expect("TERMS_CHANGED", times=2)  # the error log of a restart
    changing.httpd.graceful()
    # as another user than root, who would leave files that httpd's children cannot use
    owner = changing.httpd.user.pw_uid
    assert {f.stat().st_uid for f in changing.httpd.state.iterdir()} == {owner}
    refused(walks[0].age(), "CERTIFICATE_UNKNOWN")  # of another site
    changing.stop()
    assert {f.stat().st_uid for f in changing.httpd.state.iterdir()} == {owner}
    changing.expect("TERMS_CHANGED", times=2)
    changing.expect("AH00016")
    with contextlib.suppress(AssertionError):
        changing.httpd.process.start()
    wait_until(lambda: not changing.httpd.process.running(), "the end of a start that is refused")
    for allowed, good in (("ServerURL", False), ("serverurl CheckInURL", True), ("all", True)):
        status, said_ = changing.say(f"MDMEnrollServer {OTHER}\n",
                                     f"MDMEnrollAllowChange {allowed}\n")
        assert (status == 0) == good, said_
    # an expression is looked at for each device
    assert changing.say(None, 'MDMEnrollPayload com.apple.mdm EnrollmentMode ADDE\n')[0] == 1
    status, said_ = changing.say('MDMEnrollServer "https://mdm.example.test/%{MDM_USER}"\n')
    assert status == 0, said_
    # fewer rights are no change, and ended enrollments do not count
    assert changing.say(None, "MDMEnrollPayload com.apple.mdm AccessRights 1\n")[0] == 0
    changing.database.execute("UPDATE enrollment SET expires_at = updated_at - 1")
    assert changing.say(f"MDMEnrollServer {OTHER}\n")[0] == 0
    status, said_ = changing.say(None, "MDMEnrollAllowChange URL\n")
    assert status == 1 and "wanted: all, or one or more of ServerURL" in said_


def test_template_changed(changing):
    """What counts is the profile of the template, whichever of them such a device gets."""
    file = changing.world.scratch / "fewer.mobileconfig"
    file.write_bytes(plistlib.dumps({"PayloadContent": [{"PayloadType": "com.apple.mdm",
                                                         "AccessRights": 3}]}))
    status, said_ = changing.say(None, f"MDMEnrollTemplate {file}\n")
    assert status == 0, said_
    changing.httpd.graceful()
    walk = changing.walk().all().age()
    assert walk.payload("com.apple.mdm")["AccessRights"] == 3
    assert changing.httpd.test()[0] == 0
    status, said_ = changing.say(None, f"MDMEnrollTemplate {file} \"%{{MDM_PRODUCT}} =~ /iPhone/\"\n")
    assert status == 0, said_
    status, said_ = changing.say(None)
    assert status == 1 and 'AccessRights is "8191" now, and was "3" for 1 enrolled devices' in said_
    walk.update()


def test_database_away(changing):
    """It keeps nobody from starting: a file that is none, tables that are none, and none at all."""
    changing.stop()
    file = changing.database.path
    for content in (b"no database, and not an empty one either" * 100, b"", None):
        for side in changing.httpd.state.iterdir():
            side.unlink()
        if content is not None:
            file.write_bytes(content)
            shutil.chown(file, changing.httpd.user.pw_name)
        status, said_ = changing.httpd.test()
        assert status == 0, said_
        assert content is None or file.read_bytes() == content
        assert content is not None or not file.exists()


# --- an MDM server fetches it --------------------------------------------------------------------


def fetch(site, query, user="bob", host=None, extra=(), **options):
    credentials = (user, slapd.password(user)) if user else None
    return site.curl(f"{UPDATE}{query}", *extra, host=host, user=credentials, **options)


def udid_of(walk):
    return "?udid=" + urllib.parse.quote(walk.device.udid)


@pytest.fixture(scope="module")
def enrolled(site):
    """For what is refused, and what is answered a few times."""
    return site.walk().all()


def test_fetched_for_the_device(site, walk):
    before = row_of(walk, "signed_at")
    for query in (udid_of(walk), f"?serial={walk.device.serial}",
                  "?serial=" + "".join(f"%{ord(c):02x}" for c in walk.device.serial)):
        walk.identity = walk.enrolled_with
        walk.take_profile(fetch(site, query))
        assert walk.profile["PayloadIdentifier"] == IDENTIFIER
    walk.certify()
    assert row_of(walk, "signed_at") == before
    walk.age().update()  # and it may come itself
    wait_until(lambda: f"{UPDATE} phase=update event=updated udid={walk.device.udid}"
               in site.events(), "the event in the access log")


def test_by_certificate(site, enrolled, server_ca):
    client = site.world.maker.issue("O=Test, CN=mdm", server_ca)
    response = fetch(site, udid_of(enrolled), user=None, host="mtls.test", identity=client)
    assert (response.status, response.type) == (200, ASPEN)
    site.expect("AH01630")  # Require ssl-verify-client
    assert fetch(site, udid_of(enrolled), user=None, host="mtls.test").status == 403


@pytest.mark.parametrize("which", ["identity", "enrolled_with"])
def test_a_device_is_not_its_mdm_server(site, enrolled, which):
    """Though mod_ssl verifies its certificate where its CA is known."""
    site.expect("HTTP_NO_USER")
    with unchanged(site.database):
        response = fetch(site, udid_of(enrolled), user=None, host="mtls.test",
                         identity=getattr(enrolled, which))
    assert response.status == 500


def test_who_may_not_fetch(site, enrolled):
    with unchanged(site.database):
        assert fetch(site, udid_of(enrolled), user=None).status == 401
        site.expect("AH01631")
        assert fetch(site, udid_of(enrolled), user="alice").status == 401
        site.expect("HTTP_NO_USER")
        assert fetch(site, udid_of(enrolled), user=None, host="open.test").status == 500


@pytest.mark.parametrize("query", ["", "?", "?udid", "?udid=", "?uuid=x", "?udid=x&serial=y",
                                   "?udid=x&udid=x", "?udid=%zz", "?serial=a%00b"])
def test_bad_queries(site, query):
    site.expect("HTTP_QUERY")
    assert fetch(site, query).status == 400


def test_unknown_devices(site, enrolled):
    half = site.walk().offer().identify().certify()
    revoked = site.walk().all()
    site.database.execute("UPDATE certificate SET revoked_at = 7 WHERE fingerprint = ?",
                          revoked.enrolled_with.fingerprint)
    queries = ["?udid=nobody's", f"?udid={enrolled.device.serial}",
               f"?serial={enrolled.device.serial.lower()}", udid_of(half), udid_of(revoked)]
    site.expect("UPDATE_UNKNOWN", times=len(queries))
    for query in queries:
        with unchanged(site.database):
            response = fetch(site, query)
        assert (response.status, response.type) == (404, "application/json")
        assert response.json()["code"] == ID["UPDATE_UNKNOWN"]


def test_methods(site, enrolled):
    """A look costs nothing."""
    with unchanged(site.database):
        head = fetch(site, udid_of(enrolled), extra=["--head"])
        assert (head.status, head.type, head.headers.get("content-length")) == (200, ASPEN, None)
        site.expect("HTTP_METHOD")
        assert fetch(site, udid_of(enrolled), data=b"x").status == 405


def test_user_gone_when_fetched(site):
    walk = site.walk(user="erin").all()
    site.world.slapd.disable("erin")
    try:
        site.expect("DIRECTORY_NO_USER")
        response = fetch(site, udid_of(walk))
    finally:
        site.world.slapd.enable("erin")
    assert (response.status, response.json()["code"]) == (403, ID["DIRECTORY_NO_USER"])


def test_on_postgresql(world, own_site):
    """The same statements, in the other database: copies, the MDM server, and a start."""
    site = own_site(database=world.make_database(), directives=endpoint(basic(world, "bob"))).start()
    walk = site.walk().offer().identify().certify()
    first = walk.phase3_message()
    walk.deliver(message=first).certify()
    site.expect("ENROLLMENT_STATE")
    assert site.post_device(first).status == 403
    time.sleep(1.1)  # signing times are in seconds
    walk.update().certify()
    for query in (udid_of(walk), f"?serial={walk.device.serial}"):
        assert fetch(site, query).status == 200
    site.expect("UPDATE_UNKNOWN")
    assert fetch(site, "?udid=x").status == 404
    site.directives += "MDMEnrollTopic com.apple.mgmt.External.other\n"
    site.reconfigure()
    status, said_ = site.httpd.test()
    assert status == 1 and f'was "{TOPIC}" for 1 enrolled devices' in said_, said_


# --- mdm-device ----------------------------------------------------------------------------------


def said(done):
    return (done.stdout + done.stderr).decode()


@pytest.fixture
def device(site, made):
    """A folder of mdm-device with an enrollment."""
    folder = site.world.new_folder("update-folder")
    for file in made.iterdir():
        shutil.copy(file, folder)
    password = folder / "password"
    password.write_text(slapd.password("alice") + "\n")
    done = run(paths.MDM_DEVICE, "enroll", site.url(PROFILE), "--user", "alice",
               "--password-file", password, "--ca", site.world.site.root_file, "--identity",
               folder, "--udid", folder.name, "--quiet", ok=False)
    assert done.returncode == OK, said(done)
    return folder


def age(site, folder):
    site.database.execute("UPDATE enrollment SET signed_at = signed_at - 100 WHERE udid = ?",
                          folder.name)


def update(site, folder, *options):
    return run(paths.MDM_DEVICE, "update", folder, "--ca", site.world.site.root_file, *options,
               ok=False)


def test_mdm_device_update(site, device, tmp_path):
    """End to end, and with another TLS certificate than the profile was signed with."""
    before = (device / "mdm-identity.pem").read_bytes()
    age(site, device)
    old, site.tls = site.tls, site.world.site.server(site.HOST, again=True)
    assert old.cert != site.tls.cert
    site.reconfigure()
    site.httpd.graceful()
    done = update(site, device, "--save", tmp_path / "kept", "--os-version", "19.0")
    assert done.returncode == OK, said(done)
    assert "the PayloadIdentifier is that of the profile installed" in said(done)
    assert (device / "mdm-identity.previous.pem").read_bytes() == before
    assert (device / "mdm-identity.pem").read_bytes() != before
    assert site.database.query(
        f"SELECT os_version FROM enrollment WHERE udid = '{device.name}'") == [("19.0",)]
    payloads = plistlib.loads((tmp_path / "kept" / "update.payloads.plist").read_bytes())
    assert "com.apple.mdm" in [p["PayloadType"] for p in payloads]
    verified = cms.verify((tmp_path / "kept" / "update.mobileconfig").read_bytes(),
                          site.world.site.root_file)
    assert verified.signer == site.tls.cert
    # once more with the very message
    site.expect("ENROLLMENT_STATE")
    done = run(paths.MDM_DEVICE, "post", site.url(DEVICE), tmp_path / "kept" / "update.request.der",
               "--ca", site.world.site.root_file, ok=False)
    assert done.returncode == REFUSED and "used already" in said(done)


def test_mdm_device_visits(site, device):
    """The new identity is seen by "Require mdm-device", and ends the one before it."""
    age(site, device)
    site.database.execute("UPDATE certificate SET issued_at = issued_at - 5")
    done = update(site, device, "--quiet", "--visit", site.url("/mdm"))
    assert done.returncode == OK, said(done)
    for name, ended in (("mdm-identity", "0"), ("mdm-identity.previous", "1"), ("enrollment", "0")):
        identity = site.world.maker.load(device / f"{name}.pem", device / f"{name}.key")
        assert site.database.query("SELECT revoked_at > 0 FROM certificate WHERE fingerprint = "
                                   f"'{identity.fingerprint}'") == [(ended,)], name
    age(site, device)
    done = update(site, device, "--visit", site.url("/none"))
    assert done.returncode == NOT_ACCEPTED and "404" in said(done)


def test_mdm_device_is_refused(site, device):
    site.database.execute("UPDATE certificate SET revoked_at = 7, revocation_reason = 1 WHERE "
                          "enrollment = (SELECT id FROM enrollment WHERE udid = ?)", device.name)
    age(site, device)
    site.expect("CERTIFICATE_REVOKED")
    done = update(site, device, "--json")
    assert done.returncode == REFUSED
    assert "was revoked" in said(done) and "mdm-device enroll begins anew" in said(done)


def test_mdm_device_usage(site, device, tmp_path):
    for options, status, words in (((), FILES, "enrollment.json"),
                                   (("--visit", "ftp://x"), USAGE, "URL"),
                                   (("--json", "--quiet"), USAGE, "do not go together")):
        done = update(site, tmp_path, *options)
        assert done.returncode == status and words in said(done), said(done)
    assert run(paths.MDM_DEVICE, "update", "--help").stdout.startswith(b"Usage: mdm-device update")
