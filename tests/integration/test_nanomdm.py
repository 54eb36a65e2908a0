# SPDX-License-Identifier: Apache-2.0
"""conf/nanomdm.conf as it is: a proxy in front of an MDM server that takes the device's certificate
from a header as NanoMDM does, in Go."""

import os
import re
import urllib.parse

import pytest

from harness import paths, slapd
from harness.httpd import load_more
from harness.ports import free_port
from harness.process import Process, run
from harness.scep_clients import SOURCES
from harness.site import (IDENTIFIER, SERVER, TOPIC, Site, base_directives, certificate, ldap_url,
                          vhost)

HOST = "mdm.test"
HEADER = "X-Client-Cert"
CONF = paths.SRC / "conf" / "nanomdm.conf"
HTTP2 = pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])


class BackEnd:
    """The server in Go, on a port of its own."""

    def __init__(self, folder, ca):
        self.port = free_port()
        program = folder / "certheader"
        run(paths.program("go"), "build", "-o", program, SOURCES / "certheader.go", cwd=folder,
            env=os.environ | {"GO111MODULE": "off", "GOFLAGS": "", "GOPROXY": "off",
                              "GOCACHE": str(folder / "cache")})
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = Process([program, f"127.0.0.1:{self.port}", HEADER, ca.cert_file],
                               folder / "certheader.out", [self.port])
        self.process.start()


class ProxySite(Site):
    """The endpoints in one virtual host, the file in another; nothing in the main server."""

    back_end = None

    def config(self):
        return (load_more("proxy", "proxy_http") +
                self.tls_vhost(self.HOST, base_directives(self.world, self.database)) +
                self.values() + self.proxy(CONF))

    def values(self):
        world = self.world
        password = self.folder / "ldap.password"
        password.write_text(slapd.ADMIN_PASSWORD + "\n")
        password.chmod(0o600)
        values = {"NANOMDM": self.back_end and self.back_end.url, "STORE": self.database.store,
                  "IDENTIFIER": IDENTIFIER, "SERVER": SERVER, "TOPIC": TOPIC,
                  "CA": world.site.ca.cert_file, "LDAP": ldap_url(world.slapd.tls_url),
                  "LDAP_GROUP": slapd.GROUP, "LDAP_BIND": slapd.ADMIN, "LDAP_PASSWORD": password}
        # As the file's own, and not one of them forgotten.
        assert set(re.findall(r"^    Define MDM_(\w+) +\"", CONF.read_text(), re.M)) == set(values)
        return "Define MDM_SITE\n" + "".join(
            f'Define MDM_{name} "{value}"\n' for name, value in values.items())

    def proxy(self, conf):
        identity = self.world.site.server(HOST)
        return vhost(self.port, HOST,
                     certificate(identity, bundle=self.world.bundle(identity)) +
                     f"Include {conf}\nMDMEnrollDirectoryCA {self.world.site.root_file}\n")

    def mdm(self, identity=None, path="/mdm", **options):
        return self.curl(path, host=HOST, identity=identity, **options)


@pytest.fixture(scope="module")
def site(world):
    folder = world.new_folder("nanomdm")
    ProxySite.back_end = BackEnd(folder, world.site.ca)
    site = ProxySite(world, folder)
    assert site.httpd.test() == (0, "Syntax OK\n")
    yield site.start()
    site.stop()
    site.back_end.process.stop()


@pytest.fixture(scope="module")
def walk(site):
    return site.walk().all()


@HTTP2
def test_identity_is_handed_on(site, walk, http2):
    response = site.mdm(walk.identity, data=b"<plist/>", http2=http2)
    assert (response.status, response.version) == (200, "2" if http2 else "1.1")
    found = response.json()
    assert (found["path"], found["error"]) == ("/mdm", "")
    assert found["fingerprint"] == walk.identity.fingerprint
    (value,) = found["values"]
    assert urllib.parse.unquote_plus(value).encode() == walk.identity.pem


def test_every_character_survives(site, walk):
    """What a query's escapes would change is in the certificate's base64."""
    pem = walk.identity.pem
    assert b"+" in pem and b"/" in pem and b"\n" in pem


@HTTP2
def test_forged_header(site, walk, http2):
    """Another one's certificate, in every spelling: with an identity of one's own, or without."""
    forged = urllib.parse.quote(walk.enrolled_with.pem.decode())
    headers = [f"{name}: {forged}" for name in (HEADER, HEADER.lower(), HEADER)]
    found = site.mdm(walk.identity, headers=headers, http2=http2).json()
    assert found["fingerprint"] == walk.identity.fingerprint and len(found["values"]) == 1
    # httpd drops what is said to be for this hop alone: no header is no device to NanoMDM.
    found = site.mdm(walk.identity, headers=[f"Connection: {HEADER}"]).json()
    assert found["values"] in ([], None)
    site.expect("DEVICE_REFUSED", "AH01630")
    assert site.mdm(headers=headers, http2=http2).status == 403


def test_nothing_else_is_reached(site, walk):
    site.expect("AH01630", times=4)
    site.expect("DEVICE_REFUSED")
    for path in ("/", "/v1/pushcert", "/mdmx"):
        assert site.mdm(walk.identity, path=path).status == 403
    assert site.mdm(walk.enrolled_with).status == 403


def test_configuration_again(site, walk):
    """Now that there are devices: nothing is issued here, so nothing is compared with theirs."""
    assert site.httpd.test() == (0, "Syntax OK\n")


def test_edited(site):
    """A copy with values written into it, as a site does."""
    text = CONF.read_text()
    for line in site.values().splitlines()[1:]:
        _, name, value = line.split(" ", 2)
        text, count = re.subn(rf"^( +Define {name}) .*$", lambda m: f"{m[1]} {value}", text,
                              flags=re.M)
        assert count == 1, name
    copy = site.folder / "nanomdm.conf"
    copy.write_text(text)
    site.httpd.configure(load_more("proxy", "proxy_http") + site.proxy(copy))
    try:
        assert site.httpd.test() == (0, "Syntax OK\n")
    finally:
        site.reconfigure()
