# SPDX-License-Identifier: Apache-2.0
"""MDMEnrollTemplate: the administrator's own enrollment profiles, chosen by user and device."""

import datetime
import plistlib
import re

import pytest

from harness import cms, paths
from harness.schema import Schemas
from harness.site import (CHECKIN, ID, IDENTIFIER, ORGANIZATION, SERVER, TOPIC, ldap_url,
                          opened)

FOLDER = paths.SRC / "conf" / "templates"
UUID = "7D8E2F60-1B1B-4B6D-9F3C-0A1B2C3D4E%02X"

# Each example, a device that it is for, and something of it.
EXAMPLES = {
    "iphone": ({"PRODUCT": "iPhone17,2", "OS_VERSION": "18.1"}, "iPhone of alice"),
    "ipad": ({"PRODUCT": "iPad14,1", "OS_VERSION": "18.1"}, "iPad {SERIAL}"),
    "mac": ({"PRODUCT": "Mac15,3", "OS_VERSION": "15.1"}, "Mac of alice"),
    "appletv": ({"PRODUCT": "AppleTV14,1", "OS_VERSION": "18.1"}, "Apple TV {SERIAL}"),
    "visionpro": ({"PRODUCT": "RealityDevice14,1", "OS_VERSION": "2.1"}, "Vision Pro of alice")}


def template(*payloads, **top):
    return plistlib.dumps(top | {"PayloadContent": list(payloads)}, sort_keys=False)


def mdm(**keys):
    return {"PayloadType": "com.apple.mdm"} | keys


def scep(**keys):
    return {"PayloadType": "com.apple.security.scep", "PayloadContent": keys}


def other(**keys):
    return {"PayloadType": "com.example.settings"} | keys


# Strings, and what they are for alice's SURVIVE.
EXACTLY = {
    "plain": "plain", "empty": "", "quoted": "%%{MDM_USER} 100%", "user": "%{MDM_USER}",
    "markup": "<&>\"' ]]> %{MDM_SERIAL} ü 𝄞", "blanks": "  two  \n lines\t",
    "name": "%{MDM_LDAP_DISPLAYNAME}", "choice": "%{tolower:%{MDM_SERIAL}}/%{MDM_OS_VERSION}",
    "nothing": "[%{MDM_LDAP_DEPARTMENTNUMBER}]"}
NAME = "Ünal \"<&>\" %{MDM_UDID}"
BECOMES = EXACTLY | {
    "quoted": "%{MDM_USER} 100%", "user": "alice", "markup": "<&>\"' ]]> SURVIVE ü 𝄞",
    "name": NAME, "choice": "survive/18.1", "nothing": "[]"}
KEPT = {
    "data": bytes(range(256)), "none": b"", "date": datetime.datetime(2031, 2, 3, 4, 5, 6),
    "old": datetime.datetime(1969, 12, 31, 23, 59, 59), "yes": True, "no": False,
    "number": -7, "big": 2**62, "half": 0.5, "empty array": [], "empty dict": {}}

SURVIVE = template(
    other(PayloadIdentifier="com.example.survive", PayloadUUID=UUID % 1, Texts=EXACTLY, Kept=KEPT,
          Deep={"list": [EXACTLY, [list(EXACTLY.values()), KEPT], "%{MDM_USER}"]}),
    other(), other(PayloadDisplayName="%{MDM_USER}"),
    PayloadUUID=UUID % 2, PayloadOrganization="Example %{MDM_SERIAL}")

PRECEDENCE = template(
    mdm(PayloadIdentifier="com.example.own.mdm", PayloadUUID=UUID % 3, PayloadVersion=1,
        Topic=TOPIC, ServerURL=SERVER, CheckInURL=CHECKIN, IdentityCertificateUUID=UUID % 4,
        AccessRights=3, PayloadDisplayName="template"),
    scep(Keysize=4096) | {"PayloadUUID": UUID % 4, "PayloadIdentifier": "com.example.own.scep",
                          "PayloadDescription": "of %{MDM_USER}"},
    PayloadIdentifier=IDENTIFIER, PayloadVersion=1, PayloadType="Configuration",
    PayloadDisplayName="template")


