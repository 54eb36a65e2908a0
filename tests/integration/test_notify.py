# SPDX-License-Identifier: Apache-2.0
"""MDMEnrollNotify: a service and a program of the site are told of each enrollment, once where all is
well and at last where it is not; and nobody waits for them."""

import json
import os
import shlex
import signal
import threading
import time

import pytest

from harness import foreign
from harness.process import run, wait_until
from harness.receiver import Receiver
from harness.site import ID, certificate

SECRET, TOKEN = "the key of the signatures", "the bearer's token"
PROGRAM_HOST = "program.test"
# What it is told is said by the file that is named like the program, and one of its lines each.
PROGRAM = """#!/bin/sh
printf '%s|%s|%s|%s|%s|%s|%s|%s|%s\\n' "$MDM_EVENT" "$MDM_USER" "$MDM_UDID" "$MDM_SERIAL" \\
    "$MDM_PRODUCT" "$MDM_OS_VERSION" "${MDM_NOTIFICATION:+id}" "${MDM_ENROLLMENT:+id}" \\
    "${MDM_TIME:+time}" >>"$0.told"
echo "nobody reads this"
[ -e "$0.fails" ] && exit 3
if [ -e "$0.hangs" ]; then
    echo $$ >"$0.pid"
    sleep 60 &
    echo $! >"$0.child"
    wait
fi
exit 0
"""


def secret_file(folder, name, text):
    path = folder / name
    path.write_text(text + "\nsecond line\n")
    path.chmod(0o600)
    return path


@pytest.fixture(scope="module")
def folder(world):
    made = world.new_folder("notify")
    made.chmod(0o777)
    secret_file(made, "secret", SECRET)
    secret_file(made, "token", TOKEN)
    return made


@pytest.fixture(scope="module")
def program(folder):
    path = folder / "program"
    path.write_text(PROGRAM)
    path.chmod(0o755)
    return path


@pytest.fixture
def receiver(world):
    one = Receiver(world.directory_identity, SECRET).start()
    yield one
    one.stop()


def service(world, folder, receiver):
    return (f"MDMEnrollNotify {receiver.url()} secret=file:{folder}/secret "
            f"ca={world.site.root_file} token=file:{folder}/token timeout=30s\n")


@pytest.fixture(scope="module")
def shared(world):
    """The receiver of the module's site."""
    one = Receiver(world.directory_identity, SECRET).start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def told(world, folder, program, shared):
    """Two sites on one httpd and one database: one tells a service, one a program."""
    identity = world.site.pki.issue("O=Test, CN=program", world.site.intermediate,
                                    names=[PROGRAM_HOST])

    def vhosts(site):
        return site.default_vhosts() + site.tls_vhost(
            PROGRAM_HOST, "MDMEnrollIdentifier com.example.mdm.program\n"
            f"MDMEnrollNotify exec:{program} timeout=700ms\n",
            certificates=certificate(identity, bundle=world.bundle(identity)))
    one = world.make_site("told", vhosts=vhosts, directives=service(
        world, folder, shared)).start()
    yield one
    one.stop()


def arrived(receiver, device, count=1, seconds=10):
    wait_until(lambda: len(receiver.of(device)) >= count, f"{count} notifications of a device",
               seconds=seconds)
    return receiver.of(device)


def pending(database):
    """Notifications that wait, by enrollment."""
    return dict(database.query("SELECT enrollment, tries FROM notification"))


def settled(site):
    wait_until(lambda: not pending(site.database), "nothing waits to be told")


def enrolled(site, **options):
    return site.walk(**options).offer().identify().certify().deliver()


