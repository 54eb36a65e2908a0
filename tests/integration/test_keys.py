# SPDX-License-Identifier: Apache-2.0
"""Private keys that are encrypted, or in a token: who is asked for what, and when."""

import concurrent.futures
import dataclasses
import os
import signal

import pytest
from cryptography.hazmat.primitives import serialization

from harness import paths, token
from harness.httpd import binary
from harness.process import Process, run, wait_until
from harness.site import ID
from harness.terminal import Terminal

PHRASE = "correct horse, not to be shown"
NEXT_PHRASE = "battery staple, not to be shown"
QUESTION = b"Pass phrase of "


def encrypt(identity, file, phrase=PHRASE, traditional=False):
    """The identity, with its key encrypted in a file of its own."""
    kind = serialization.PrivateFormat
    file.write_bytes(identity.key.private_bytes(
        serialization.Encoding.PEM, kind.TraditionalOpenSSL if traditional else kind.PKCS8,
        serialization.BestAvailableEncryption(phrase.encode())))
    file.chmod(0o600)
    return dataclasses.replace(identity, key_file=file)


class Kit:
    """A CA whose key is encrypted, and programs that may know the pass phrase."""

    def __init__(self, world):
        self.world = world
        self.folder = world.new_folder("pass-phrase")
        self.ca = encrypt(world.site.ca, self.folder / "ca.key")
        self.signer = encrypt(world.signer, self.folder / "signer.key", traditional=True)
        self.phrase_file = self.folder / "phrase"
        self.phrase_file.write_text(PHRASE)
        self.calls_file = self.folder / "calls"
        self.program = self.script(
            "program", f'echo "$# $*" >> {self.calls_file}\ncat {self.phrase_file}\n')

    def script(self, name, text, mode=0o700):
        file = self.folder / name
        file.write_text("#!/bin/sh\n" + text)
        file.chmod(mode)
        return file

    def calls(self):
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    def directives(self, dialog=None, ca=None):
        ca = ca or self.ca
        return (f"MDMEnrollCA {ca.cert_file} {ca.key_file}\n" +
                (f"MDMEnrollPassPhraseDialog {dialog}\n" if dialog else ""))


@pytest.fixture
def kit(world):
    return Kit(world)


def problem(text):
    """The one problem that is told."""
    (line,) = [line for line in text.splitlines() if ID["CONFIGURATION"] in line]
    assert PHRASE not in line and NEXT_PHRASE not in line and token.PIN not in line
    return line


def cannot_start(site):
    """The one problem that keeps it from starting."""
    with pytest.raises(AssertionError):
        site.start()
    site.expect("CONFIGURATION", "AH00016")
    return problem(site.log.text())


def ends_at_a_restart(site):
    site.httpd.process.send(signal.SIGUSR1)
    site.httpd.process.popen.wait(20)
    site.expect("CONFIGURATION")
    site.expect("AH00020")
    return problem(site.log.text())


def nothing_shown(site, *secrets):
    shown = site.log.path.read_text() + site.httpd.process.output.read_text()
    for secret in secrets:
        assert secret not in shown


# --- a program -----------------------------------------------------------------------------------


def test_program(own_site, kit):
    """Asked once for each key, however many hosts have it and however often httpd restarts."""
    site = own_site(directory=False, children=2, directives=kit.directives(
        f'exec:{kit.program} "an argument"'), vhosts=lambda site: site.tls_vhost(
            site.HOST, f"MDMEnrollSigner {kit.signer.cert_file} {kit.signer.key_file} "
            f"{kit.world.site.intermediate.cert_file}\n") + site.plain_vhost()).start()
    calls = [f"2 an argument {kit.ca.key_file}", f"2 an argument {kit.signer.key_file}"]
    assert sorted(kit.calls()) == calls
    walk = site.walk().offer().identify()
    assert walk.verified[1].signer == kit.signer.cert
    site.httpd.graceful()
    walk.certify().deliver()
    site.httpd.graceful()
    walk.certify()
    assert sorted(kit.calls()) == calls
    nothing_shown(site, PHRASE)