def directives(world, folder):
    files = {"survive": (SURVIVE, "%{MDM_SERIAL} == 'SURVIVE'"),
             "precedence": (PRECEDENCE, "%{MDM_SERIAL} == 'PRECEDENCE'"),
             "sales": (template(PayloadDisplayName="Sales"),
                       "%{MDM_LDAP_DEPARTMENTNUMBER} =~ /(^|; )sales(; |$)/"),
             "bob": (template(PayloadDisplayName="Bob"), "%{MDM_USER} == 'bob'"),
             "old": (template(PayloadDisplayName="Old"),
                     "%{MDM_PRODUCT} =~ /^iPhone/ && %{MDM_OS_VERSION} =~ /^1[0-7]\\./")}
    lines = ""
    for name, (content, condition) in files.items():
        (folder / name).write_bytes(content)
        lines += f'MDMEnrollTemplate {folder / name} "{condition}"\n'
    for name in EXAMPLES:
        text = (FOLDER / f"{name}.mobileconfig").read_text()
        file, condition = re.search(r"MDMEnrollTemplate (\S+) (\".*\")", text).groups()
        lines += f"MDMEnrollTemplate {FOLDER / file.rpartition('/')[2]} {condition}\n"
    url = ldap_url(world.slapd.url).replace("?uid?", "?uid,departmentNumber,displayName?")
    return (lines + f'MDMEnrollDirectory "{url}"\n'
            'MDMEnrollPayload Configuration PayloadDisplayName "directive"\n'
            'MDMEnrollPayload Configuration PayloadDescription "directive"\n'
            'MDMEnrollPayload com.apple.mdm PayloadDisplayName "directive"\n'
            'MDMEnrollPayload com.apple.mdm PayloadDescription "directive"\n'
            'MDMEnrollPayload com.apple.mdm SignMessage true\n')


@pytest.fixture(scope="module")
def fleet(world):
    """All templates on one site; who fits none gets what the directives say."""
    folder = world.new_folder("templates")
    site = world.make_site("fleet", directives=directives(world, folder))
    site.templates = folder
    site.start()
    yield site
    for user in ("alice", "bob"):
        world.slapd.replace(user, departmentNumber=[], displayName=[])
    site.stop()


@pytest.fixture(scope="module")
def schemas(shared_folder):
    return Schemas(shared_folder / "schema")


def delivered(site, *, user="alice", **attributes):
    return site.walk(site.world.device(**attributes), user=user).offer().identify().certify(
        ).deliver()


def said(walk):
    return walk.profile["PayloadDisplayName"]


# --- the examples -------------------------------------------------------------------------------


@pytest.mark.parametrize("example", EXAMPLES)
def test_example(fleet, schemas, example):
    attributes, name = EXAMPLES[example]
    walk = delivered(fleet, **attributes)
    assert said(walk) == name.format(**walk.device.attributes)
    profile = dict(walk.profile)
    # of which the schema describes one language, by an example
    assert all(isinstance(text, str) for text in profile.pop("ConsentText", {}).values())
    assert schemas.profile(profile) == []
    assert [problem for p in walk.payloads for problem in schemas.payload(p)] == []
    management = walk.payload("com.apple.mdm")
    assert management["IdentityCertificateUUID"] == (
        walk.payload("com.apple.security.scep")["PayloadUUID"])
    assert (management["Topic"], management["ServerURL"]) == (TOPIC, SERVER)
    for payload in walk.payloads:
        assert payload["PayloadIdentifier"].startswith(IDENTIFIER + ".")
    for key in ("PayloadIdentifier", "PayloadUUID"):
        assert len({p[key] for p in walk.payloads}) == len(walk.payloads)
    walk.certify()


def test_what_the_examples_say(fleet):
    serial = "F2LX10ABCDEF"
    iphone = delivered(fleet, **EXAMPLES["iphone"][0], SERIAL=serial)
    assert iphone.payload("com.apple.webClip.managed")["URL"] == (
        f"https://help.example.com/?serial={serial}")
    assert iphone.profile["ConsentText"]["de"].endswith("löschen.")
    mac = delivered(fleet, **EXAMPLES["mac"][0])
    assert mac.profile["PayloadScope"] == "System" and mac.profile["TargetDeviceType"] == 5
    assert mac.payload("com.apple.mdm")["ServerCapabilities"] == [
        "com.apple.mdm.per-user-connections", "com.apple.mdm.bootstraptoken"]
    assert mac.payload("com.apple.security.scep")["PayloadContent"]["AllowAllAppsAccess"] is False


