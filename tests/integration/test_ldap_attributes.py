# SPDX-License-Identifier: Apache-2.0
"""Attributes of the directory as variables: for policy and for logs, by what slapd says at the very
moment."""

import re

import pytest

from harness import slapd
from harness.process import wait_until
from harness.site import ID, ldap_url

LISTED = "uid,mail,displayName,departmentNumber,description,jpegPhoto,audio,title"
TEXT = "Only sales may enroll here."
# Texts that would come out differently if anything on the way took them for more than texts.
ODD = ["Größe", "\"quotes\" and 'more'", "<&>", "%{MDM_UDID} %%{x}", "a\\b", " two  blanks ",
       "$(id) `id` ${x}", "; ", "ﷺ 𝄞"]
LONG = "x" * 10240
BINARY = bytes(range(256))


@pytest.fixture(scope="module")
def own(world):
    """A directory of its own, since people change; what it says is logged behind bars."""
    directory = slapd.Slapd(world.new_folder("attributes") / "slapd", world.directory_identity,
                            world.site.root_file)
    names = [variable(name) for name in LISTED.split(",")]
    log = world.new_folder("attributes-log") / "attributes.log"
    shown = "|".join(f"%<{{{name}}}{place}" for place in "en" for name in names)
    site = world.make_site("attributes-site", directory_server=directory, directives=(
        f'MDMEnrollDirectory "{ldap_url(directory.url).replace("?uid?", f"?{LISTED}?")}"\n'
        "MDMEnrollRequire \"%{MDM_LDAP_DEPARTMENTNUMBER} =~ /(^|; )sales(; |$)/\" "
        f'"{TEXT}"\n'
        "MDMEnrollRequire \"%{mdm_ldap_displayname} != 'locked out'\"\n"
        'MDMEnrollPayload Configuration PayloadDescription "For %{MDM_LDAP_DISPLAYNAME}"\n'
        'MDMEnrollServer "https://mdm.example.test/mdm?mail=%{MDM_LDAP_MAIL}"\n'
        f'CustomLog {log} "%P %s %<{{MDM_PHASE}}e|{shown}"\n')).start()
    site.names, site.attributes_log = names, log
    yield site
    site.stop()
    directory.stop()


def variable(name):
    return "MDM_LDAP_" + re.sub("[^A-Z0-9]", "_", name.upper())


def unescaped(text):
    """What LogFormat was given (ap_escape_logitem)."""
    raw = re.sub(rb'\\(x..|.)', lambda m: bytes([int(m[1][1:], 16)]) if m[1][:1] == b"x" else m[1],
                 text.encode("latin-1"))
    return raw.decode()


def logged(site, walk_on):
    """The variables in the log line of the one request that walk_on makes, by name; those that are
    not set are absent."""
    def lines():
        return site.attributes_log.read_text("latin-1").splitlines()
    before = len(lines())
    walk_on()
    wait_until(lambda: len(lines()) > before, "the line of the request")
    (line,) = lines()[before:]
    head, *values = line.split("|")
    count = len(site.names)
    assert len(values) == 2 * count
    assert values[:count] == values[count:], "environment and notes"
    return head, {name: unescaped(value) for name, value in zip(site.names, values) if value != "-"}


def give(site, uid, **attributes):
    everything = {"mail": [], "displayName": [], "departmentNumber": ["sales"], "description": [],
                  "jpegPhoto": [], "audio": [], "title": []}
    site.directory_server.replace(uid, **(everything | attributes))


def phase2(site, user):
    walk = site.walk(user=user).offer()
    return walk, lambda: walk.identify()


def test_values_survive_exactly(own):
    give(own, "alice", mail=["alice@example.test"], description=ODD,
         departmentNumber=["7", "sales", "8"])
    walk, step = phase2(own, "alice")
    head, seen = logged(own, step)
    assert head.endswith(" 200 2")
    assert set(seen) == {"MDM_LDAP_UID", "MDM_LDAP_MAIL", "MDM_LDAP_DESCRIPTION",
                         "MDM_LDAP_DEPARTMENTNUMBER"}
    assert (seen["MDM_LDAP_UID"], seen["MDM_LDAP_MAIL"]) == ("alice", "alice@example.test")
    # slapd gives values in the order in which it got them
    assert seen["MDM_LDAP_DESCRIPTION"] == "; ".join(ODD)
    assert seen["MDM_LDAP_DEPARTMENTNUMBER"] == "7; sales; 8"
    # phase 3 asks anew
    walk.certify()
    give(own, "alice", title=["Lead"])
    head, seen = logged(own, walk.deliver)
    assert head.endswith(" 200 3")
    assert set(seen) == {"MDM_LDAP_UID", "MDM_LDAP_DEPARTMENTNUMBER", "MDM_LDAP_TITLE"}


