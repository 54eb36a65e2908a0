# SPDX-License-Identifier: Apache-2.0
"""The administrator's program on the databases of running sites: list, show, revoke."""

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import threading
import time

import pytest

from harness import paths, scep
from harness.database import unchanged
from harness.process import run
from harness.site import ID

OK, NOTHING, USAGE, DATABASE, FILES = range(5)
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"

ENROLLMENT_KEYS = {"id", "state", "user", "udid", "serial_number", "product", "os_version",
                   "created_at", "updated_at", "waits_until", "revoked_at", "live_certificates",
                   "last_refusal"}
CERTIFICATE_KEYS = {"serial", "issuer_key_id", "fingerprint", "purpose", "enrollment", "user",
                    "udid", "serial_number", "status", "not_before", "not_after", "issued_at",
                    "revoked_at", "revocation_reason"}


def admin(*words, site=None, status=OK, **options):
    """Run it; site: on its database. Its output as text."""
    store = ["--store", site.database.store] if site else []
    env = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "MDM_ENROLL_STORE")}
    done = run(paths.MDM_ADMIN, *words, *store, ok=False,
               **({"env": env | options.pop("environ", {})} | options))
    said = done.stdout.decode() + done.stderr.decode()
    assert done.returncode == status, said
    return said


def admin_json(*words, site, status=OK):
    done = run(paths.MDM_ADMIN, *words, "--json", "--store", site.database.store, ok=False)
    assert done.returncode == status, done.stderr.decode()
    return json.loads(done.stdout)


def enrollments(site, *words, **options):
    return admin_json("list", *words, site=site, **options)


def certificates(site, *words, **options):
    return admin_json("list", "certificates", *words, site=site, **options)


@pytest.fixture(scope="module")
def enrolled(world):
    """A site on which two people have two devices each."""
    site = world.make_site("admin").start()
    for user, serial in [("alice", "ADM0000A1"), ("alice", "ADM0000A2"), ("bob", "ADM0000B1"),
                         ("bob", "ADM0000B2")]:
        site.walk(world.device(UDID=f"UDID-{serial}", SERIAL=serial), user=user).all()
    yield site
    site.stop()


@pytest.fixture(params=["sqlite", "postgres"])
def any_site(request, world, own_site):
    """A fresh site on either database."""
    options = {"database": world.make_database()} if request.param == "postgres" else {}
    return own_site(**options).start()


# --- list and show -------------------------------------------------------------------------------


def test_list(enrolled):
    text = admin("list", site=enrolled)
    lines = text.splitlines()
    assert lines[0].split()[:2] == ["STATE", "USER"] and len(lines) == 5
    rows = enrollments(enrolled)
    assert lines[1].split()[:3] == ["delivered", rows[0]["user"], rows[0]["serial_number"]]
    assert {row["serial_number"] for row in rows} == {"ADM0000B2", "ADM0000B1", "ADM0000A2",
                                                      "ADM0000A1"}
    times = [row["created_at"] for row in rows]
    assert times == sorted(times, reverse=True), "newest first"
    for row in rows:
        assert set(row) == ENROLLMENT_KEYS
        assert row["live_certificates"] == 2 and row["revoked_at"] is None
        assert row["last_refusal"] is None and row["waits_until"] is None
        assert re.fullmatch(TIME, row["created_at"]) and re.fullmatch(TIME, row["updated_at"])


@pytest.mark.parametrize("words, count", [
    (["--user", "alice"], 2), (["--device", "adm0000a1"], 1), (["--device", "udid-ADM0000B1"], 1),
    (["--user", "bob", "--device", "ADM0000A1"], 0), (["--state", "delivered"], 4),
    (["--state", "offered"], 0), (["--since", "1h"], 4), (["--since", "2099-01-01"], 0),
    (["--since", "2020-01-01T00:00Z"], 4), (["--refused"], 0), (["--limit", "3"], 3)])
def test_filters(enrolled, words, count):
    assert len(enrollments(enrolled, *words, status=OK if count else NOTHING)) == count


def test_list_certificates(enrolled):
    rows = certificates(enrolled, "--user", "alice", "--live")
    assert len(rows) == 4 and {row["purpose"] for row in rows} == {"identity", "mdm"}
    for row in rows:
        assert set(row) == CERTIFICATE_KEYS
        assert row["user"] == "alice" and row["status"] == "valid"
        assert len(row["fingerprint"]) == 64 and row["revocation_reason"] is None
    assert "ADM0000A2" in admin("list", "certificates", site=enrolled)