# --- which one ----------------------------------------------------------------------------------


def test_no_template_holds(fleet):
    walk = delivered(fleet, PRODUCT="Watch7,1", OS_VERSION="11.1")
    assert said(walk) == "directive"


def test_by_system_version(fleet):
    assert said(delivered(fleet, PRODUCT="iPhone12,1", OS_VERSION="17.6")) == "Old"
    assert said(delivered(fleet, PRODUCT="iPhone12,1", OS_VERSION="18.0")) == "iPhone of alice"


def test_by_user_and_group(fleet, world):
    """The first that holds; groups are asked of the directory in phase 3."""
    assert said(delivered(fleet, user="bob")) == "Bob"
    walk = fleet.walk(user="bob").offer().identify().certify()
    world.slapd.replace("bob", departmentNumber=["presales", "sales"])
    assert said(walk.deliver()) == "Sales"
    world.slapd.replace("bob", departmentNumber=["presales"])
    assert said(delivered(fleet, user="bob")) == "Bob"
    assert said(delivered(fleet, user="alice")) == "iPhone of alice"


# --- what becomes of it -------------------------------------------------------------------------


def test_everything_survives(fleet, world):
    world.slapd.replace("alice", displayName=[NAME])
    walk = delivered(fleet, SERIAL="SURVIVE", OS_VERSION="18.1")
    first, second, third = [p for p in walk.payloads if p["PayloadType"] == "com.example.settings"]
    assert first == {
        "PayloadType": "com.example.settings", "PayloadVersion": 1,
        "PayloadIdentifier": "com.example.survive", "PayloadUUID": UUID % 1, "Texts": BECOMES,
        "Kept": KEPT, "Deep": {"list": [BECOMES, [list(BECOMES.values()), KEPT], "alice"]}}
    assert (second["PayloadIdentifier"], third["PayloadIdentifier"]) == (
        IDENTIFIER + ".com.example.settings.2", IDENTIFIER + ".com.example.settings.3")
    assert third["PayloadDisplayName"] == "alice"
    assert walk.profile["PayloadUUID"] == UUID % 2
    assert walk.profile["PayloadOrganization"] == "Example SURVIVE"
    # Given again, a payload without a UUID of its own is the same one.
    again = delivered(fleet, SERIAL="SURVIVE", OS_VERSION="18.1").payloads
    assert second in again and third in again


def test_precedence(fleet):
    """Default < MDMEnrollPayload < template < what the module owns."""
    walk = delivered(fleet, SERIAL="PRECEDENCE")
    assert (said(walk), walk.profile["PayloadDescription"]) == ("template", "directive")
    assert walk.profile["PayloadOrganization"] == ORGANIZATION
    management = walk.payload("com.apple.mdm")
    assert {key: management[key] for key in (
        "PayloadDisplayName", "PayloadDescription", "SignMessage", "AccessRights",
        "PayloadIdentifier", "PayloadUUID", "IdentityCertificateUUID")} == {
            "PayloadDisplayName": "template", "PayloadDescription": "directive",
            "SignMessage": True, "AccessRights": 3, "PayloadIdentifier": "com.example.own.mdm",
            "PayloadUUID": UUID % 3, "IdentityCertificateUUID": UUID % 4}
    identity = walk.payload("com.apple.security.scep")
    assert (identity["PayloadUUID"], identity["PayloadIdentifier"]) == (
        UUID % 4, "com.example.own.scep")
    assert identity["PayloadDescription"] == "of alice"
    assert identity["PayloadContent"]["Keysize"] == 4096
    assert identity["PayloadContent"]["Key Usage"] == 5
    walk.certify()


def test_value_that_no_profile_can_carry(fleet, world):
    """A line break of old in the directory: nothing is sent, and the row stays where it was."""
    world.slapd.replace("alice", displayName=["x" * 9000])  # too long for a variable, so empty
    assert delivered(fleet, SERIAL="SURVIVE")
    world.slapd.replace("alice", displayName=["y" * 8192])  # with more, too long for a value
    (fleet.templates / "survive").write_bytes(
        template(other(Text="%{MDM_LDAP_DISPLAYNAME}+")))
    fleet.httpd.graceful()
    walk = fleet.walk(fleet.world.device(SERIAL="SURVIVE")).offer().identify().certify()
    fleet.expect("TEXT")
    assert walk.post(walk.phase3_message()).status == 500
    world.slapd.replace("alice", displayName=["y"])
    assert walk.deliver().payload("com.example.settings")["Text"] == "y+"


