# SPDX-License-Identifier: Apache-2.0
"""Users: who may sign in, and who is still allowed when the device comes with its signature; the
directory down, frozen, and back again."""

import base64
import hashlib
import time

import pytest

from harness import slapd
from harness.database import unchanged
from harness.process import run
from harness.site import ID, PROFILE, ldap_url

DEADLINE = 3.0  # seconds, MDMEnrollDirectoryTimeout's default
PATIENCE = DEADLINE + 1.5


@pytest.fixture(scope="module")
def own(world):
    """A site whose directory is its own, so that other tests may go on meanwhile."""
    directory = slapd.Slapd(world.new_folder("directory") / "slapd", world.directory_identity,
                            world.site.root_file)
    site = world.make_site("directory-site", directory_server=directory).start()
    yield site
    site.stop()
    directory.stop()


def login(site, user, password):
    return site.curl(PROFILE, user=(user, password))


# --- who may sign in: httpd's own answer ---------------------------------------------------------


@pytest.mark.parametrize("user", ["alice", "bob", "jürgen"])
def test_right_password(own, user):
    walk = own.walk(user=user).offer().identify().certify().deliver()
    (row,) = own.database.query(
        f"SELECT user_name FROM enrollment WHERE udid = '{walk.device.udid}'")
    assert row == (user,)


@pytest.mark.parametrize("user, password, message", [
    ("alice", "wrong", "AH01617"), ("alice", "", "AH01617"), ("nobody", "x", "AH01618"),
    ("*)(uid=*", "alice's password", "AH01618"), ("*", "alice's password", "AH01618"),
    ("alice)(uid=alice", "alice's password", "AH01618")])
def test_wrong_login(own, user, password, message):
    own.expect(message)
    with unchanged(own.database):
        response = login(own, user, password)
    assert response.status == 401
    assert response.headers["www-authenticate"].startswith("Basic")


def test_outside_the_group(own):
    own.expect("AH01631")
    with unchanged(own.database):
        assert login(own, "carol", slapd.password("carol")).status == 401


def test_no_login(own):
    with unchanged(own.database):
        assert own.curl(PROFILE).status == 401


# --- who is still allowed at phases 2 and 3 ------------------------------------------------------


def leave(directory, how, user):
    {"deleted": directory.delete, "disabled": directory.disable,
     "out of the group": directory.leave_group}[how](user)


def come_back(directory, how, user):
    {"deleted": directory.add, "disabled": directory.enable,
     "out of the group": directory.join_group}[how](user)


REASONS = {"deleted": "DIRECTORY_NO_USER", "disabled": "DIRECTORY_NO_USER",
           "out of the group": "DIRECTORY_NOT_MEMBER"}


@pytest.mark.parametrize("phase", [2, 3])
@pytest.mark.parametrize("how", REASONS)
def test_user_gone_in_between(own, how, phase):
    walk = own.walk(user="dave").offer()
    if phase == 3:
        walk.identify().certify()
    message = walk.phase2_message() if phase == 2 else walk.phase3_message()
    row = f"FROM enrollment WHERE id = '{enrollment(own, walk)}'"
    (before,) = own.database.query(f"SELECT state, expires_at {row}")
    own.expect(REASONS[how])
    leave(own.directory_server, how, "dave")
    try:
        response = walk.post(message)
    finally:
        come_back(own.directory_server, how, "dave")
    assert (response.status, response.json()["code"]) == (403, ID[REASONS[how]])
    # The row remembers why, and is otherwise where it was: back in the directory, the same
    # message goes on.
    (after,) = own.database.query(f"SELECT state, expires_at, last_refusal {row}")
    assert after == (*before, ID[REASONS[how]])
    assert walk.post(message).status == 200


def enrollment(site, walk):
    """The id of the walk's enrollment: that of the challenge it was given."""
    digest = hashlib.sha256(walk.challenge.encode()).hexdigest()
    ((found,),) = site.database.query(f"SELECT enrollment FROM challenge WHERE hash = '{digest}'")
    return found


def test_user_names_do_not_reach_into_the_filter(world, own_site):
    """A user that httpd let in by a password file, whose name looks like a filter."""
    name = "*)(uid=*"
    site = own_site(authentication=(
        "AuthType Basic\nAuthName x\nAuthBasicProvider file\n"
        f"AuthUserFile {odd_users(world, name)}\nRequire valid-user\n"))
    site.start()
    credentials = base64.b64encode(f"{name}:secret".encode()).decode()
    response = site.curl(PROFILE, headers=[f"Authorization: Basic {credentials}"])
    walk = site.walk().offer(response)
    site.expect("DIRECTORY_NO_USER")
    assert walk.post(walk.phase2_message()).status == 403


def odd_users(world, name):
    path = world.new_folder("users") / "htpasswd"
    path.write_bytes(name.encode() + b":" + run("openssl", "passwd", "-apr1", "-stdin",
                                                data=b"secret").stdout)
    return path