def test_table_fits_a_terminal(enrolled):
    for width in (60, 80, 100, 132, 250):
        text = admin("list", site=enrolled, environ={"COLUMNS": str(width)})
        assert max(map(len, text.splitlines())) <= width
        text = admin("list", "certificates", site=enrolled, environ={"COLUMNS": str(width)})
        assert max(map(len, text.splitlines())) <= width


@pytest.mark.parametrize("key", ["ADM0000A2", "udid-adm0000a2", "id", "serial", "fingerprint"])
def test_show(enrolled, key):
    (row,) = enrollments(enrolled, "--device", "ADM0000A2")
    (cert,) = [c for c in certificates(enrolled, "--device", "ADM0000A2") if c["purpose"] == "mdm"]
    key = {"id": row["id"], "serial": ":".join(re.findall("..", cert["serial"].upper())),
           "fingerprint": cert["fingerprint"].upper()}.get(key, key)
    text = admin("show", key, site=enrolled)
    assert row["id"] in text and "CN=UDID-ADM0000A2" in text and "alice" in text
    (shown,) = admin_json("show", key, site=enrolled)
    assert set(shown) == ENROLLMENT_KEYS | {"challenges", "certificates", "device_fingerprint",
                                            "identity_fingerprint"}
    assert [c["purpose"] for c in shown["challenges"]] == ["device", "identity", "mdm"]
    assert shown["challenges"][1].keys() == {"purpose", "expires_at", "used_at", "uses"}
    assert set(shown["certificates"][0]) == CERTIFICATE_KEYS | {"subject", "issuer",
                                                                "subject_alt_name"}
    assert shown["certificates"][0]["subject_alt_name"] == f"URI:urn:mdm-enroll:{row['id']}"
    for (secret,) in enrolled.database.query("SELECT hash FROM challenge"):
        assert secret not in text and secret not in json.dumps(shown)


def test_show_a_user(enrolled):
    assert admin("show", "bob", site=enrolled).count("\nenrollment ") == 1
    assert len(admin_json("show", "bob", site=enrolled)) == 2
    text = admin("show", "bob", "--limit", "1", site=enrolled)
    assert text.startswith("enrollment ") and "there are more" in text


@pytest.mark.parametrize("words", [["show", "BOB"], ["list", "--user", "BOB"],
                                   ["revoke", "--user", "BOB"]])
def test_names_count_exactly(enrolled, words):
    with unchanged(enrolled.database):
        assert "there is: bob" in admin(*words, site=enrolled, status=NOTHING)


def test_why_it_was_refused(own_site):
    """In the words of the manual."""
    site = own_site(directives="MDMEnrollRequire \"%{MDM_PRODUCT} =~ /^iPad/\"\n").start()
    walk = site.walk().offer()
    site.expect("POLICY_REFUSED")
    assert walk.post(walk.phase2_message()).status == 403
    (row,) = enrollments(site, "--refused")
    assert row["state"] == "offered" and row["waits_until"]
    assert row["last_refusal"]["id"] == "MDM0400"
    assert row["last_refusal"]["meaning"] == "an MDMEnrollRequire does not hold"
    assert row["last_refusal"]["remedy"] == "the line names it"
    assert "MDM0400: an MDMEnrollRequire does not hold" in admin("list", site=site)
    assert "an MDMEnrollRequire does not hold" in admin("show", row["id"], site=site)


def test_hostile_values(own_site):
    """What a device or directory says drives no terminal."""
    site = own_site().start()
    site.walk().offer()
    evil = "eve\x1b[2J\u202e\u009b\u00e9"
    with contextlib.closing(sqlite3.connect(site.database.path)) as db, db:
        db.execute("UPDATE enrollment SET user_name = ?, udid = 'u', product = CAST(x'ff41' AS TEXT)", [evil])
    for words in (["list"], ["show", evil]):
        text = admin(*words, site=site)
        assert r"eve\x1B[2J\xE2\x80\xAE\xC2\x9Bé" in text and r"\xFFA" in text
    done = run(paths.MDM_ADMIN, "list", "--json", "--store", site.database.store)
    assert not re.search(rb"[^\n\x20-\x7e]", done.stdout)
    assert json.loads(done.stdout)[0]["user"] == evil


# --- revoke --------------------------------------------------------------------------------------


def serials(site, *words):
    return {row["serial"] for row in certificates(site, *words)}


def live(site, *words):
    done = run(paths.MDM_ADMIN, "list", "certificates", "--live", "--json", "--store",
               site.database.store, *words, ok=False)
    return json.loads(done.stdout)


