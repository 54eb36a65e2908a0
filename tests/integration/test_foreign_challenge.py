# SPDX-License-Identifier: Apache-2.0
"""Foreign CAs beside the site's own one, and where their challenges come from: files, programs,
services, and what becomes of an enrollment where there is none."""

import threading
import time

import pytest

from harness import foreign, scep
from harness.database import unchanged
from harness.http import volley
from harness.process import wait_until
from harness.schema import Schemas
from harness.site import DEVICE, ID, SCEP, certificate

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


PROGRAMS = {
    "good": 'echo "from a program"\necho more\n',
    "told": 'printf "%s|%s|%s|%s|%s\\n" "$MDM_PURPOSE" "$MDM_USER" "$MDM_UDID" "$MDM_SERIAL" '
            '"${MDM_ENROLLMENT:+id}" | tr -d "\\r"\n',
    # without a pipe of the shell's own
    "files": 'readlink /proc/$$/fd/* >"{folder}/files.list"\necho done\n',
    "fails": 'echo "not to be taken"\nexit 3\n',
    "silent": "exit 0\n",
    "blank": "echo\necho second\n",
    "hangs": 'echo $$ >"{folder}/hangs.pid"\nsleep 60 &\necho $! >"{folder}/sleeps.pid"\n'
             'echo "not to be taken"\nwait\n',
    "closes": 'echo $$ >"{folder}/closes.pid"\necho "not to be taken"\nexec >&- 2>&-\nsleep 60\n',
    "floods": "yes\n",
    "signals": "kill -TERM $$\n",
}
UNRULY = [p for p in PROGRAMS if p not in ("good", "told", "files")]
HOOKS = [h for h in foreign.HookServer.ANSWERS if h not in ("/json", "/text", "/gate")]
TIMEOUT = "400ms"


@pytest.fixture(scope="module")
def hook(world):
    one = foreign.HookServer(world.directory_identity)
    yield one
    one.stop()


@pytest.fixture(scope="module")
def programs(world):
    """Programs as a site may have them, in a folder that httpd's user may enter and write."""
    folder = world.new_folder("programs")
    folder.chmod(0o777)
    for name, text in PROGRAMS.items():
        (folder / name).write_text("#!/bin/sh\n" + text.replace("{folder}", str(folder)))
        (folder / name).chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def mixed(world, server, handmade, hook, programs):
    """A host for each way, with the site's own CA beside."""
    token, challenge = programs / "token", programs / "challenge"
    token.write_text("bearer's token\n")
    challenge.write_text(SECRET + "\n")
    for secret in (token, challenge):
        secret.chmod(0o600)
    verified = f"challenge-ca={world.site.root_file} challenge-timeout={TIMEOUT}"
    hosts = {
        "identity.test": f"{server.url} for=identity challenge=file:{challenge}",
        "mdm.test": f"{server.url} for=mdm name=NDES ca-fingerprint={'ab:' * 19}ab",
        "token.test": f"{hook.url('/scep')} for=identity challenge={hook.url('/json')} {verified} "
                      f"challenge-token=file:{token}",
        "text.test": f"{server.url} for=mdm challenge={hook.url('/text')} {verified}",
        "gate.test": f"{server.url} for=identity challenge={hook.url('/gate')} "
                     f"challenge-ca={world.site.root_file}",
        "unverified.test": f"{server.url} for=identity challenge={hook.url('/json')}",
        "nobody.test": f"{server.url} for=identity challenge=https://127.0.0.1:1/ {verified}",
    }
    hosts |= {f"{name}.exec.test": f"{server.url} for=identity challenge=exec:{programs / name} "
              f"challenge-timeout={TIMEOUT}" for name in PROGRAMS}
    hosts |= {f"{path[1:]}.hook.test": f"{server.url} for=identity challenge={hook.url(path)} "
              f"{verified}" for path in HOOKS}
    names = world.site.pki.issue("O=Test, CN=hosts", world.site.intermediate, names=list(hosts))

    def text(site):
        lines = certificate(names, bundle=world.bundle(names))
        return "".join(site.tls_vhost(host, f"MDMEnrollIdentity scep {options}\n",
                                      certificates=lines) for host, options in hosts.items())
    one = world.make_site("mixed", vhosts=text, directives=(
        f"MDMEnrollIdentityCA {server.ca_file} {handmade.cert_file}\n")).start()
    yield one
    one.stop()