def test_service(told, shared):
    began = time.time()
    walk = enrolled(told)
    (one,) = arrived(shared, walk.device)
    assert one.path == "/told"
    assert one.headers["Content-Type"] == "application/json"
    assert one.headers["Authorization"] == f"Bearer {TOKEN}"
    shared.verify(one)
    body = json.loads(one.body)
    ((enrollment, state),) = told.database.query(
        f"SELECT id, state FROM enrollment WHERE udid = '{walk.device.udid}'")
    assert state == "delivered"
    assert len(body.pop("id")) == 32
    assert began - 1 <= body.pop("time") <= time.time()
    assert body == {"event": "enrolled", "enrollment": enrollment, "user": "alice",
                    "udid": walk.device.udid, "serial": walk.device.serial,
                    "product": "iPhone17,2", "os_version": "18.1"}
    settled(told)
    walk.certify()
    time.sleep(1.5)  # longer than it takes until the store is asked again
    assert len(shared.of(walk.device)) == 1


def test_signature_as_the_manual_says(told, shared, folder):
    """By openssl's program, in a shell."""
    walk = enrolled(told)
    (one,) = arrived(shared, walk.device)
    parts = dict(p.split("=", 1) for p in one.headers["MDM-Enroll-Signature"].split(","))
    (folder / "body").write_bytes(one.body)
    done = run("sh", "-c", f"printf '%s.' {parts['t']} | cat - {folder}/body | "
               f"openssl dgst -sha256 -hmac {shlex.quote(SECRET)} | sed 's/.*= //'")
    assert done.stdout.decode().strip() == parts["v1"]


def test_failures_of_a_service(told, shared):
    """Down, then up; then two answers that are no yes, and a redirect. One warning for all."""
    told.expect("NOTIFY_FAILED")
    shared.stop()
    walk = enrolled(told)
    wait_until(lambda: told.log.lines(ID["NOTIFY_FAILED"]), "a warning")
    assert shared.of(walk.device) == []
    shared.start()
    shared.verify(arrived(shared, walk.device)[0])

    shared.statuses[:] = [500, 302]
    shared.headers = {"Location": shared.url("/elsewhere")}
    walk = enrolled(told)
    seen = arrived(shared, walk.device, 3, seconds=15)
    shared.headers = {}
    assert [t.answer for t in seen] == [500, 302, 204]
    assert {t.path for t in seen} == {"/told"}
    assert len({t.body for t in seen}) == 1  # the same id: who was told twice can tell
    assert seen[1].began - seen[0].began >= 0.9
    for one in seen:
        shared.verify(one)
    assert len(told.log.lines(ID["NOTIFY_FAILED"])) >= 3
    settled(told)


def test_given_up(told, shared):
    """After a week: one line, and it is gone."""
    told.expect("NOTIFY_GIVEN_UP")
    shared.statuses[:] = [503] * 9
    walk = enrolled(told)
    arrived(shared, walk.device)
    told.database.execute("UPDATE notification SET created_at = created_at - 7 * 86400")
    settled(told)
    shared.statuses.clear()
    (line,) = told.log.lines(ID["NOTIFY_GIVEN_UP"])
    ((enrollment,),) = told.database.query(
        f"SELECT id FROM enrollment WHERE udid = '{walk.device.udid}'")
    assert enrollment in line and "status 503" in line


def test_program(told, program):
    walk = enrolled(told, host=PROGRAM_HOST)
    told_file = program.with_name("program.told")
    wait_until(lambda: told_file.exists() and walk.device.udid in told_file.read_text(),
               "the program is run")
    settled(told)
    (line,) = [li for li in told_file.read_text().splitlines() if walk.device.udid in li]
    assert line == "|".join(["enrolled", "alice", walk.device.udid, walk.device.serial,
                             "iPhone17,2", "18.1", "id", "id", "time"])