def test_update_by_a_template(fleet):
    """A device that comes back gets the template that holds now. What templates say of fixed keys
    is no change of the configuration, but one for the device."""
    walk = delivered(fleet, **EXAMPLES["ipad"][0]).certify().age()
    assert walk.payload("com.apple.mdm")["AccessRights"] == 8179
    assert fleet.httpd.test() == (0, "Syntax OK\n")
    assert said(walk.update()) == f"iPad {walk.device.serial}"
    # one that is an iPad no more would get more rights, which it would refuse
    walk.age().device.attributes["PRODUCT"] = "Watch7,1"
    fleet.expect("UPDATE_TERMS")
    response = fleet.post_device(
        walk.device.message(signer=walk.enrolled_with, md="sha256"))
    assert (response.status, response.json()["code"]) == (403, ID["UPDATE_TERMS"])


def test_changed_file_counts_after_a_graceful_restart(fleet):
    (fleet.templates / "bob").write_bytes(template(PayloadDisplayName="New"))
    assert said(delivered(fleet, user="bob")) == "Bob"
    fleet.httpd.graceful()
    assert said(delivered(fleet, user="bob")) == "New"


def test_another_kind_of_identity(own_site, world):
    """The template's payload of the kind that MDMEnrollIdentity says is completed."""
    folder = world.new_folder("identity")
    (folder / "fits").write_bytes(template(
        mdm(IdentityCertificateUUID=UUID % 9),
        {"PayloadType": "com.apple.security.pkcs12", "PayloadUUID": UUID % 9,
         "PayloadDisplayName": "Identity of %{MDM_USER}"}))
    (folder / "other").write_bytes(template(scep()))
    lines = "MDMEnrollIdentity pkcs12 for=mdm\nMDMEnrollTemplate {}\n"
    site = own_site(directives=lines.format(folder / "other"))
    status, told = site.httpd.test()
    assert status != 0 and "has the identity come by com.apple.security.pkcs12" in told, told
    site.directives = lines.format(folder / "fits")
    site.reconfigure()
    site.start()
    walk = site.walk().offer().identify().certify()
    profile = cms.decrypt(opened(walk.post(walk.phase3_message(), phase=3),
                                 walk.root_file)[1]["EncryptedPayloadContent"], walk.identity)
    (identity,) = [p for p in plistlib.loads(profile)
                   if p["PayloadType"] == "com.apple.security.pkcs12"]
    assert (identity["PayloadUUID"], identity["PayloadDisplayName"]) == (
        UUID % 9, "Identity of alice")
    assert identity["Password"] and identity["PayloadContent"]


# --- the manual ----------------------------------------------------------------------------------


def test_examples_of_the_manual(own_site, world):
    text = (paths.SRC / "docs" / "mod_mdm_enroll.md").read_text()
    directive = text.partition("\n### MDMEnrollTemplate\n")[2].partition("\n### ")[0]
    (lines,) = re.findall(r"^```apache\n(.*?)^```$", directive, re.S | re.M)
    section = text.partition("\n## Templates\n")[2].partition("\n## ")[0]
    (xml,) = re.findall(r"^```xml\n(.*?)^```$", section, re.S | re.M)
    folder = world.new_folder("manual")
    for name in re.findall(r"/etc/mdm-enroll/templates/(\S+)", lines):
        (folder / name).write_text(xml)
    url = ldap_url(world.slapd.url).replace("?uid?", "?uid,departmentNumber?")
    site = own_site(directives=f'MDMEnrollDirectory "{url}"\n' +
                    lines.replace("/etc/mdm-enroll/templates", str(folder)))
    assert site.httpd.test() == (0, "Syntax OK\n")


# --- what cannot work ---------------------------------------------------------------------------

ENTITY = ('<!DOCTYPE plist [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
          "<plist><dict><key>PayloadDisplayName</key><string>&x;</string></dict></plist>").encode()