def walk_at(mixed, server, host):
    return foreign.ForeignWalk(server, mixed, mixed.world.device(), host=host)


def test_identity_alone(mixed, server):
    walk = walk_at(mixed, server, "identity.test").offer().identify()
    assert walk.content["Challenge"] == SECRET
    walk.certify().deliver()
    assert walk.scep_url == mixed.url(SCEP, "identity.test")
    walk.own_certificate()
    assert walk.identity.cert.issuer == mixed.world.site.ca.cert.subject


def test_mdm_alone(mixed, server):
    walk = walk_at(mixed, server, "mdm.test").offer().identify()
    assert walk.scep_url == mixed.url(SCEP, "mdm.test")
    walk.own_certificate().deliver()
    assert (walk.scep_url, walk.content["Name"]) == (server.url, "NDES")
    assert walk.content["CAFingerprint"] == b"\xab" * 20
    assert "Challenge" not in walk.content


def test_profiles_by_apples_schemas(mixed, server, shared_folder):
    schemas = Schemas(shared_folder / "schema")
    walk = walk_at(mixed, server, "identity.test").offer().identify()
    assert schemas.profile(walk.identity_profile) == []
    walk = walk_at(mixed, server, "mdm.test").offer().identify().own_certificate().deliver()
    assert [problem for p in walk.payloads for problem in schemas.payload(p)] == []


def test_own_endpoint_does_not_take_the_binding(mixed, server):
    """The subject can be read: it must not buy a certificate of the own CA."""
    walk = walk_at(mixed, server, "identity.test").offer().identify()
    (unit,) = [v for ((k, v),) in walk.content["Subject"] if k == "OU"]
    ca_file = mixed.world.site.ca.cert_file
    for secret, message in ((unit, "CHALLENGE_UNKNOWN"),
                            (unit.removeprefix("mdm-enroll:"), "SCEP_CHALLENGE")):
        request = walk.request()
        mixed.expect(message)
        with unchanged(mixed.database):
            response = mixed.post_scep(request.message(secret, ca_file), host="identity.test")
        assert request.open(response.body, ca_file).status == scep.FAILURE
    walk.certify().deliver()


def test_unknown_certificate_of_the_own_ca(mixed, server):
    walk = walk_at(mixed, server, "identity.test").offer().identify()
    walk.take(foreign.made(walk, mixed.world.site.ca)).refused("CERTIFICATE_UNKNOWN")


def test_foreign_identity_where_there_are_own_ones(mixed, server, handmade):
    """A CA that is only named takes nobody in who is not known: mdm.test has its own identities."""
    walk = walk_at(mixed, server, "mdm.test").offer().identify()
    subject = f"OU=mdm-enroll:{walk.scep_challenge}, CN={walk.device.udid}"
    walk.take(foreign.made(walk, handmade, subject)).refused("CERTIFICATE_UNKNOWN")


def test_at_another_host(mixed, server):
    """An enrollment goes on where its identities come from the same place."""
    walk = walk_at(mixed, server, "identity.test").offer().identify().certify()
    own = walk.device_url
    walk.device_url = mixed.url(DEVICE, "token.test")
    walk.refused("CHALLENGE_UNKNOWN")
    walk.device_url = own
    walk.deliver()


def test_program(mixed, server):
    walk = walk_at(mixed, server, "good.exec.test").offer().identify()
    assert walk.content["Challenge"] == "from a program"


def test_what_a_program_is_told(mixed, server):
    walk = walk_at(mixed, server, "told.exec.test").offer().identify()
    assert walk.content["Challenge"] == "|".join(
        ["identity", "alice", walk.device.udid, walk.device.serial, "id"])


