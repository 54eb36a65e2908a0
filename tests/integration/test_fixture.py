# SPDX-License-Identifier: Apache-2.0
"""The message of a genuine iPhone, and Apple's trust as it is compiled in."""

import pytest

from harness import device
from harness.database import unchanged


@pytest.fixture(scope="module")
def genuine(shared_folder):
    return (shared_folder / "fixtures" / "ios15-account-driven-machineinfo.der").read_bytes()



@pytest.fixture(scope="module")
def apple(world):
    """A site that trusts what it trusts by default."""
    site = world.make_site("apple")
    site.httpd.configure(site.config().replace(
        f"MDMEnrollDeviceCA {world.device_ca.cert_file}\n", ""))
    site.start()
    yield site
    site.stop()


def test_signature_holds(apple, genuine):
    """SHA-1, BER of indefinite length, an expired CA: all in order. What it lacks is a CHALLENGE."""
    apple.expect("CHALLENGE_MISSING")
    with unchanged(apple.database):
        response = apple.post_device(genuine)
    assert (response.status, response.json()["code"]) == (403, "MDM0300")


@pytest.mark.parametrize("old, new", [(b"iPhone12,1", b"iPhone12,2"), (b"ja-JP", b"ja-JQ"),
                                      (b"</plist>\n", b"</plist>\t")])
def test_altered(apple, genuine, old, new):
    assert old in genuine
    apple.expect("CMS_SIGNATURE")
    with unchanged(apple.database):
        assert apple.post_device(genuine.replace(old, new, 1)).status == 400


def test_test_devices_are_strangers(apple):
    walk = apple.walk().offer()
    apple.expect("SIGNER_UNKNOWN_ISSUER")
    assert walk.post(walk.phase2_message()).json()["code"] == "MDM0202"


def test_apples_names_are_not_apples_key(apple):
    maker = apple.world.maker
    ca = device.make_ca(maker, device.APPLE_CA_NAME)
    walk = apple.walk(device.Device(device.make_leaf(maker, ca)), signing={"bag": [ca]}).offer()
    apple.expect("SIGNER_UNKNOWN_ISSUER")
    assert walk.post(walk.phase2_message()).status == 403


def test_genuine_iphone_elsewhere(site, genuine):
    """Where other device CAs replace Apple's, an iPhone is a stranger."""
    site.expect("SIGNER_UNKNOWN_ISSUER")
    with unchanged(site.database):
        assert site.post_device(genuine).status == 403
