# SPDX-License-Identifier: Apache-2.0
"""A subject of the site's own in certificates of a foreign CA: what binds them to the enrollment is
in it all the same. And what nobody is known to, at the endpoint ca."""

import plistlib

import pytest

from harness import cms, foreign

URL = "https://ca.example.test/scep"
SUBJECT = [[["O", "Ours"]], [["OU", "Devices"]], [["CN", "{serial} of alice"], ["C", "DE"]]]


@pytest.fixture(scope="module")
def handmade(world):
    """A foreign CA, whose certificates the test makes."""
    return world.maker.issue("O=Elsewhere, CN=Handmade CA", ca=True)


@pytest.fixture(scope="module")
def site(world, handmade):
    one = foreign.ForeignSite(
        world, world.new_folder("foreign-subject"),
        directives=f"MDMEnrollIdentity scep {URL}\n"
        f"MDMEnrollIdentityCA {handmade.cert_file}\n"
        "MDMEnrollPayload com.apple.security.scep Subject O Ours OU Devices "
        'CN "%{MDM_SERIAL} of %{MDM_USER}" +C DE\n'
        'MDMEnrollPayload com.apple.security.root PayloadDescription "Known to %{MDM_USER}."\n'
        '<Location "/enroll/ca">\nMDMEnrollEndpoint ca\nRequire all granted\n</Location>\n').start()
    yield one
    one.stop()


def test_bound_all_the_same(site, handmade):
    walk = foreign.ForeignWalk(None, site, site.world.device()).offer().identify()
    own = [[[kind, text.format(serial=walk.device.serial)] for kind, text in rdn]
           for rdn in SUBJECT]
    *given, ((kind, unit),) = walk.content["Subject"]
    assert given == own
    assert kind == "OU" and unit.startswith("mdm-enroll:")
    subject = f"O=Ours, OU=Devices, CN={walk.device.serial} of alice, C=DE, OU={unit}"
    walk.take(foreign.made(walk, handmade, subject)).deliver()
    assert walk.row() == ("delivered", walk.enrolled_with.fingerprint)
    assert walk.content["Subject"] == own  # of the one that the MDM server sees
    assert (walk.payload("com.apple.security.root")["PayloadDescription"] ==
            f"Known to {walk.user}.")


def test_without_what_binds(site, handmade):
    walk = foreign.ForeignWalk(None, site, site.world.device()).offer().identify()
    walk.take(foreign.made(walk, handmade, f"O=Ours, OU=Devices, CN={walk.device.serial}"))
    walk.refused("BINDING_MISSING")


def test_nobody_is_known_at_the_endpoint_ca(site):
    response = site.curl("/enroll/ca?format=profile")
    assert response.status == 200
    profile = plistlib.loads(cms.verify(response.body, site.world.site.root_file).content)
    assert [p["PayloadDescription"] for p in profile["PayloadContent"]] == ["Known to ."]
