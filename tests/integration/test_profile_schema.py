# SPDX-License-Identifier: Apache-2.0
"""Every profile that is sent, against Apple's schemas: key names, types, required keys, ranges; with
every key of the schema that an administrator may set."""

import datetime
import plistlib

import pytest

from harness.schema import Schemas
from harness.site import TOPIC

# What has a directive of its own, or is filled in by the module.
OURS = {"com.apple.mdm": {"IdentityCertificateUUID", "Topic", "ServerURL", "CheckInURL"},
        "com.apple.security.scep": {"URL", "Challenge", "Key Type", "CAFingerprint"},
        "TopLevel": {"PayloadIdentifier", "PayloadUUID", "PayloadType", "PayloadVersion",
                     "PayloadContent", "EncryptedPayloadContent", "IsEncrypted",
                     "PayloadOrganization", "HasRemovalPasscode"}}
# A value for each key that can be set: as it is written, and as it must arrive.
# Pinned certificates are named by their file, and arrive as the UUID of their payload.
PINNED = object()
MDM = {
    "SignMessage": ("true", True), "AccessRights": ("8191", 8191),
    "UseDevelopmentAPNS": ("true", True),
    "AssignedManagedAppleID": ("b@example.com", "b@example.com"), "EnrollmentMode": ("ADDE", "ADDE"),
    "ServerURLPinningCertificateUUIDs": (PINNED, PINNED),
    "CheckInURLPinningCertificateUUIDs": (PINNED, PINNED),
    "PinningRevocationCheckRequired": ("true", True),
    "ServerCapabilities": ("com.apple.mdm.per-user-connections com.apple.mdm.bootstraptoken",
                           ["com.apple.mdm.per-user-connections", "com.apple.mdm.bootstraptoken"]),
    "CheckOutWhenRemoved": ("true", True), "RequiredAppIDForMDM": ("123456", 123456)}
# What an iPhone of today does not know, and so does not get (test_families).
NOT_FOR_PHONES = {"ManagedAppleID", "PromptUserToAllowBootstrapTokenForAuthentication"}
SCEP = {"Name": ('"Example CA"', "Example CA"), "Keysize": ("4096", 4096),
        "Key Usage": ("5", 5), "Retries": ("7", 7), "RetryDelay": ("20", 20),
        "KeyIsExtractable": ("false", False), "AllowAllAppsAccess": ("true", True),
        "Subject": ('O Example CN "A B" +2.5.4.5 7',
                    [[["O", "Example"]], [["CN", "A B"], ["2.5.4.5", "7"]]]),
        "SubjectAltName": ("dNSName a.example dNSName b.example rfc822Name c@example.com",
                           {"dNSName": ["a.example", "b.example"], "rfc822Name": "c@example.com"})}
CONFIGURATION = {
    "PayloadDescription": ('"What this is"', "What this is"),
    "PayloadDisplayName": ('"Größe"', "Größe"), "PayloadRemovalDisallowed": ("true", True),
    "PayloadScope": ("System", "System"),
    "RemovalDate": ("2031-01-02T03:04:05Z", datetime.datetime(2031, 1, 2, 3, 4, 5)),
    "DurationUntilRemoval": ("86400.5", 86400.5),
    "PayloadExpirationDate": ("2030-01-02T03:04:05Z", datetime.datetime(2030, 1, 2, 3, 4, 5)),
    "TargetDeviceType": ("1", 1)}


@pytest.fixture(scope="module")
def schemas(shared_folder):
    return Schemas(shared_folder / "schema")


def settings(world, payload, values):
    return "".join(f'MDMEnrollPayload {payload} "{key}" '
                   f"{world.site.root_file if text is PINNED else text}\n"
                   for key, (text, _) in values.items())


@pytest.fixture(scope="module")
def full(world):
    """Every key set."""
    site = world.make_site("full", directives=(
        settings(world, "com.apple.mdm", MDM) +
        settings(world, "com.apple.security.scep", SCEP) +
        settings(world, "Configuration", CONFIGURATION))).start()
    yield site
    site.stop()