def test_what_is_no_text_or_too_long_is_left_out(own):
    give(own, "alice", jpegPhoto=[BINARY], audio=[b"\xff\xfe", b"\0"], description=[LONG, "short"],
         title=["y" * 8192])
    _, step = phase2(own, "alice")
    _, seen = logged(own, step)
    assert seen == {"MDM_LDAP_UID": "alice", "MDM_LDAP_DEPARTMENTNUMBER": "sales",
                    "MDM_LDAP_TITLE": "y" * 8192}


def test_nothing_is_left_from_another_request(own):
    """One child, one connection a request: alice's values are not bob's."""
    give(own, "alice", mail=["alice@example.test"], title=["Lead"])
    give(own, "bob")
    _, first = phase2(own, "alice")
    _, second = phase2(own, "bob")
    seen = [logged(own, step) for step in (first, second)]
    assert seen[0][0].split()[0] == seen[1][0].split()[0]  # the same process
    assert seen[0][1]["MDM_LDAP_TITLE"] == "Lead"
    assert seen[1][1] == {"MDM_LDAP_UID": "bob", "MDM_LDAP_DEPARTMENTNUMBER": "sales"}


def test_values_of_profiles(own):
    give(own, "alice", displayName=[ODD[2]], mail=["a b@example.test"])
    walk = own.walk().offer().identify().certify().deliver()
    assert walk.profile["PayloadDescription"] == f"For {ODD[2]}"
    assert walk.payload("com.apple.mdm")["ServerURL"].endswith("?mail=a%20b%40example.test")
    give(own, "alice", displayName=[])
    assert own.walk().offer().identify().certify().deliver().profile[
        "PayloadDescription"] == "For "


@pytest.mark.parametrize("attributes, text", [
    ({"departmentNumber": ["presales"]}, TEXT), ({"departmentNumber": []}, TEXT),
    ({"departmentNumber": ["x" * 9000, "sales"]}, TEXT),
    ({"displayName": ["locked out"]}, None)])
@pytest.mark.parametrize("phase", [2, 3])
def test_policy_by_attributes(own, attributes, text, phase):
    give(own, "dave")
    walk = own.walk(user="dave").offer()
    if phase == 3:
        walk.identify().certify()
    message = walk.phase2_message() if phase == 2 else walk.phase3_message()
    give(own, "dave", **attributes)
    own.expect("POLICY_REFUSED")
    answers = []
    head, seen = logged(own, lambda: answers.append(walk.post(message)))
    assert (answers[0].status, answers[0].json()["code"]) == (403, ID["POLICY_REFUSED"])
    assert (answers[0].json()["message"] == TEXT) == (text == TEXT)
    assert head.endswith(f" 403 {phase}") and seen["MDM_LDAP_UID"] == "dave"
    give(own, "dave")
    assert walk.post(message).status == 200


def test_policy_is_not_asked_about_strangers(own):
    """Who is gone has no attributes: it is the directory that refuses."""
    give(own, "erin", departmentNumber=[])
    walk = own.walk(user="erin").offer()
    own.expect("DIRECTORY_NO_USER")
    own.directory_server.disable("erin")
    answers = []
    _, seen = logged(own, lambda: answers.append(walk.post(walk.phase2_message())))
    assert answers[0].json()["code"] == ID["DIRECTORY_NO_USER"]
    assert seen == {}


@pytest.mark.parametrize("line, wanted", [
    ('MDMEnrollDirectory "ldap://ldap.test/dc=test?uid,*"', "each attribute must be a name"),
    ('MDMEnrollDirectory "ldap://ldap.test/dc=test?uid,a-b,a;b"', "MDM_LDAP_A_B"),
    (f'MDMEnrollDirectory "ldap://ldap.test/dc=test?{",".join("abcdefghijklmnopq")}"',
     "at most 16 attributes"),
    ('MDMEnrollRequire "%{MDM_LDAP_DEPARTMENT} == \'x\'"',
     "nothing fills %{MDM_LDAP_DEPARTMENT}; name the attribute in MDMEnrollDirectory")])
def test_refused_when_the_configuration_is_read(own_site, line, wanted):
    site = own_site(directives=f"{line}\n")
    status, said = site.httpd.test()
    assert status != 0 and wanted in said and f"{site.httpd.config_file}:" in said, said
