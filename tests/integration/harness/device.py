# SPDX-License-Identifier: Apache-2.0
"""Devices and their built-in identities: a device CA such as Apple's (RSA-1024, SHA-1, expired long
ago), leaves, and the property lists that devices send."""

import itertools
import os
import plistlib

from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from . import cms, pki

CA_NAME = "C=US, O=Test Inc., OU=Test iPhone, CN=Test iPhone Device CA"
APPLE_CA_NAME = "C=US, O=Apple Inc., OU=Apple iPhone, CN=Apple iPhone Device CA"
# As those of genuine leaves; critical, so that purpose checks made for mail would refuse them.
LEAF_EKU = (ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH)
_numbers = itertools.count(os.getpid() * 1000)


def make_ca(maker, subject=CA_NAME, issuer=None):
    return maker.issue(subject, issuer, key="rsa1024", digest=hashes.SHA1(), ca=True,
                       start=pki.day(2007, 4, 16), end=pki.day(2014, 4, 16))


def make_leaf(maker, issuer, **options):
    settings = {"key": "rsa1024", "digest": hashes.SHA1(), "eku": LEAF_EKU,
                "start": pki.day(2013), "end": pki.day(2016)}
    return maker.issue(f"O=Test Inc., OU=Test iPhone, CN={next(_numbers):X}", issuer,
                       **(settings | options))


class Device:
    """One device. identity is what it has from the factory."""

    def __init__(self, identity, **attributes):
        number = next(_numbers)
        self.identity = identity
        self.attributes = {"UDID": f"00008101-{number:016X}", "SERIAL": f"F{number:011X}",
                           "PRODUCT": "iPhone17,2", "VERSION": "22B83", "OS_VERSION": "18.1",
                           "IMEI": "35 123456 789012 3", "LANGUAGE": "de-DE"} | attributes

    @property
    def udid(self):
        return self.attributes["UDID"]

    @property
    def serial(self):
        return self.attributes["SERIAL"]

    def plist(self, challenge=None, without=(), **changes):
        """The content of a message, XML."""
        values = self.attributes | changes
        if challenge is not None:
            values["CHALLENGE"] = challenge
        return plistlib.dumps({k: v for k, v in values.items() if k not in without})

    def message(self, challenge=None, *, signer=None, content=None, **options):
        """A device message as genuine devices sign it; options are those of cms.sign()."""
        return cms.sign(content or self.plist(challenge), signer or self.identity, **options)


def mac(identity):
    """What a genuine Mac says: booleans, empty strings, keys that nobody asked for."""
    return Device(identity, PRODUCT="MacBookPro18,2", VERSION="22G630", IMEI="", MEID="",
                  NotOnConsole=False, UserID="A1B2C3D4-0000-1111-2222-333344445555",
                  UserLongName="Jürgen Größe", UserShortName="jg")