def test_failures_of_a_program(told, program):
    """It fails, then it hangs and is killed with what it started, then all is well."""
    told.expect("NOTIFY_FAILED")
    told_file, fails = program.with_name("program.told"), program.with_name("program.fails")
    hangs = program.with_name("program.hangs")
    fails.touch()
    walk = enrolled(told, host=PROGRAM_HOST)

    def runs():
        return told_file.read_text().count(walk.device.udid) if told_file.exists() else 0
    wait_until(lambda: runs() >= 1, "it is run")
    hangs.touch()
    fails.unlink()
    wait_until(lambda: runs() >= 2, "it is run again")
    wait_until(lambda: any("700 ms" in li for li in told.log.lines(ID["NOTIFY_FAILED"])), "killed")
    hangs.unlink()
    assert foreign.gone(program.with_name("program.pid"))
    assert foreign.gone(program.with_name("program.child"))
    settled(told)
    assert runs() == 3
    assert "ended with status 3" in told.log.lines(ID["NOTIFY_FAILED"])[0]


def test_slow_receiver_holds_nothing_up(told, shared):
    """Neither phase 3, nor a graceful restart; and it is told by the next process."""
    shared.delay = 25
    first = enrolled(told)
    began = arrived(shared, first.device)[0].began
    shared.delay = 0
    second = enrolled(told)
    assert shared.of(second.device) == []  # it waits its turn; the device did not
    told.httpd.graceful()
    assert time.monotonic() - began < 20
    arrived(shared, second.device)
    arrived(shared, first.device, 2)
    settled(told)


def test_hanging_program_holds_no_restart_up(told, program):
    hangs, pid = program.with_name("program.hangs"), program.with_name("program.pid")
    pid.unlink(missing_ok=True)
    hangs.touch()
    enrolled(told, host=PROGRAM_HOST)
    wait_until(pid.exists, "it is run")
    told.httpd.graceful()
    hangs.unlink()
    settled(told)
    assert foreign.gone(pid)


def test_secrets_are_not_logged(told):
    text = told.log.path.read_text()
    assert SECRET not in text and TOKEN not in text
    assert "nobody reads this" not in text


def test_no_process_crashed(told):
    """httpd tells of that at level notice only."""
    text = told.log.path.read_text()
    assert "AH00051" not in text and "AH00052" not in text


def test_killed_between_delivery_and_sending(world, folder, own_site, receiver):
    """Every process of httpd ends at once, with the device delivered and nobody told."""
    receiver.stop()
    site = own_site(directives=service(world, folder, receiver)).start()
    site.expect("NOTIFY_FAILED", "AH00098")
    walk = enrolled(site)
    site.log.wait_for(ID["NOTIFY_FAILED"])
    os.killpg(site.httpd.process.pid, signal.SIGKILL)
    site.httpd.process.popen.wait()
    assert len(pending(site.database)) == 1
    receiver.start()
    site.start()
    (one,) = arrived(receiver, walk.device, seconds=20)
    receiver.verify(one)
    settled(site)


