# SPDX-License-Identifier: Apache-2.0
"""MDMEnrollRequire: policy over user and device, by httpd's expressions."""

import pytest

from harness.site import ID

TEXT = "Only iPhones can be enrolled here."


@pytest.fixture(scope="module")
def strict(world):
    site = world.make_site("strict", directives=(
        f'MDMEnrollRequire "%{{MDM_PRODUCT}} =~ /^iPhone/" "{TEXT}"\n'
        "MDMEnrollRequire \"%{MDM_SERIAL} =~ /^F/ && %{MDM_USER} != 'bob'\"\n"
        # also where the request is a device's, which signs in as nobody
        "MDMEnrollRequire \"%{REMOTE_USER} == %{MDM_USER}\"\n")).start()
    yield site
    site.stop()


def test_allowed(strict):
    strict.walk().all()


def test_text_of_the_site(strict):
    walk = strict.walk(strict.world.device(PRODUCT="iPad14,1")).offer()
    strict.expect("POLICY_REFUSED")
    response = walk.post(walk.phase2_message())
    assert (response.status, response.type) == (403, "application/json")
    assert response.json() == {"code": ID["POLICY_REFUSED"], "message": TEXT}
    assert (ID["POLICY_REFUSED"],) in strict.database.query("SELECT last_refusal FROM enrollment")


@pytest.mark.parametrize("user, serial", [("bob", "F1"), ("alice", "X1")])
def test_every_requirement_must_hold(strict, user, serial):
    walk = strict.walk(strict.world.device(SERIAL=serial), user=user).offer()
    strict.expect("POLICY_REFUSED")
    response = walk.post(walk.phase2_message())
    assert response.status == 403
    assert response.json()["message"] not in ("", TEXT)


def test_in_phase_3_too(strict):
    walk = strict.walk().offer().identify().certify()
    walk.device.attributes["PRODUCT"] = "iPad14,1"
    strict.expect("POLICY_REFUSED")
    assert walk.post(walk.phase3_message()).status == 403
    walk.device.attributes["PRODUCT"] = "iPhone17,2"
    walk.deliver()
