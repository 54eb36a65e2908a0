# SPDX-License-Identifier: Apache-2.0
"""Profiles against Apple's own schemas (YAML): names of keys, types, what is required, ranges; and
which of them a system has."""

import datetime
import re

import yaml

_TYPES = {"<string>": str, "<integer>": int, "<real>": (int, float), "<boolean>": bool,
          "<data>": bytes, "<date>": datetime.datetime, "<array>": list, "<dictionary>": dict,
          "<any>": object}
# What every payload may have besides its own keys; and the encrypted form of PayloadContent.
_COMMON = "CommonPayloadKeys"
# "You can specify a single string or an array of strings for each key" of this dictionary, says
# its text; its types say only the one.
_ONE_OR_MORE = "SubjectAltName."
# "A key that contains the IETF BCP 47 identifier for a language … A value that contains the
# agreement", says the text of this dictionary; its subkeys have a level more.
_TEXTS = "ConsentText"


def version(text):
    """A version as a tuple that compares; None for "n/a"."""
    return None if text == "n/a" else tuple(int(part) for part in text.split("."))


def _has(said, at):
    """Whether what is said of a platform ("supportedOS") makes version at have it."""
    since, until = version(said["introduced"]), said.get("removed")
    return since is not None and at >= since and (until is None or at < version(until))


class Schemas:
    def __init__(self, folder):
        self.folder = folder / "apple-device-management" / "mdm" / "profiles"
        self._files = {}

    def file(self, payload):
        if payload not in self._files:
            self._files[payload] = yaml.safe_load((self.folder / f"{payload}.yaml").read_text())
        return self._files[payload]

    def keys(self, payload):
        return self.file(payload)["payloadkeys"]

    def available(self, payload, platform, at):
        """The names of the keys (of SCEP those within PayloadContent, too) that a version of a
        platform has."""
        whole = self.file(payload)["payload"]["supportedOS"][platform]
        keys = self.keys(payload) + [inner for key in self.keys(payload)
                                     if key["key"] == "PayloadContent"
                                     for inner in key.get("subkeys", [])]
        return {key["key"] for key in keys
                if _has(whole | key.get("supportedOS", {}).get(platform, {}), at)}

    def payload(self, value):
        """Problems of one payload of a profile."""
        kind = value["PayloadType"]
        return _dictionary(value, self.keys(kind) + self.keys(_COMMON), kind)

    def profile(self, value):
        """Problems of a profile and of the payloads in it."""
        keys = self.keys("TopLevel")
        if "EncryptedPayloadContent" in value:
            keys = [k | {"presence": "optional"} if k["key"] == "PayloadContent" else k
                    for k in keys]
        problems = _dictionary(value, keys, "Configuration")
        for payload in value.get("PayloadContent", []):
            problems += self.payload(payload)
        return problems


def _dictionary(value, keys, path):
    known = {}
    for key in keys:
        known.setdefault(key["key"], key)
    if "ANY" in known:
        return []
    problems = [f"{path}: unknown key {name!r}" for name in value if name not in known]
    problems += [f"{path}: {name} is missing" for name, key in known.items()
                 if key.get("presence") == "required" and name not in value]
    for name, one in value.items():
        if name in known:
            problems += _value(one, known[name], f"{path}.{name}")
    return problems


def _value(value, key, path):
    if key["key"] == _TEXTS:
        key = {"type": "<dictionary>", "key": key["key"], "texts": True}
    if _ONE_OR_MORE in path and isinstance(value, list) and value:
        return [problem for one in value for problem in _value(one, key, path)]
    wanted = _TYPES[key["type"]]
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool
                                         and wanted is not object):
        return [f"{path}: {type(value).__name__}, wanted is {key['type']}"]
    problems = []
    if "rangelist" in key and value not in key["rangelist"]:
        problems.append(f"{path}: {value!r} is none of {key['rangelist']}")
    limits = key.get("range", {})
    if ("min" in limits and value < limits["min"]) or ("max" in limits and value > limits["max"]):
        problems.append(f"{path}: {value!r} is not in {limits}")
    if "format" in key and not re.search(key["format"], value):
        problems.append(f"{path}: {value!r} does not match {key['format']}")
    if "texts" in key and not all(isinstance(text, str) for text in value.values()):
        problems.append(f"{path}: wanted are only strings in it")
    inner = key.get("subkeys")
    if inner and isinstance(value, dict):
        problems += _dictionary(value, inner, path)
    if inner and isinstance(value, list):
        for number, one in enumerate(value):
            problems += _value(one, inner[0], f"{path}[{number}]")
    return problems
