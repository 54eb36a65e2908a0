# SPDX-License-Identifier: Apache-2.0
"""The module's tables of keys against Apple's own files: every key is known, with its type, its
values and the versions of each platform that have it."""

import pytest
import yaml

from harness import paths
from harness.process import run
from harness.schema import Schemas

PLATFORMS = ["iOS", "macOS", "tvOS", "visionOS", "watchOS"]
# Of what the tables call a payload, the file.
FILES = {"Configuration": "TopLevel"} | {
    f"com.apple.{name}": f"com.apple.{name}"
    for name in ("mdm", "security.scep", "security.acme", "security.pkcs12", "security.root",
                 "security.pkcs1", "security.pem")}
COMMON = "CommonPayloadKeys"
NEVER = -1


@pytest.fixture(scope="module")
def schemas(shared_folder):
    return Schemas(shared_folder / "schema")


@pytest.fixture(scope="module")
def tables():
    """{payload: {key: line}}, as the program has them that holds them."""
    run("make", "-C", str(paths.BUILD), "test_schema_tables")
    payloads = {}
    for line in run(str(paths.BUILD / "test_schema_tables"), "--dump").stdout.decode().splitlines():
        payload, key, owner, kind, least, most, words, *systems = line.split("\t")
        payloads.setdefault(payload, {})[key] = {
            "owner": owner, "type": f"<{kind}>", "min": int(least), "max": int(most),
            "words": words.split("|") if words else None,
            "os": {name: tuple(int(v) for v in one.rsplit("-", 1))
                   for name, one in zip(PLATFORMS, systems, strict=True)}}
    return payloads


def apples(schemas, payload):
    """{key: its part of the file}, those within SCEP's PayloadContent beside the others."""
    keys = {one["key"]: one for one in schemas.keys(FILES[payload])}
    if payload == "com.apple.security.scep":
        keys |= {one["key"]: one for one in keys["PayloadContent"]["subkeys"]}
    return keys


def number(version):
    """As MDM_OS()."""
    if version == "n/a":
        return NEVER
    major, minor, patch, *_ = [*map(int, version.split(".")), 0, 0]
    return major * 10000 + minor * 100 + patch


def systems(schemas, payload, key):
    text = (schemas.folder / f"{FILES[payload]}.yaml").read_text()
    whole = yaml.safe_load(text)["payload"]["supportedOS"]
    assert set(whole) == set(PLATFORMS)
    own = key.get("supportedOS", {})
    result = {}
    for platform in PLATFORMS:
        said = whole[platform] | own.get(platform, {})
        result[platform] = (number(said["introduced"]), number(said.get("removed", "0")))
    return result


@pytest.mark.parametrize("payload", FILES)
def test_every_key(schemas, tables, payload):
    common = {one["key"] for one in schemas.keys(COMMON)}
    known = set(tables[payload]) | set(tables[COMMON])
    assert known == set(apples(schemas, payload)) | common


@pytest.mark.parametrize("payload", FILES)
def test_types(schemas, tables, payload):
    keys = apples(schemas, payload)
    assert {k: line["type"] for k, line in tables[payload].items()} == {
        k: keys[k]["type"] for k in tables[payload]}


def test_common_types(schemas, tables):
    assert {k: line["type"] for k, line in tables[COMMON].items()} == {
        one["key"]: one["type"] for one in schemas.keys(COMMON)}


@pytest.mark.parametrize("payload", FILES)
def test_platforms(schemas, tables, payload):
    keys = apples(schemas, payload)
    assert {k: line["os"] for k, line in tables[payload].items()} == {
        k: systems(schemas, payload, keys[k]) for k in tables[payload]}


# Where the tables take less than Apple: what is left out, and why.
NARROWER = {("com.apple.security.scep", "Keysize"): {"1024"}}  # too short


@pytest.mark.parametrize("payload", FILES)
def test_values(schemas, tables, payload):
    """What a key may be is what Apple lets it be."""
    for name, line in tables[payload].items():
        key = apples(schemas, payload)[name]
        if line["type"] == "<array>" and line["words"]:
            key = key["subkeys"][0]
        allowed = key.get("rangelist")
        if line["owner"] == "ours" or allowed is None:
            continue
        words = line["words"] or [str(n) for n in range(line["min"], line["max"] + 1)]
        assert set(words) == {str(v) for v in allowed} - NARROWER.get((payload, name), set()), name


def test_settable_or_ours(tables):
    """What is nobody's part is none of the keys; those that a site sets are these."""
    ours = {payload: {k for k, line in keys.items() if line["owner"] != "set"}
            for payload, keys in tables.items()}
    assert ours == {
        COMMON: {"PayloadOrganization", "PayloadIdentifier", "PayloadUUID", "PayloadType",
                 "PayloadVersion"},
        "Configuration": {"PayloadContent", "EncryptedPayloadContent", "IsEncrypted",
                          "HasRemovalPasscode"},
        "Profile Service": {"PayloadContent", "URL", "DeviceAttributes", "Challenge"},
        "com.apple.mdm": {"IdentityCertificateUUID", "Topic", "ServerURL", "CheckInURL"},
        "com.apple.security.scep": {"PayloadContent", "URL", "Challenge", "Key Type",
                                    "CAFingerprint"},
        "com.apple.security.acme": {"DirectoryURL", "ClientIdentifier"},
        "com.apple.security.pkcs12": {"PayloadContent", "Password"},
        "com.apple.security.root": {"PayloadContent"},
        "com.apple.security.pkcs1": {"PayloadContent"},
        "com.apple.security.pem": {"PayloadContent"}}