def test_between_phase_2_and_3(any_site):
    """The identity is issued and the device on its way back: it gets nothing."""
    walk = any_site.walk().offer().identify().certify()
    text = admin("revoke", "--user", "alice", "--reason", "affiliationChanged", site=any_site)
    assert "identified: ended" in text and "revoked 1 certificate, reason affiliationChanged" in text
    any_site.expect("CERTIFICATE_REVOKED")
    response = walk.post(walk.phase3_message())
    assert (response.status, response.json()["code"]) == (403, ID["CERTIFICATE_REVOKED"])
    (row,) = enrollments(any_site)
    assert row["state"] == "identified" and row["revoked_at"] and row["live_certificates"] == 0
    assert certificates(any_site)[0]["revocation_reason"] == "affiliationChanged"
    assert enrollments(any_site, "--state", "revoked") == [row]
    with unchanged(any_site.database):
        assert "nothing is left" in admin("revoke", "--user", "alice", site=any_site)


def test_each_step_after_a_revocation(any_site):
    """Whatever the device has in hand when its user is revoked is worth nothing."""
    offered = any_site.walk().offer()
    identifying = any_site.walk().offer().identify()
    delivered = any_site.walk().offer().identify().certify().deliver()
    data = admin_json("revoke", "--user", "alice", site=any_site)
    assert {row["state"] for row in data["enrollments"]} == {"offered", "identifying", "delivered"}
    assert len(data["certificates"]) == 1 and not data["dry_run"]
    assert data["certificates"][0]["status"] == "revoked"
    any_site.expect("CHALLENGE_EXPIRED", times=3)
    response = offered.post(offered.phase2_message())
    assert (response.status, response.json()["code"]) == (403, ID["CHALLENGE_EXPIRED"])
    for walk in (identifying, delivered):
        request = walk.request()
        ca = any_site.world.site.ca.cert_file
        response = any_site.post_scep(request.message(walk.scep_challenge, ca))
        assert request.open(response.body, ca).status == scep.FAILURE
    assert live(any_site) == []
    any_site.walk().all()  # no ban: the user may begin anew, as far as the directory lets him
    assert len(live(any_site)) == 2


def test_repeated_request_after_a_revocation(any_site):
    """SCEP's retransmission brings no certificate that was revoked."""
    walk = any_site.walk().offer().identify()
    request, ca = walk.request(), any_site.world.site.ca.cert_file
    message = request.message(walk.scep_challenge, ca)
    assert request.open(any_site.post_scep(message).body, ca).status == scep.SUCCESS
    admin("revoke", "--device", walk.device.serial, site=any_site)
    any_site.expect("CHALLENGE_EXPIRED")
    assert request.open(any_site.post_scep(message).body, ca).status == scep.FAILURE


def test_user_with_several_devices(enrolled):
    others = serials(enrolled, "--user", "bob")
    wanted = serials(enrolled, "--user", "alice")
    with unchanged(enrolled.database):
        text = admin("revoke", "--user", "alice", "--dry-run", site=enrolled)
    assert "would revoke 4 certificates" in text and all(s in text for s in wanted)
    text = admin("revoke", "--user", "alice", "--reason", "KEYCOMPROMISE", site=enrolled)
    assert "revoked 4 certificates, reason keyCompromise" in text
    assert all(s in text for s in wanted) and not any(s in text for s in others)
    assert {row["serial"] for row in live(enrolled)} == others
    assert {row["state"] for row in enrollments(enrolled)} == {"delivered"}
    assert len(enrollments(enrolled, "--state", "revoked")) == 2


def test_one_certificate(enrolled):
    """Its enrollment goes on, and that is said."""
    (cert,) = [c for c in certificates(enrolled, "--device", "ADM0000B1", "--live")
               if c["purpose"] == "mdm"]
    spelled = "00:" + ":".join(re.findall("..", cert["serial"].upper()))
    text = admin("revoke", "--serial", spelled, site=enrolled)
    assert cert["serial"] in text and "has 1 more" in text
    assert f"revoke --enrollment {cert['enrollment']}" in text
    with unchanged(enrolled.database):
        text = admin("revoke", "--fingerprint", cert["fingerprint"], site=enrolled)
    assert "was revoked 20" in text
    with unchanged(enrolled.database):
        assert "no such certificate" in admin("revoke", "--serial", "0badc0de", site=enrolled,
                                              status=NOTHING)


