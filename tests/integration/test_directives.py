# SPDX-License-Identifier: Apache-2.0
"""What directives change, and what holds without them, as a device sees it."""

import datetime
import time

import pytest

from harness import slapd
from harness.database import unchanged
from harness.site import DEVICE, PROFILE, htpasswd


def hosts_of(site):
    world = site.world
    text = site.tls_vhost(site.HOST, "SSLVerifyClient optional_no_ca\n")
    text += site.tls_vhost("short.test", "MDMEnrollValidity 2d\n")
    text += site.tls_vhost("asks.test", "MDMEnrollDeviceAttributes SERIAL UDID IMEI\n")
    text += site.tls_vhost("patient.test", "MDMEnrollDirectoryTimeout 500ms\n",
                           authentication=htpasswd(world))
    text += site.tls_vhost("apple.test", f"MDMEnrollDeviceCA apple {world.device_ca.cert_file}\n")
    return text


@pytest.fixture(scope="module")
def hosts(world):
    directory = slapd.Slapd(world.new_folder("directory") / "slapd", world.directory_identity,
                            world.site.root_file)
    site = world.make_site("directives", vhosts=hosts_of, directory_server=directory).start()
    yield site
    site.stop()
    directory.stop()


def lasts(certificate):
    return certificate.not_valid_after - certificate.not_valid_before


@pytest.mark.parametrize("host, days", [(None, 365), ("short.test", 2)])
def test_validity(hosts, host, days):
    walk = hosts.walk(host=host).offer().identify().certify()
    over = lasts(walk.identity.cert) - datetime.timedelta(days=days)
    assert abs(over) <= datetime.timedelta(days=1)


@pytest.mark.parametrize("host, asked", [
    (None, {"UDID", "SERIAL", "PRODUCT", "VERSION"}), ("asks.test", {"UDID", "SERIAL", "IMEI"})])
def test_device_attributes(hosts, host, asked):
    offered = set(hosts.walk(host=host).offer().profile["PayloadContent"]["DeviceAttributes"])
    assert offered == asked if host else offered >= asked


def test_client_certificate_is_judged_if_there_is_one(hosts):
    """MDMEnrollClientCertificate is optional where nothing is said of it, not off."""
    walk = hosts.walk(tls={2: hosts.world.signer}).offer()
    hosts.expect("TLS_CERTIFICATE_FOREIGN")
    with unchanged(hosts.database):
        response = walk.post(walk.phase2_message())
    assert response.status == 403
    hosts.walk().all()


def test_patience_with_the_directory(hosts):
    walk = hosts.walk(host="patient.test").offer()
    message = walk.phase2_message()
    hosts.expect("DIRECTORY_UNAVAILABLE")
    with hosts.directory_server.frozen():
        begun = time.monotonic()
        assert walk.post(message).status == 503
        assert time.monotonic() - begun < 2.5, "less than the default"
    assert "no answer within 500 ms" in hosts.log.text()
    assert walk.post(message).status == 200


def test_apple_and_others(hosts, shared_folder):
    """Both are taken: an iPhone's message lacks no more than a CHALLENGE."""
    hosts.walk(host="apple.test").all()
    genuine = (shared_folder / "fixtures" / "ios15-account-driven-machineinfo.der").read_bytes()
    hosts.expect("CHALLENGE_MISSING")
    response = hosts.curl(hosts.url(DEVICE, "apple.test"), data=genuine)
    assert (response.status, response.json()["code"]) == (403, "MDM0300")


@pytest.mark.parametrize("http2", [False, True], ids=["http1", "http2"])
def test_head_makes_no_enrollment(hosts, http2):
    walk = hosts.walk(http2=http2)
    with unchanged(hosts.database):
        response = walk.get_profile("--head")
    assert response.status == 200 and response.type == "application/x-apple-aspen-config"
    assert walk.get_profile().status == 200
