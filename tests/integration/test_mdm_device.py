# SPDX-License-Identifier: Apache-2.0
"""The simulated device, as an administrator uses it."""

import re

import pytest

from harness import paths, slapd
from harness.database import unchanged
from harness.process import run
from harness.site import Site, form_ldap

OK, USAGE, NETWORK, REFUSED, NOT_ACCEPTED, FILES = range(6)


class LocalSite(Site):
    """By a name that every machine knows."""
    HOST = "localhost"


@pytest.fixture(scope="module")
def identity(world):
    """What make-ca makes."""
    folder = world.scratch / "made"
    run(paths.MDM_DEVICE, "make-ca", folder)
    return folder


@pytest.fixture(scope="module")
def local(world, identity):
    site = LocalSite(world, world.new_folder("local"),
                     directives=f"MDMEnrollDeviceCA {identity}/device-ca.pem\n")
    site.start()
    yield site
    site.stop()


def enroll(site, identity, *options, user="alice", password=None):
    file = site.world.scratch / "password"
    file.write_text((password or slapd.password(user)) + "\n")
    return run(paths.MDM_DEVICE, "enroll", site.url("/enroll/profile"), "--user", user,
               "--password-file", file, "--ca", site.world.site.root_file, "--identity", identity,
               *options, ok=False)


def post(site, message):
    return run(paths.MDM_DEVICE, "post", site.url("/enroll/device"), message, "--ca",
               site.world.site.root_file, ok=False)


def said(done):
    return (done.stdout + done.stderr).decode()


def test_make_ca(identity):
    """Such as Apple's: RSA-1024, SHA-1, expired. And never over what is there."""
    text = run("openssl", "x509", "-noout", "-text", "-in",
               identity / "device-ca.pem").stdout.decode()
    assert "sha1WithRSAEncryption" in text and "1024 bit" in text and "CA:TRUE" in text
    assert run("openssl", "x509", "-noout", "-checkend", "0", "-in", identity / "device-ca.pem",
               ok=False).returncode == 1
    assert run(paths.MDM_DEVICE, "make-ca", identity, ok=False).returncode == FILES
    for file in identity.iterdir():
        if b"PRIVATE KEY" in file.read_bytes():
            assert file.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("shape", ["iphone", "mac"])
def test_enroll(local, identity, shape):
    done = enroll(local, identity, "--shape", shape, "--udid", f"U-{shape}", "--serial",
                  f"S{shape}")
    assert done.returncode == OK, said(done)
    assert "com.apple.mdm" in said(done)
    assert local.database.query(
        f"SELECT state, serial FROM enrollment WHERE udid = 'U-{shape}'") == [("delivered",
                                                                             f"S{shape}")]


def test_wrong_password(local, identity):
    local.expect("AH01617")
    with unchanged(local.database):
        done = enroll(local, identity, password="wrong")
    assert done.returncode == REFUSED and "401" in said(done)


@pytest.fixture
def with_a_form(world, identity):
    folder = world.new_folder("form")
    site = LocalSite(world, folder, authentication=form_ldap(world.slapd),
                     directives=f"MDMEnrollDeviceCA {identity}/device-ca.pem\n"
                     f"DocumentRoot {folder}\n").start()
    (folder / "login.html").write_text("<form>…</form>")
    yield site
    site.stop()


def test_form(with_a_form, identity):
    """A form that is not announced is named, and the password appears nowhere."""
    done = enroll(with_a_form, identity)
    assert done.returncode == REFUSED and "add --form" in said(done)
    assert slapd.password("alice") not in said(done)
    done = enroll(with_a_form, identity, "--form")
    assert done.returncode == OK, said(done)
    assert slapd.password("alice") not in said(done)


def test_form_where_there_is_none(local, identity):
    done = enroll(local, identity, "--form")
    assert done.returncode == REFUSED and "leave out --form" in said(done)


@pytest.mark.parametrize("options, status, words", [
    (["--password", "hunter2"], USAGE, "--password-file"),
    (["--password-file", "/dev/null"], FILES, "first line of /dev/null is empty"),
    (["--password-file", "/none"], FILES, "--password-file: /none")])
def test_bad_password_options(local, identity, options, status, words):
    done = run(paths.MDM_DEVICE, "enroll", local.url("/enroll/profile"), "--user", "alice", *options,
               "--identity", identity, ok=False)
    assert done.returncode == status and words in said(done) and "hunter2" not in said(done)


@pytest.mark.parametrize("command", ["enroll", "post"])
def test_credentials_in_the_url(identity, command):
    more = {"enroll": ["--user", "alice", "--identity", identity], "post": ["/dev/null"]}[command]
    done = run(paths.MDM_DEVICE, command, "https://alice:hunter2@localhost:1/x", *more, ok=False)
    assert done.returncode == USAGE and "credentials do not belong in the URL" in said(done)
    assert "hunter2" not in said(done)


def test_url_without_a_scheme():
    done = run(paths.MDM_DEVICE, "post", "localhost/enroll/device", "/dev/null", ok=False)
    assert done.returncode == USAGE and "URL must begin with https://" in said(done)


def test_outside_the_group(local, identity):
    local.expect("AH01631")
    with unchanged(local.database):
        assert enroll(local, identity, user="carol").returncode == REFUSED


def test_post_shows_what_the_device_would_show(local):
    message = local.world.scratch / "lost.der"
    message.write_bytes(local.world.device().message("x"))
    local.expect("CHALLENGE_UNKNOWN")
    with unchanged(local.database):
        done = post(local, message)
    assert done.returncode == REFUSED
    assert "MDM0301" in said(done) and "This enrollment is not known." in said(done)


def test_replay(local, identity):
    """What was sent once, sent once more."""
    saved = local.world.scratch / "saved"
    done = enroll(local, identity, "--save", saved, "--udid", "U-replay")
    assert done.returncode == OK, said(done)
    messages = [f for f in sorted(saved.iterdir()) if is_device_message(f)]
    assert len(messages) == 2
    for message in messages:
        local.expect("ENROLLMENT_STATE")
        with unchanged(local.database):
            done = post(local, message)
        assert done.returncode == REFUSED and "MDM0303" in said(done)


def is_device_message(file):
    done = run("openssl", "cms", "-verify", "-noverify", "-binary", "-inform", "DER", "-in", file,
               ok=False)
    return done.returncode == 0 and b"<key>UDID</key>" in done.stdout


def test_untrusted_server(local, identity):
    """A server whose certificate the device does not trust gets no password."""
    done = run(paths.MDM_DEVICE, "enroll", local.url("/untrusted"), "--user", "alice",
               "--password-file", local.world.scratch / "password", "--ca",
               local.world.site.ca.cert_file, "--identity", identity, ok=False)
    assert done.returncode == NETWORK
    assert not any("/untrusted" in line for line in local.httpd.access_lines())


def test_usage():
    done = run(paths.MDM_DEVICE, "--help")
    assert all(word in said(done) for word in ("enroll", "post", "make-ca"))
    assert run(paths.MDM_DEVICE, "fly", ok=False).returncode == USAGE
    assert re.search(r"\d", run(paths.MDM_DEVICE, "--version").stdout.decode())