@pytest.fixture(scope="module")
def walks(site, full):
    return {"plain": site.walk().offer().identify().certify().deliver(),
            "full": full.walk().offer().identify().certify().deliver()}


@pytest.mark.parametrize("which", ["plain", "full"])
def test_identity_profile(schemas, walks, which):
    assert schemas.profile(walks[which].identity_profile) == []


@pytest.mark.parametrize("which", ["plain", "full"])
def test_enrollment_profile(schemas, walks, which):
    walk = walks[which]
    assert schemas.profile(walk.profile) == []
    assert [problem for p in walk.payloads for problem in schemas.payload(p)] == []
    assert {p["PayloadType"] for p in walk.payloads} == {
        "com.apple.security.root", "com.apple.security.scep", "com.apple.mdm"}
    uuids = [p["PayloadUUID"] for p in walk.payloads]
    assert len(set(uuids)) == len(uuids)


def test_values_arrive(walks):
    walk = walks["full"]
    mdm, scep = walk.payload("com.apple.mdm"), walk.payload("com.apple.security.scep")
    pinned = [walk.payload("com.apple.security.root")["PayloadUUID"]]
    assert {k: mdm[k] for k in MDM} == {k: pinned if v is PINNED else v
                                        for k, (_, v) in MDM.items()}
    assert mdm["Topic"] == TOPIC
    inner = scep["PayloadContent"]
    assert {k: inner[k] for k in SCEP} == {k: v for k, (_, v) in SCEP.items()}
    assert {k: walk.profile[k] for k in CONFIGURATION} == {k: v for k, (_, v)
                                                           in CONFIGURATION.items()}


def test_no_key_of_the_schemas_is_forgotten(schemas):
    """Each is either the module's own business or can be set."""
    assert {k["key"] for k in schemas.keys("com.apple.mdm")} == (
        set(MDM) | OURS["com.apple.mdm"] | NOT_FOR_PHONES)
    (content,) = [k for k in schemas.keys("com.apple.security.scep")
                  if k["key"] == "PayloadContent"]
    assert {k["key"] for k in content["subkeys"]} == set(SCEP) | OURS["com.apple.security.scep"]
    assert ({k["key"] for k in schemas.keys("TopLevel")} ==
            set(CONFIGURATION) | OURS["TopLevel"] | {"ConsentText"})


def test_byod_has_no_access_rights(own_site):
    """The device would cancel (apple-protocol: AccessRights must be absent with BYOD)."""
    site = own_site(directives="MDMEnrollPayload com.apple.mdm EnrollmentMode BYOD\n").start()
    mdm = site.walk().offer().identify().certify().deliver().payload("com.apple.mdm")
    assert mdm["EnrollmentMode"] == "BYOD" and "AccessRights" not in mdm


def test_intermediate_certificates(own_site, world):
    """Self-signed ones are roots, the others are not."""
    site = own_site(directives=f"MDMEnrollCertificate {world.site.intermediate.cert_file}\n")
    walk = site.start().walk().offer().identify().certify().deliver()
    assert walk.payload("com.apple.security.pkcs1")["PayloadContent"] == (
        world.site.intermediate.der)
    assert walk.payload("com.apple.security.root")["PayloadContent"] == world.site.root.der


@pytest.mark.parametrize("change, problem", [
    (lambda p: p.update(Colour="red"), "unknown key"),
    (lambda p: p.pop("Topic"), "missing"),
    (lambda p: p.update(AccessRights="8191"), "wanted is <integer>"),
    (lambda p: p.update(SignMessage=1), "wanted is <boolean>"),
    (lambda p: p.update(EnrollmentMode="x"), "is none of"),
    (lambda p: p.update(ServerCapabilities=["x"]), "is none of")])
def test_the_check_finds_what_is_wrong(schemas, walks, change, problem):
    payload = plistlib.loads(plistlib.dumps(walks["plain"].payload("com.apple.mdm")))
    change(payload)
    assert problem in "".join(schemas.payload(payload))