def test_two_issuers_with_one_serial_number(own_site, world):
    site = own_site().start()
    site.walk().all()
    first, second = certificates(site)
    with contextlib.closing(sqlite3.connect(site.database.path)) as db, db:
        db.execute("UPDATE certificate SET serial = ?, issuer = ? WHERE fingerprint = ?",
                   [first["serial"], "ab" * 32, second["fingerprint"]])
    with unchanged(site.database):
        text = admin("revoke", "--serial", first["serial"], site=site, status=USAGE)
    assert "--issuer" in text and first["fingerprint"] in text and second["fingerprint"] in text
    admin("revoke", "--serial", first["serial"], "--issuer", world.site.ca.cert_file, site=site)
    assert [c["fingerprint"] for c in live(site)] == [second["fingerprint"]]
    admin("revoke", "--serial", first["serial"], "--issuer", "ABABABAB", site=site)
    assert live(site) == []


def test_race_with_enrollments(any_site):
    """A user's devices enroll as fast as they can while he is revoked: afterwards no certificate
    counts whose enrollment was begun before."""
    walks = [any_site.walk().offer() for _ in range(12)]

    def enroll(walk, delay):
        time.sleep(delay)
        with contextlib.suppress(AssertionError):
            walk.identify().certify().deliver().certify()

    threads = [threading.Thread(target=enroll, args=(walk, i * 0.15))
               for i, walk in enumerate(walks)]
    for thread in threads:
        thread.start()
    time.sleep(0.9)
    data = admin_json("revoke", "--user", "alice", site=any_site)
    for thread in threads:
        thread.join()
    came = [name for name in ("CHALLENGE_EXPIRED", "ENROLLMENT_EXPIRED", "CERTIFICATE_REVOKED",
                              "ENROLLMENT_STATE", "SCEP_CHALLENGE") if any_site.log.lines(ID[name])]
    any_site.expect(*came, times=None)
    assert came and data["certificates"], "not in the middle of it"
    assert len(data["enrollments"]) == 12
    assert live(any_site) == []
    assert len(enrollments(any_site, "--state", "revoked")) == 12


def test_request_under_way(own_site):
    """A certificate whose request was past every check is waited for, and revoked."""
    site = own_site().start()
    walk = site.walk().offer().identify()
    walk.certify().deliver().certify()
    (row,) = [c for c in certificates(site) if c["purpose"] == "mdm"]
    with contextlib.closing(sqlite3.connect(site.database.path, timeout=10)) as db:
        kept = db.execute("SELECT * FROM certificate WHERE fingerprint = ?",
                          [row["fingerprint"]]).fetchone()
        with db:
            db.execute("DELETE FROM certificate WHERE fingerprint = ?", [row["fingerprint"]])
        started = subprocess.Popen([paths.MDM_ADMIN, "revoke", "--user", "alice", "--store",
                                    site.database.store], stdout=subprocess.PIPE)
        time.sleep(1.5)
        assert started.poll() is None, "it does not wait"
        with db:
            db.execute(f"INSERT INTO certificate VALUES ({','.join('?' * len(kept))})", kept)
    text = started.communicate(timeout=20)[0].decode()
    assert started.returncode == OK and row["serial"] in text
    assert live(site) == []


# --- where the database is -----------------------------------------------------------------------


def test_store_by_environment_and_conf(enrolled, tmp_path):
    store = enrolled.database.store
    assert "bob" in admin("list", environ={"MDM_ENROLL_STORE": store})
    assert "bob" in admin("list", "--conf", enrolled.httpd.config_file)
    other = tmp_path / "mdm.conf"
    other.write_text(f'# MDMEnrollStore "sqlite3:/elsewhere"\nDefine  THE_STORE "{store}"\n'
                     "<IfDefine !X>\n  mdmenrollstore \\\n \"${THE_STORE}\"\n</IfDefine>\n")
    assert "bob" in admin("list", "--conf", other)
    including = tmp_path / "httpd.conf"
    including.write_text("Include md*.conf\n")
    assert "bob" in admin("list", "--conf", including)


def test_store_in_doubt(tmp_path):
    conf = tmp_path / "httpd.conf"
    conf.write_text("MDMEnrollStore sqlite3:/a\nMDMEnrollStore sqlite3:/a\n"
                    "MDMEnrollStore \"pgsql:host=x password='hunter2'\"\n")
    text = admin("list", "--conf", conf, status=USAGE)
    assert f"sqlite3:/a ({conf} line 1)" in text and "line 3" in text and "--store" in text
    assert "hunter2" not in text
    conf.write_text("MDMEnrollStore ${WHERE}\n")
    assert "${WHERE}" in admin("list", "--conf", conf, status=DATABASE)
    conf.write_text("Listen 80\n")
    assert "no MDMEnrollStore in" in admin("list", "--conf", conf, status=DATABASE)
    assert "No such file" in admin("list", "--conf", tmp_path / "none", status=FILES)