TWICE = (b"<plist><dict><key>PayloadDisplayName</key><string>a</string>"
         b"<key>PayloadDisplayName</key><string>b</string></dict></plist>")
CERTIFICATE = {"PayloadType": "com.apple.security.root"}

BROKEN = {
    "binary": (plistlib.dumps({}, fmt=plistlib.FMT_BINARY), "a binary property list"),
    "entity": (ENTITY, "a document type with declarations of its own"),
    "empty": (b"", "0 bytes, wanted 1 to 1048576"),
    "too big": (template(other(Text="x" * 1024 * 1024)), "bytes, wanted are at most 1048576"),
    "no XML": (b"PayloadContent = ()", "text where an element was expected"),
    "an array": (plistlib.dumps([]), "wanted is one <dict>, an enrollment profile"),
    "a key twice": (TWICE, "a key occurs twice"),
    "payload type": (template(PayloadType="Profile Service"),
                     'PayloadType: wanted is "Configuration"'),
    "top-level key": (template(PayloadColour="red"), 'key of Configuration "PayloadColour"'),
    "encrypted": (template(EncryptedPayloadContent=b"x"), "EncryptedPayloadContent cannot be set"),
    "version": (template(PayloadVersion=2), "PayloadVersion: wanted is <integer>1</integer>"),
    "identifier": (template(PayloadIdentifier="com.example.other"),
                   'PayloadIdentifier "com.example.other": wanted is no such key, or '
                   f'"{IDENTIFIER}": use MDMEnrollIdentifier'),
    "date over": (template(RemovalDate=datetime.datetime(2020, 1, 1)), "RemovalDate is over"),
    "no array": (plistlib.dumps({"PayloadContent": {}}), "PayloadContent: wanted is an <array>"),
    "no payload": (template("com.apple.mdm"), "PayloadContent[0]: wanted is a payload, a <dict>"),
    "no type": (template(mdm(), {}), "PayloadContent[1] PayloadType: wanted is the type"),
    "profile in a profile": (template({"PayloadType": "Configuration"}),
                             "PayloadContent[0] (Configuration) PayloadType: wanted is the type"),
    "unknown key of mdm": (template(mdm(Colour="red")),
                           'PayloadContent[0] (com.apple.mdm): key of com.apple.mdm "Colour"'),
    "wrong type": (template(mdm(SignMessage="true")),
                   "SignMessage: <string>, wanted is <true/> or <false/>"),
    "wrong value": (template(mdm(AccessRights=8192)),
                    'AccessRights "8192": wanted is a whole number from 1 to 8191'),
    "together": (template(mdm(AccessRights=1, EnrollmentMode="BYOD")),
                 "PayloadContent[0] (com.apple.mdm) AccessRights: AccessRights together with"),
    "two mdm": (template(mdm(), mdm()),
                "PayloadContent[1] (com.apple.mdm): wanted is at most one of this type, and "
                "PayloadContent[0] (com.apple.mdm) is one"),
    "two identities": (template(scep(), scep()), "wanted is at most one of this type"),
    "another identity": (template({"PayloadType": "com.apple.security.acme"}),
                         "MDMEnrollIdentity has the identity come by com.apple.security.scep"),
    "topic": (template(mdm(Topic="com.apple.mgmt.x")),
              f'Topic "com.apple.mgmt.x": wanted is no such key, or "{TOPIC}": use MDMEnrollTopic'),
    "server": (template(mdm(ServerURL="https://x.test")), f'or "{SERVER}": use MDMEnrollServer'),
    "identity UUID": (template(mdm(IdentityCertificateUUID=UUID % 1)),
                      "the module points it to the identity"),
    "SCEP URL": (template(scep(URL="https://x.test")),
                 "PayloadContent[0] (com.apple.security.scep) "
                 'PayloadContent URL "https://x.test": wanted is no such key, or "http'),
    "challenge": (template(scep(Challenge="hunter2")),
                  "Challenge: wanted is no such key: it is made for each device"),
    "SCEP key outside": (template(scep() | {"Keysize": 2048}),
                         "Keysize: wanted is PayloadContent, a <dict> with this key in it"),
    "no certificate": (template(CERTIFICATE), "PayloadContent is missing"),
    "broken certificate": (template(CERTIFICATE | {"PayloadContent": b"x"}),
                           "wanted is one certificate in DER"),
    "pin": (template(mdm(ServerURLPinningCertificateUUIDs=[UUID % 1])),
            "wanted is the PayloadUUID of a certificate in this template"),
    "UUID": (template(other(PayloadUUID="%{MDM_UDID}")), "PayloadUUID: wanted is a UUID such as"),
    "UUIDs": (template(other(PayloadUUID=UUID % 1), mdm(PayloadUUID=(UUID % 1).lower())),
              "another payload has the same"),
    "identifiers": (template(other(PayloadIdentifier="a.b"), other(PayloadIdentifier="a.b")),
                    'PayloadIdentifier "a.b": another payload has the same'),
    "the module's identifier": (template(other(PayloadIdentifier=IDENTIFIER + ".scep")),
                                "another payload or the profile has the same"),
    "common key": (template(other(PayloadDisplayName=7)),
                   "PayloadDisplayName: wanted is a <string>"),
    "unclosed": (template(other(Deep={"List": ["a", "%{MDM_USER"]})),
                 "PayloadContent[0] (com.example.settings) Deep.List[1]: "
                 '"%{MDM_USER": wanted is a }'),
    "unknown variable": (template(mdm(PayloadDescription="%{MDM_NOSUCH}")), "MDM_NOSUCH"),
    "no expression": (template(other(Text="%{ }")), "Text: \"%{ }\" cannot be compiled"),
    "attribute that is not read": (template(other(Text="%{MDM_LDAP_MAIL}")),
                                   "nothing fills %{MDM_LDAP_MAIL}"),
    "expression in a key": (template(other(**{"%{MDM_USER}": "x"})),
                            "wanted is a key without expressions"),
}