def test_two_httpds_and_one_database(world, folder, own_site, receiver):
    database = world.make_database()
    directives = service(world, folder, receiver)
    sites = [own_site(database=database, directives=directives).start() for _ in range(2)]
    receiver.delay = 0.7
    walks = [sites[i % 2].walk() for i in range(4)]
    threads = [threading.Thread(target=lambda w=w: w.offer().identify().certify().deliver())
               for w in walks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for walk in walks:
        arrived(receiver, walk.device, seconds=20)
    wait_until(lambda: not pending(database), "nothing waits to be told")
    assert set(receiver.most_at_once.values()) == {1}
    assert all(len(receiver.of(w.device)) == 1 for w in walks)
    # A stop is not held up (httpd would say so), and is no failure; the next process goes on.
    receiver.delay = 25
    walk = enrolled(sites[0])
    arrived(receiver, walk.device)
    receiver.delay = 0
    for site in sites:
        site.stop()
        assert not site.log.lines("AH00045", "AH00051", "AH00052", ID["NOTIFY_FAILED"])
    sites[0].start()
    arrived(receiver, walk.device, 2)
    wait_until(lambda: not pending(database), "nothing waits to be told")


def test_certificate_is_verified(world, folder, own_site, receiver):
    """Of a CA that is not named, the receiver hears nothing, not even the token."""
    site = own_site(directives=f"MDMEnrollNotify {receiver.url()} secret=file:{folder}/secret\n").start()
    site.expect("NOTIFY_FAILED")
    enrolled(site)
    wait_until(lambda: site.log.lines(ID["NOTIFY_FAILED"]), "a warning")
    assert receiver.told == []


URL = "https://127.0.0.1:1/told"
WRONG = {
    "no URL": ("/usr/bin/true", "an https URL"),
    "plain http": ("http://hook.example.com/ secret=file:{folder}/secret", "http on loopback only"),
    "nothing": ("", "an https URL"),
    "no secret": (URL, "secret=file:/path"),
    "secret as text": (URL + " secret=0123456789abcdef0123", "secret=:"),
    "no file": (URL + " secret=file:{folder}/missing", "no secret can be read from"),
    "short secret": (URL + " secret=file:{folder}/short", "has 15 bytes; wanted: at least 16"),
    "empty secret": (URL + " secret=file:{folder}/empty", "is empty"),
    "timeout": (URL + " secret=file:{folder}/secret timeout=2h", "100ms to 60s"),
    "ca": (URL + " secret=file:{folder}/secret ca={folder}/secret", "ca="),
    "token": (URL + " secret=file:{folder}/secret token=abc", "token=:"),
    "token file": (URL + " secret=file:{folder}/secret token=file:/missing", "no token can be"),
    "option": (URL + " secret=file:{folder}/secret retry=5", "is no option"),
    "twice": (URL + " secret=file:{folder}/secret secret=file:/x", "given twice"),
    "no program": ("exec:/missing/program", "wanted: a program"),
    "not executable": ("exec:{folder}/secret", "chmod 755"),
    "secret of a program": ("exec:{folder}/program secret=file:{folder}/secret",
                            "no option but timeout="),
}


@pytest.fixture(scope="module")
def idle(world):
    """A site that is only tested."""
    return world.make_site("idle")


def judged(site, text, vhosts=""):
    site.httpd.configure(text + site.config() + vhosts)
    status, said = site.httpd.test()
    return status, " ".join(said.split())


@pytest.mark.parametrize("name", WRONG)
def test_wrong_configuration(idle, folder, program, name):
    secret_file(folder, "short", "x" * 15)
    (folder / "empty").write_text("\n")
    line, wanted = WRONG[name]
    status, said = judged(idle, f"MDMEnrollNotify {line.format(folder=folder)}\n")
    assert status != 0
    assert "MDMEnrollNotify" in said and wanted in said
    assert str(idle.httpd.config_file) in said
    assert "0123456789abcdef0123" not in said and "token=abc" not in said


def test_two_directives(idle, program):
    line = f"MDMEnrollNotify exec:{program}\n"
    status, said = judged(idle, line + line)
    assert status != 0 and "said already" in said
    status, said = judged(idle, line)
    assert status == 0, said


def test_one_site_tells_one(idle, folder, program):
    """Two vhosts that are one site; and two that are not."""
    line = f"MDMEnrollNotify exec:{program}\n"
    other = f"MDMEnrollNotify {URL} secret=file:{folder}/secret\n"
    vhosts = idle.tls_vhost("other.test", other, certificates=certificate(
        idle.world.site.server(idle.HOST)))
    status, said = judged(idle, line, vhosts)
    assert status != 0 and "tells somebody else" in said
    vhosts = vhosts.replace(other, other + "MDMEnrollIdentifier com.example.other\n")
    status, said = judged(idle, line, vhosts)
    assert status == 0, said
    vhosts = vhosts.replace(other, "").replace("MDMEnrollIdentifier com.example.other\n", "")
    status, said = judged(idle, line, vhosts)
    assert status == 0, said
