# SPDX-License-Identifier: Apache-2.0
"""Profiles for every family of devices, of an old and of a new system: a whole enrollment each, and
every key of what it ends with against Apple's schemas: nothing that this system does not have, and
of what the site has set nothing missing."""

import datetime

import pytest

from harness.schema import Schemas, version

# What a device says, and what it is in the words of the schemas. Old systems tell only the build.
FAMILIES = {
    "old iPhone": ("iOS", "12.1", {"PRODUCT": "iPhone9,1", "VERSION": "16B92"}),
    "new iPhone": ("iOS", "18.1", {"PRODUCT": "iPhone17,2", "VERSION": "22B83",
                                   "OS_VERSION": "18.1"}),
    "old iPad": ("iOS", "13.4", {"PRODUCT": "iPad6,11", "VERSION": "17E255"}),
    "new iPad": ("iOS", "26.0", {"PRODUCT": "iPad16,3", "VERSION": "23A341",
                                 "OS_VERSION": "26.0"}),
    "old Mac": ("macOS", "10.12", {"PRODUCT": "MacBookPro11,1", "VERSION": "16G29"}),
    "new Mac": ("macOS", "15.1", {"PRODUCT": "Mac15,3", "VERSION": "24B83", "OS_VERSION": "15.1",
                                  "IMEI": "", "MEID": "", "NotOnConsole": False,
                                  "UserShortName": "alice"}),
    "old Apple TV": ("tvOS", "11.0", {"PRODUCT": "AppleTV5,3", "VERSION": "15J381"}),
    "new Apple TV": ("tvOS", "18.1", {"PRODUCT": "AppleTV14,1", "VERSION": "22J580",
                                      "OS_VERSION": "18.1"}),
    "old Vision Pro": ("visionOS", "1.1", {"PRODUCT": "RealityDevice14,1", "VERSION": "21O211",
                                           "OS_VERSION": "1.1"}),
    "new Vision Pro": ("visionOS", "2.1", {"PRODUCT": "RealityDevice14,1", "VERSION": "22N581",
                                           "OS_VERSION": "2.1"})}
OTHERS = "user.test"  # for what cannot stand beside the rest

DATE = datetime.datetime(2031, 1, 2, 3, 4, 5)
DATE_TEXT = "2031-01-02T03:04:05Z"
PINNED = object()  # a file of MDMEnrollCertificate, which becomes the UUID of its payload
# {payload: {key: (as it is written, as it must arrive)}}
TEXTS = {"PayloadDisplayName": ('"%{MDM_PRODUCT} of %{MDM_USER}"', "{PRODUCT} of alice"),
         "PayloadDescription": ('"Serial number %{MDM_SERIAL}"', "Serial number {SERIAL}")}
SET = {
    "Configuration": TEXTS | {
        "PayloadScope": ("User", "User"), "PayloadRemovalDisallowed": ("true", True),
        "PayloadExpirationDate": (DATE_TEXT, DATE), "RemovalDate": (DATE_TEXT, DATE),
        "DurationUntilRemoval": ("86400.5", 86400.5), "TargetDeviceType": ("0", 0),
        "ConsentText": ('default "You agree." de "Einverstanden, %{MDM_USER}?"',
                        {"default": "You agree.", "de": "Einverstanden, alice?"})},
    "com.apple.mdm": TEXTS | {
        "SignMessage": ("true", True), "AccessRights": ("3", 3),
        "UseDevelopmentAPNS": ("true", True),
        "AssignedManagedAppleID": ("%{MDM_USER}@example.com", "alice@example.com"),
        "EnrollmentMode": ("ADDE", "ADDE"),
        "ServerURLPinningCertificateUUIDs": (PINNED, PINNED),
        "CheckInURLPinningCertificateUUIDs": (PINNED, PINNED),
        "PinningRevocationCheckRequired": ("true", True),
        "ServerCapabilities": ("com.apple.mdm.bootstraptoken", ["com.apple.mdm.bootstraptoken"]),
        "CheckOutWhenRemoved": ("true", True), "RequiredAppIDForMDM": ("123456", 123456),
        "PromptUserToAllowBootstrapTokenForAuthentication": ("true", True)},
    "com.apple.security.scep": TEXTS | {
        "Name": ("ca-of-%{MDM_USER}", "ca-of-alice"), "Keysize": ("4096", 4096),
        "Key Usage": ("5", 5), "Retries": ("7", 7), "RetryDelay": ("20", 20),
        "Subject": ("O Example CN %{MDM_UDID}", [[["O", "Example"]], [["CN", "{UDID}"]]]),
        "SubjectAltName": ("rfc822Name %{MDM_USER}@example.com",
                           {"rfc822Name": "alice@example.com"}),
        "KeyIsExtractable": ("false", False), "AllowAllAppsAccess": ("true", True)},
    "com.apple.security.root": TEXTS | {
        "PayloadCertificateFileName": ('"%{MDM_USER}.cer"', "alice.cer")},
    "com.apple.security.pkcs1": TEXTS | {
        "PayloadCertificateFileName": ("between.cer", "between.cer")}}