def test_broken_templates(own_site, world):
    """One httpd -t tells all of them, each with its line and file."""
    folder = world.new_folder("broken")
    lines = {}
    for number, (name, (content, _)) in enumerate(BROKEN.items()):
        file = folder / f"{number}.mobileconfig"
        file.write_bytes(content)
        lines[name] = f'MDMEnrollTemplate {file} "%{{MDM_USER}} == \'{number}\'"\n'
    lines["missing"] = f'MDMEnrollTemplate {folder}/none "true"\n'
    lines["folder"] = f'MDMEnrollTemplate {folder} "true"\n'
    wanted = {name: text for name, (_, text) in BROKEN.items()} | {
        "missing": "it cannot be read", "folder": "wanted is a file"}
    site = own_site(directives="".join(lines.values()))
    status, told = site.httpd.test()
    assert status != 0 and "hunter2" not in told
    config = site.httpd.config_file.read_text().splitlines(keepends=True)
    for name, line in lines.items():
        at = f"MDMEnrollTemplate ({site.httpd.config_file}:{config.index(line) + 1}): "
        found = [one for one in told.splitlines() if at + line.split()[1] in one]
        assert len(found) == 1 and wanted[name] in found[0], (name, found)


@pytest.mark.parametrize("lines, wanted", [
    ('MDMEnrollTemplate {file} "%{{MDM_USER"', 'cannot parse "%{MDM_USER"'),
    ('MDMEnrollTemplate "%{{MDM_USER}} == \'a\'" {file}', "wanted: the file, then an expression"),
    ('MDMEnrollTemplate {file} "%{{MDM_NOSUCH}} == 1"', "MDM_NOSUCH"),
    ('MDMEnrollTemplate {file} "%{{MDM_LDAP_MAIL}} == 1"', "nothing fills %{MDM_LDAP_MAIL}"),
    ("MDMEnrollTemplate {file}\nMDMEnrollTemplate {file} \"%{{MDM_USER}} == 'x'\"",
     "no device ever gets this template")])
def test_broken_lines(own_site, lines, wanted):
    site = own_site(directives=lines.format(file=FOLDER / "mac.mobileconfig") + "\n")
    status, told = site.httpd.test()
    assert status != 0 and wanted in told, told


def test_a_broken_template_keeps_nobody_from_stopping(own_site, world):
    """Only a start looks into the files."""
    file = world.new_folder("stop") / "one.mobileconfig"
    file.write_bytes(template())
    site = own_site(directives=f"MDMEnrollTemplate {file}\n").start()
    file.write_bytes(b"broken")
    assert site.httpd.test()[0] != 0
    site.expect("AH00052", times=0)
    site.stop()