# --- the directory out of reach ------------------------------------------------------------------


def steps(site):
    """A walk before each of the two phases that ask the directory, and its message."""
    second = site.walk().offer()
    third = site.walk().offer().identify().certify()
    return [(second, second.phase2_message()), (third, third.phase3_message())]


def unavailable(site, walks):
    for walk, message in walks:
        begun = time.monotonic()
        with unchanged(site.database):
            response = walk.post(message)
        assert response.status == 503
        assert int(response.headers["retry-after"]) > 0
        assert time.monotonic() - begun < PATIENCE


@pytest.mark.parametrize("state", ["down", "frozen"])
def test_out_of_reach(own, state):
    """503 within the deadline, nothing changed; and the same message succeeds afterwards."""
    walks = steps(own)
    own.expect("DIRECTORY_UNAVAILABLE", times=2)
    with getattr(own.directory_server, state)():
        unavailable(own, walks)
    for walk, message in walks:
        assert walk.post(message).status == 200


@pytest.mark.parametrize("scheme", ["ldaps", "starttls"])
def test_encrypted(own, own_site, scheme):
    """The same over TLS, where the deadline is harder to keep."""
    directory = own.directory_server
    url = ldap_url(directory.tls_url if scheme == "ldaps" else directory.url)
    site = own_site(directory=False, directory_server=directory, directives=(
        f'MDMEnrollDirectory "{url}"{" STARTTLS" if scheme == "starttls" else ""}\n'
        f"MDMEnrollDirectoryCA {own.world.site.root_file}\n"
        f'MDMEnrollDirectoryGroup "{slapd.GROUP}"\n')).start()
    site.walk().all()
    walks = steps(site)
    site.expect("DIRECTORY_UNAVAILABLE", times=2)
    with directory.frozen():
        unavailable(site, walks)
    for walk, message in walks:
        assert walk.post(message).status == 200


@pytest.mark.parametrize("scheme", ["ldaps", "starttls"])
@pytest.mark.parametrize("by", ["LDAPTrustedGlobalCert", "ldap.conf"])
def test_trust_of_the_system(own, own_site, scheme, by):
    """Without MDMEnrollDirectoryCA: what mod_ldap, or libldap itself, is told to trust."""
    directory, root = own.directory_server, own.world.site.root_file
    url = ldap_url(directory.tls_url if scheme == "ldaps" else directory.url)
    text = f'MDMEnrollDirectory "{url}"{" STARTTLS" if scheme == "starttls" else ""}\n'
    if by == "LDAPTrustedGlobalCert":
        site = own_site(directory=False, directory_server=directory,
                        directives=f"LDAPTrustedGlobalCert CA_BASE64 {root}\n{text}")
    else:
        site = own_site(directory=False, directory_server=directory, directives=text,
                        environ={"LDAPTLS_CACERT": str(root)})
    site.start().walk().all()


def test_foreign_directory_certificate(own, own_site):
    """Never without proof of who answers."""
    site = own_site(directory=False, directory_server=own.directory_server, directives=(
        f'MDMEnrollDirectory "{ldap_url(own.directory_server.tls_url)}"\n'
        f"MDMEnrollDirectoryCA {own.world.site.ca.cert_file}\n")).start()
    walk = site.walk().offer()
    site.expect("DIRECTORY_UNAVAILABLE")
    unavailable(site, [(walk, walk.phase2_message())])


def test_wrong_bind_password(own, own_site):
    """Our fault, never the user's: 503, and the password is not in the log."""
    secret = "no such password"
    site = own_site(directory=False, directory_server=own.directory_server, directives=(
        f'MDMEnrollDirectory "{ldap_url(own.directory_server.url)}"\n'
        f'MDMEnrollDirectoryBind "{slapd.ADMIN}" "{secret}"\n')).start()
    walk = site.walk().offer()
    site.expect("DIRECTORY_UNAVAILABLE")
    unavailable(site, [(walk, walk.phase2_message())])
    assert secret not in site.log.path.read_text()


def test_bind_password_from_a_file(own, own_site):
    path = own.world.new_folder("secret") / "password"
    path.write_text(slapd.ADMIN_PASSWORD + "\n")
    path.chmod(0o600)
    own_site(directory=False, directory_server=own.directory_server, directives=(
        f'MDMEnrollDirectory "{ldap_url(own.directory_server.url)}"\n'
        f'MDMEnrollDirectoryBind "{slapd.ADMIN}" "file:{path}"\n'
        f'MDMEnrollDirectoryGroup "{slapd.GROUP}"\n')).start().walk().all()


def test_without_a_directory(own, own_site):
    """Not asked for, not asked: a user who left in between still enrolls."""
    site = own_site(directory=False, directory_server=own.directory_server).start()
    walk = site.walk(user="erin").offer()
    with own.directory_server.without("erin"):
        walk.identify()