def test_program_is_asked_about_a_new_key(own_site, kit):
    """The same file or a copy of it is no new one."""
    site = own_site(directory=False, directives=kit.directives(f"exec:{kit.program}")).start()
    content = kit.ca.key_file.read_bytes()
    kit.ca.key_file.unlink()
    kit.ca.key_file.write_bytes(content)
    site.httpd.graceful()
    assert len(kit.calls()) == 1
    encrypt(kit.world.site.ca, kit.ca.key_file, NEXT_PHRASE)
    kit.phrase_file.write_text(NEXT_PHRASE)
    site.expect("KEY_FILE_MODE", times=None)  # of the copy, which has the mode of any file
    site.httpd.graceful()
    assert len(kit.calls()) == 2
    site.walk().all()

    encrypt(kit.world.site.ca, kit.ca.key_file, PHRASE)
    assert "the pass phrase is wrong" in ends_at_a_restart(site)
    assert len(kit.calls()) == 3
    nothing_shown(site, PHRASE, NEXT_PHRASE)


PROGRAMS = {
    "wrong": ("echo guess", "the pass phrase is wrong"),
    "status": ("echo; exit 3", "ended with status 3"),
    "killed": ("kill -9 $$", "was ended by signal 9"),
    "nothing": ("true", "printed nothing"),
    "empty line": ("echo", "printed nothing"),
    "two lines": ("echo a; echo b", "printed more than one line; wanted: the pass phrase alone"),
    "zeros": ("printf 'a\\000b'", "printed more than one line"),
    "too much": ("yes", "printed more than the 1023 bytes that a pass phrase may have"),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_bad_program(own_site, kit, name):
    script, said = PROGRAMS[name]
    program = kit.script("bad", script + "\n")
    site = own_site(directory=False, directives=kit.directives(f"exec:{program}"))
    status, text = site.httpd.test()
    line = problem(text)
    assert status != 0 and said in line
    assert f"the private key in {kit.ca.key_file} is encrypted" in line
    assert f"MDMEnrollCA ({site.httpd.config_file}:" in line
    assert name == "wrong" or f"the program {program} of MDMEnrollPassPhraseDialog" in line


def test_program_that_hangs(own_site, kit):
    """It ends, with what it has started."""
    program = kit.script("hangs", f"sleep 600 & echo $! > {kit.folder}/pid; wait\n")
    site = own_site(directory=False, directives=kit.directives(f"exec:{program}"))
    assert "had not ended after 10 s" in problem(site.httpd.test()[1])
    pid = int((kit.folder / "pid").read_text())
    wait_until(lambda: not os.path.exists(f"/proc/{pid}") or
               "(zombie)" in open(f"/proc/{pid}/status").read(), "the end of what it started")


@pytest.mark.parametrize("program, said", [
    ("{folder}/none", "cannot be run: No such file"),
    ("{folder}", "cannot be run: Permission denied"),
    ("{folder}/phrase", "cannot be run: Permission denied")])
def test_program_that_cannot_be_run(own_site, kit, program, said):
    site = own_site(directory=False, directives=kit.directives(
        "exec:" + program.format(folder=kit.folder)))
    status, text = site.httpd.test()
    assert status != 0 and said in problem(text)


def test_wrong_pass_phrase_at_a_start(own_site, kit):
    kit.phrase_file.write_text("guess")
    site = own_site(directory=False, directives=kit.directives(f"exec:{kit.program}"))
    assert "the pass phrase is wrong" in cannot_start(site)
    assert len(kit.calls()) == 1


def test_nobody_is_asked_at_a_stop(own_site, kit):
    """What is only a signal to a server that runs needs no key."""
    site = own_site(directory=False, directives=kit.directives(f"exec:{kit.program}")).start()
    run(binary(), "-d", site.folder, "-f", site.httpd.config_file, "-k", "stop",
        env=site.httpd.environ)
    site.httpd.process.popen.wait(20)
    assert len(kit.calls()) == 1


@pytest.mark.parametrize("value, wanted", [
    ("built-in", '"built-in" is not accepted; wanted: builtin, or exec:/path'),
    ("builtin twice", '"twice" is not accepted; wanted: builtin, or exec:/path'),
    ("|/bin/cat", '"|/bin/cat" is not accepted'),
    ("exec:", 'no path behind "exec:"'),
    ("", '"" is not accepted')])
def test_dialog_that_is_none(own_site, kit, value, wanted):
    site = own_site(directory=False, directives=kit.directives() +
                    f"MDMEnrollPassPhraseDialog {value}\n")
    status, text = site.httpd.test()
    assert status != 0 and wanted in text and "Syntax error on line" in text


def test_dialog_of_a_vhost(own_site, kit):
    """It is inherited, and replaced."""
    wrong = kit.script("wrong", "echo guess\n")
    site = own_site(directory=False, directives=kit.directives(f"exec:{wrong}"),
                    vhosts=lambda site: site.tls_vhost(
                        site.HOST, f"MDMEnrollPassPhraseDialog exec:{kit.program}\n"))
    assert site.httpd.test() == (0, "Syntax OK\n")
    site.vhosts = lambda site: site.tls_vhost(site.HOST)
    site.reconfigure()
    assert "the pass phrase is wrong" in problem(site.httpd.test()[1])


# --- the terminal --------------------------------------------------------------------------------


@pytest.fixture
def terminal():
    """Before own_site among a test's arguments: the end of a terminal is a SIGHUP."""
    made = []

    def make(*answers, question=QUESTION):
        made.append(Terminal(question, *answers))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("dialog", [None, "builtin"])
def test_terminal(terminal, own_site, kit, dialog):
    site = own_site(directory=False, directives=kit.directives(dialog))
    tty = site.httpd.process.terminal = terminal("guess", PHRASE)
    site.start()
    assert not tty.answers
    shown = tty.shown.decode()
    assert f"Pass phrase of {kit.ca.key_file}: " in shown
    assert f"MDMEnrollCA ({site.httpd.config_file}:" in shown and ") of vhost " in shown
    assert "That is not its pass phrase." in shown
    walk = site.walk().offer().identify()
    site.httpd.graceful()
    walk.certify().deliver().certify()
    assert tty.shown.count(QUESTION) == 2
    nothing_shown(site, PHRASE, "guess")
    assert PHRASE.encode() not in tty.shown, "it is not echoed"


def test_terminal_with_nobody_who_knows(terminal, own_site, kit):
    site = own_site(directory=False, directives=kit.directives())
    tty = site.httpd.process.terminal = terminal("1", "2", "3", "4")
    assert "the pass phrase is wrong" in cannot_start(site)
    assert tty.answers == ["4"]


@pytest.mark.parametrize("answer, said", [("", "nothing was typed"),
                                          ("x" * 1024, "answered by too long a line")],
                         ids=["nothing", "too long"])
def test_terminal_with_a_bad_answer(terminal, own_site, kit, answer, said):
    site = own_site(directory=False, directives=kit.directives())
    site.httpd.process.terminal = terminal(answer)
    assert said in cannot_start(site)


def test_no_terminal(own_site, kit):
    site = own_site(directory=False, directives=kit.directives())
    line = cannot_start(site)
    assert "is encrypted, and there is no terminal to ask at" in line
    assert "MDMEnrollPassPhraseDialog exec:/path" in line
    assert f"MDMEnrollCA ({site.httpd.config_file}:" in line


def test_new_key_at_a_restart(terminal, own_site, kit):
    """Nobody is at the terminal any more, although it is still there."""
    site = own_site(directory=False, directives=kit.directives())
    tty = site.httpd.process.terminal = terminal(PHRASE, PHRASE)
    site.start()
    encrypt(kit.world.site.ca, kit.ca.key_file)
    line = ends_at_a_restart(site)
    assert "the terminal can be asked only when httpd starts" in line
    assert "MDMEnrollPassPhraseDialog exec:/path" in line
    assert tty.answers == [PHRASE]


def test_nobody_is_asked_by_a_test(terminal, own_site, kit):
    """httpd -t checks what it can see without the key, and says nothing wrong."""
    site = own_site(directory=False, directives=kit.directives())

    def test():
        tty = terminal(PHRASE)
        process = Process([binary(), "-d", site.folder, "-f", site.httpd.config_file, "-t"],
                          kit.folder / "said", [], env=site.httpd.environ)
        process.terminal = tty
        with open(process.output, "wb"):
            pass
        try:
            process.start()
        except AssertionError:
            pass
        process.popen.wait(20)
        assert not tty.shown and tty.answers
        return process.popen.returncode, process.output.read_text()
    assert test() == (0, "Syntax OK\n")
    other = kit.world.maker.issue("O=Test, CN=No CA", key=kit.world.site.ca.key)
    site.directives = kit.directives(ca=dataclasses.replace(other, key_file=kit.ca.key_file))
    site.reconfigure()
    status, text = test()
    assert status != 0 and "CA:TRUE" in problem(text)


# --- a token -------------------------------------------------------------------------------------

needs_token = pytest.mark.skipif(not token.available(), reason="no SoftHSM, or no engine for it")


@pytest.fixture
def hsm(world):
    one = token.Token(world.new_folder("token"))
    one.add("ca", "01", world.site.ca.key)
    return one


def token_directives(world, uri):
    return f"MDMEnrollCA {world.site.ca.cert_file} {uri}\n"


@needs_token
def test_token(own_site, world, hsm):
    """The CA's key, and that of a signer, in two children with threads, over two restarts."""
    ecdsa = world.site.pki.issue("O=Test, CN=Profile Signer", world.site.intermediate, key="p256")
    hsm.add("signer", "02", ecdsa.key)
    site = own_site(
        directory=False, children=2, environ=hsm.environ,
        directives=token_directives(world, hsm.uri("ca")), vhosts=lambda site: site.tls_vhost(
            site.HOST, f"MDMEnrollSigner {ecdsa.cert_file} {hsm.uri('signer', token.PIN)} "
            f"{world.site.intermediate.cert_file}\n"))
    assert site.httpd.test() == (0, "Syntax OK\n")
    site.start()
    walk = site.walk().offer().identify()
    assert walk.verified[1].signer == ecdsa.cert
    site.httpd.graceful()
    walk.certify().deliver()
    site.httpd.graceful()
    walk.certify()
    many(site)
    nothing_shown(site, token.PIN)
    site.stop()
    assert not site.log.lines("AH00051", "AH00052"), "a child crashed"


def many(site, clients=4):
    """So many devices at the same time."""
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        for done in [pool.submit(site.walk().all) for _ in range(clients)]:
            done.result()


@needs_token
def test_pin_from_a_program(own_site, world, kit, hsm):
    kit.phrase_file.write_text(token.PIN)
    uri = hsm.uri("ca").partition("?")[0]
    site = own_site(directory=False, environ=hsm.environ,
                    directives=token_directives(world, uri) +
                    f"MDMEnrollPassPhraseDialog exec:{kit.program}\n").start()
    walk = site.walk().offer().identify()
    site.httpd.graceful()
    walk.certify()
    assert kit.calls() == [f"1 {uri}"]


@needs_token
def test_pin_at_the_terminal(terminal, own_site, world, hsm):
    """Once only: a token counts."""
    uri = hsm.uri("ca").partition("?")[0]
    site = own_site(directory=False, environ=hsm.environ, directives=token_directives(world, uri))
    tty = site.httpd.process.terminal = terminal("7391-wrong", token.PIN, question=b"PIN of pkcs11:")
    assert "PIN" in cannot_start(site)
    assert tty.answers == [token.PIN]
    tty = site.httpd.process.terminal = terminal(token.PIN, question=b"PIN of pkcs11:")
    site.start()
    assert f"PIN of {uri}: " in tty.shown.decode()
    walk = site.walk().offer().identify()
    site.httpd.graceful()
    walk.certify()
    assert token.PIN.encode() not in tty.shown
    nothing_shown(site, token.PIN, "7391-wrong")


@needs_token
def test_token_refused(own_site, world, hsm):
    """Each is said by httpd -t, without the PIN."""
    other = world.maker.issue("O=Test, CN=Other CA", ca=True)
    site = own_site(directory=False, environ=hsm.environ)
    name = hsm.uri("ca").partition("?")[0]

    def said(directives):
        site.directives = directives
        site.reconfigure()
        status, text = site.httpd.test()
        assert status == 1, "neither content nor crashed"
        return problem(text)
    wrong = said(token_directives(world, hsm.uri("ca", "7391-wrong")))
    assert f"the private key {name} cannot be used: " in wrong and "PIN" in wrong
    assert "7391-wrong" not in wrong
    assert "object=none;type=private cannot be used" in said(
        token_directives(world, hsm.uri("none")))
    assert "token=gone;object=ca;type=private cannot be used" in said(
        token_directives(world, hsm.uri("ca", token="gone")))
    assert f"the key in {name} does not belong to" in said(
        f"MDMEnrollCA {other.cert_file} {hsm.uri('ca')}\n")
    hsm.pin_file.unlink()
    assert f"its PIN cannot be read from {hsm.pin_file}: No such file" in said(
        token_directives(world, hsm.uri("ca")))


@needs_token
def test_no_engine(own_site, world, hsm):
    site = own_site(directory=False, environ=hsm.environ | {"OPENSSL_ENGINES": str(hsm.folder)},
                    directives=token_directives(world, hsm.uri("ca")))
    line = problem(site.httpd.test()[1])
    assert "OpenSSL has nothing for tokens here; install libengine-pkcs11-openssl" in line


@needs_token
def test_wrong_pin_at_a_start(own_site, world, hsm):
    site = own_site(directory=False, environ=hsm.environ,
                    directives=token_directives(world, hsm.uri("ca", "7391-wrong")))
    assert "PIN" in cannot_start(site)
    nothing_shown(site, "7391-wrong")


@needs_token
@pytest.mark.skipif(not paths.ROOT, reason="children run as who started httpd")
def test_token_out_of_reach_of_the_children(own_site, world, hsm):
    """Each says so when it starts; nothing is issued."""
    site = own_site(directory=False, environ=hsm.environ,
                    directives=token_directives(world, hsm.uri("ca")))
    hsm.tokens.chmod(0o700)
    os.chown(hsm.tokens, 0, 0)
    site.start()
    site.expect("TOKEN", times=None)
    site.expect("CRYPTO")
    site.log.wait_for(ID["TOKEN"])
    (line, *_) = site.log.lines(ID["TOKEN"])
    assert "cannot sign" in line and token.PIN not in line
    walk = site.walk().offer().identify()
    response = site.post_scep(walk.request().message(walk.scep_challenge,
                                                     world.site.ca.cert_file))
    assert response.status == 500


@needs_token
def test_mode_of_the_pin_file(own_site, world, hsm):
    hsm.pin_file.chmod(0o644)
    site = own_site(directory=False, environ=hsm.environ,
                    directives=token_directives(world, hsm.uri("ca"))).start()
    site.expect("KEY_FILE_MODE")
    (line,) = site.log.lines(ID["KEY_FILE_MODE"])
    assert str(hsm.pin_file) in line


@pytest.mark.parametrize("uri, said", [
    ("pkcs11:object=ca", "it names no token"),
    ("pkcs11:token=a;object=ca?pin=1234", "an attribute that is not served"),
    ("pkcs11:token=a;object=ca;pin-value=1234", '"pin-value" belongs behind the "?"')])
def test_uri_that_is_none(own_site, world, uri, said):
    site = own_site(directory=False, directives=token_directives(world, uri))
    status, text = site.httpd.test()
    assert status != 0 and said in text and "1234" not in text