def test_nothing_is_made(tmp_path):
    """Neither a file nor tables where there are none."""
    missing = tmp_path / "none.db"
    assert "No such file" in admin("list", "--store", f"sqlite3:{missing}", status=DATABASE)
    assert not missing.exists()
    empty = tmp_path / "empty.db"
    empty.touch()
    assert "no tables" in admin("list", "--store", f"sqlite3:{empty}", status=DATABASE)
    with contextlib.closing(sqlite3.connect(empty)) as db:
        assert db.execute("SELECT * FROM sqlite_master").fetchall() == []


def test_password_is_not_shown(world):
    store = f"{world.make_database().store} password='hunter2' dbname=nothing-there"
    assert "hunter2" not in admin("list", "--store", store, status=DATABASE)
    assert "hunter2" not in admin("list", "--store", "pgsql:password=hunter2 host", status=USAGE)


@pytest.mark.skipif(not paths.ROOT, reason="needs root")
def test_side_files_stay_httpds(own_site):
    """Root looks at the database of a stopped httpd: what SQLite makes beside it is the owner's."""
    site = own_site().start()
    site.walk().offer()
    site.stop()
    folder = site.database.path.parent
    for file in folder.iterdir():
        if file != site.database.path:
            file.unlink()
    with contextlib.closing(sqlite3.connect(site.database.path)) as db:
        pass
    seen = set()
    watching = threading.Event()

    def watch():
        while not watching.is_set():
            for file in folder.iterdir():
                with contextlib.suppress(FileNotFoundError):
                    seen.add((file.name, file.stat().st_uid))
    thread = threading.Thread(target=watch)
    thread.start()
    for _ in range(5):
        admin("revoke", "--user", "alice", site=site)
    watching.set()
    thread.join()
    assert {uid for _, uid in seen} == {site.database.path.stat().st_uid} != {0}
    site.start()
    site.walk().offer()


# --- the command line ----------------------------------------------------------------------------


@pytest.mark.parametrize("words, said", [
    ([], "Usage:"), (["fly"], 'no command "fly"'), (["list", "--fly"], "unrecognized option"),
    (["list", "--state", "new"], "--state wants offered"), (["list", "x"], "one word certificates"),
    (["list", "--since", "yesterday"], "--since wants a date"),
    (["list", "--limit", "0"], "--limit wants"), (["list", "--live"], "--live is of certificates"),
    (["list", "certificates", "--refused"], "are of enrollments"),
    (["list", "--store", "/x.db"], "kind of database is missing"),
    (["list", "--store", "sqlite3:x.db"], "not the absolute path"),
    (["show"], "show wants one word"), (["show", "a", "b"], "show wants one word"),
    (["revoke"], "whom or what?"), (["revoke", "alice"], "revoke takes options only"),
    (["revoke", "--user", ""], "not empty"), (["revoke", "--user"], "requires an argument"),
    (["revoke", "--user", "a", "--device", "b"], "do not go together"),
    (["revoke", "--user", "a", "--reason", "hold"], "--reason wants unspecified"),
    (["revoke", "--user", "a", "--reason", "certificateHold"], "--reason wants unspecified"),
    (["revoke", "--serial", "xyz"], "--serial wants"),
    (["revoke", "--fingerprint", "ab"], "--fingerprint wants"),
    (["revoke", "--user", "a", "--issuer", "abababab"], "--issuer goes with --serial"),
    (["make-ca", "a.pem"], "two files"), (["make-ca", "a", "b", "--key", "rsa1024"], "--key wants"),
    (["make-ca", "a", "b", "--days", "0"], "--days wants"),
    (["make-ra", "a", "b"], "who issues it?")])
def test_usage_errors(words, said):
    assert said in admin(*words, status=USAGE)


def test_help():
    for command in ("list", "show", "revoke", "make-ca", "make-ra"):
        assert f"Usage: mdm-enroll-admin {command}" in admin(command, "--help")
        assert command in admin("--help")
    assert re.search(r"\d", admin("--version"))


def test_full_disk(enrolled):
    with open("/dev/full", "wb") as full:
        done = subprocess.run([paths.MDM_ADMIN, "list", "--store", enrolled.database.store],
                              stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == FILES and b"cannot be written" in done.stderr