def test_what_a_program_inherits(mixed, server, programs):
    """No socket, no database: nothing, a pipe, httpd's log, and the script itself."""
    walk = walk_at(mixed, server, "files.exec.test").offer().identify()
    assert walk.content["Challenge"] == "done"
    files = (programs / "files.list").read_text().split()
    assert files[0] == "/dev/null"
    pipes = [file for file in files if file.startswith("pipe:")]
    assert len(pipes) <= 1  # unless the list takes its place
    assert set(files) - {"/dev/null", *pipes} <= {
        str(mixed.log.path), str(programs / "files"), str(programs / "files.list")}


def test_hook(mixed, server, hook):
    walk = walk_at(mixed, server, "token.test").offer().identify()
    assert walk.content["Challenge"] == "from JSON"
    path, headers, asked = hook.seen[-1]
    assert path == "/json" and headers["Authorization"] == "Bearer bearer's token"
    assert asked.pop("enrollment")
    assert asked == {"user": "alice", "udid": walk.device.udid, "serial": walk.device.serial,
                     "product": "iPhone17,2", "purpose": "identity"}


def test_hook_in_phase_3(mixed, server, hook):
    walk = walk_at(mixed, server, "text.test").offer().identify().own_certificate().deliver()
    assert walk.content["Challenge"] == "from text"
    assert hook.seen[-1][2]["purpose"] == "mdm"


@pytest.mark.parametrize("host", [f"{n}.exec.test" for n in UNRULY] +
                         [f"{h[1:]}.hook.test" for h in HOOKS] +
                         ["unverified.test", "nobody.test"])
def test_no_challenge(mixed, server, host):
    """503, nothing changed, no profile; and the line says why without the challenge."""
    walk = walk_at(mixed, server, host).offer()
    mixed.expect("CHALLENGE_SOURCE")
    began = time.monotonic()
    with unchanged(mixed.database):
        response = walk.post(walk.phase2_message())
    assert response.status == 503 and "retry-after" in response.headers
    assert time.monotonic() - began < 5
    assert "not to be taken" not in mixed.log.text() and "from JSON" not in mixed.log.text()


@pytest.mark.parametrize("name, files", [("hangs", ["hangs.pid", "sleeps.pid"]),
                                         ("closes", ["closes.pid"])])
def test_nothing_is_left_of_a_program(mixed, server, programs, name, files):
    """Neither it, nor what it started, nor a zombie."""
    for file in files:
        (programs / file).unlink(missing_ok=True)
    walk = walk_at(mixed, server, f"{name}.exec.test").offer()
    mixed.expect("CHALLENGE_SOURCE")
    assert walk.post(walk.phase2_message()).status == 503
    assert all(foreign.gone(programs / file) for file in files)


def test_too_many_at_once(mixed, server, hook):
    """A service that takes its time keeps 16 threads of a process busy, and no more."""
    copies, most = 20, 16
    walk = walk_at(mixed, server, "gate.test").offer()
    mixed.expect("CHALLENGE_SOURCE", times=copies - most)
    mixed.expect("ENROLLMENT_STATE", times=most - 1)
    responses = []
    shots = threading.Thread(target=lambda: responses.extend(volley(
        mixed.port, "gate.test", mixed.world.site.root_file, DEVICE,
        [walk.phase2_message()] * copies)))
    shots.start()
    try:
        wait_until(lambda: len(mixed.log.lines(ID["CHALLENGE_SOURCE"])) == copies - most,
                   "refusals of those beyond the bound")
    finally:
        hook.gate.set()
        shots.join()
    assert sorted(r.status for r in responses) == ([200] + [403] * (most - 1) +
                                                   [503] * (copies - most))
    walk.take_identity(next(r for r in responses if r.status == 200))
    assert walk.content["Challenge"] == "through the gate"


def test_challenges_are_not_logged(mixed):
    text = mixed.log.path.read_text()
    for secret in (SECRET, "from a program", "from JSON", "from text", "bearer's"):
        assert secret not in text