# What every payload has without being asked, and what the module fills in.
COMMON = {"PayloadType", "PayloadVersion", "PayloadIdentifier", "PayloadUUID", "PayloadDisplayName",
          "PayloadDescription", "PayloadOrganization"}
OWN = {"Configuration": {"EncryptedPayloadContent"},
       "com.apple.mdm": {"IdentityCertificateUUID", "Topic", "ServerURL", "CheckInURL",
                         "AccessRights"},
       "com.apple.security.scep": {"PayloadContent", "URL", "Challenge", "Subject", "Keysize",
                                   "Key Type", "Key Usage", "KeyIsExtractable"},
       "com.apple.security.root": {"PayloadContent"},
       "com.apple.security.pkcs1": {"PayloadContent"}}


@pytest.fixture(scope="module")
def schemas(shared_folder):
    return Schemas(shared_folder / "schema")


def settings(world):
    text = f"MDMEnrollCertificate {world.site.root_file} {world.site.intermediate.cert_file}\n"
    for payload, keys in SET.items():
        for key, (written, _) in keys.items():
            written = world.site.root_file if written is PINNED else written
            text += f'MDMEnrollPayload "{payload}" "{key}" {written}\n'
    return text


def hosts(site):
    return (site.tls_vhost(site.HOST, settings(site.world)) +
            site.tls_vhost(OTHERS, "MDMEnrollPayload com.apple.mdm ManagedAppleID "
                                   "%{MDM_USER}@id.example.com\n"
                                   "MDMEnrollPayload com.apple.mdm ServerCapabilities none\n"
                                   "MDMEnrollServer https://mdm.example.test/%{MDM_USER}/mdm?s="
                                   "%{MDM_SERIAL} 'https://mdm.example.test/%{escape:a b}'\n"))


@pytest.fixture(scope="module")
def full(world):
    site = world.make_site("families", vhosts=hosts).start()
    yield site
    site.stop()


def enroll(site, family, host=None):
    device = site.world.device()
    for name in ("OS_VERSION", "IMEI"):
        del device.attributes[name]
    device.attributes |= FAMILIES[family][2]
    walk = site.walk(device, host=host).offer().identify().certify()
    return walk.deliver()


def flat(payload):
    """Of SCEP the keys of the payload and those within, as the schemas are read here."""
    inner = payload.get("PayloadContent")
    return payload | inner if isinstance(inner, dict) else payload


def filled(value, device):
    if isinstance(value, str):
        return value.format(**device.attributes)
    if isinstance(value, list):
        return [filled(one, device) for one in value]
    return value


def parts(walk):
    return [("Configuration", walk.profile)] + [(p["PayloadType"], flat(p)) for p in walk.payloads]


def has(schemas, payload, family):
    platform, text, _ = FAMILIES[family]
    return schemas.available("TopLevel" if payload == "Configuration" else payload, platform,
                             version(text))


@pytest.fixture(scope="module", params=FAMILIES)
def family(request, full):
    return request.param, enroll(full, request.param)


def test_valid(schemas, family):
    _, walk = family
    assert schemas.profile(walk.identity_profile) == []
    assert schemas.profile(walk.profile) == []
    assert [problem for p in walk.payloads for problem in schemas.payload(p)] == []


def test_keys_are_those_of_the_system(schemas, family):
    name, walk = family
    seen = [payload for payload, _ in parts(walk)]
    assert sorted(seen) == sorted(SET)
    for payload, keys in parts(walk):
        available = has(schemas, payload, name)
        assert set(keys) == COMMON | (available & (set(SET[payload]) | OWN[payload])), payload


def test_identity_profile_has_what_the_system_has(schemas, family):
    name, walk = family
    keys = set(flat(walk.identity_profile["PayloadContent"][0]))
    assert keys == COMMON | (has(schemas, "com.apple.security.scep", name) &
                             (set(SET["com.apple.security.scep"]) |
                              OWN["com.apple.security.scep"]))
    assert set(walk.identity_profile) == COMMON | {"PayloadContent", "PayloadScope"}
    assert walk.identity_profile["PayloadScope"] == "User"


def test_values_arrive(schemas, family):
    name, walk = family
    pinned = [walk.payload("com.apple.security.root")["PayloadUUID"]]
    for payload, keys in parts(walk):
        known = has(schemas, payload, name) | COMMON
        for key, (_, wanted) in SET[payload].items():
            if key in known:
                assert keys[key] == (pinned if wanted is PINNED
                                     else filled(wanted, walk.device)), (payload, key)


# --- what is there without being asked for -------------------------------------------------------


@pytest.mark.parametrize("name", ["old Mac", "new Mac", "new iPhone"])
def test_defaults(schemas, site, name):
    """A Mac is managed as a whole, and its users too; nothing of it is said to others."""
    walk = enroll(site, name)
    mac = FAMILIES[name][0] == "macOS"
    mdm = walk.payload("com.apple.mdm")
    assert mdm.get("ServerCapabilities") == (["com.apple.mdm.per-user-connections"] if mac
                                             else None)
    for profile in (walk.profile, walk.identity_profile):
        assert profile.get("PayloadScope") == ("System" if mac else None)
        assert schemas.profile(profile) == []
    assert [problem for p in walk.payloads for problem in schemas.payload(p)] == []
    for payload, keys in parts(walk):
        extra = {"PayloadScope", "ServerCapabilities"} if mac else set()
        assert set(keys) - extra == COMMON | (has(schemas, payload, name) & OWN[payload])


@pytest.mark.parametrize("name, there", [("old iPad", True), ("new iPhone", False),
                                         ("new Mac", False)])
def test_removed_keys(full, name, there):
    """ManagedAppleID went with iOS 18 and macOS 15. And here URLs hold expressions, and a Mac is
    not said that its users may connect."""
    walk = enroll(full, name, host=OTHERS)
    mdm = walk.payload("com.apple.mdm")
    assert "ServerCapabilities" not in mdm
    assert mdm.get("ManagedAppleID") == ("alice@id.example.com" if there else None)
    assert mdm["ServerURL"] == f"https://mdm.example.test/alice/mdm?s={walk.device.serial}"
    assert mdm["CheckInURL"] == "https://mdm.example.test/a%2520b"
    # Both were escaped: by httpd's function, and, since it is part of a URL, by the module.


def test_unknown_product_gets_all(full, schemas):
    """Nothing is kept from a device that Apple has yet to make."""
    device = full.world.device(PRODUCT="iThing1,1", OS_VERSION="1.0")
    walk = full.walk(device).offer().identify().certify().deliver()
    for payload, keys in parts(walk):
        assert set(keys) == COMMON | set(SET[payload]) | OWN[payload], payload


