# SPDX-License-Identifier: Apache-2.0
"""docs/howto.md: every configuration in it is loaded as it stands there, behind conf/mdm_enroll.conf
as a site has it; and those of which a walk is cheap are walked."""

import http.server
import os
import plistlib
import re
import threading

import pytest

from harness import paths, slapd
from harness.httpd import load_more
from harness.process import run
from harness.site import (IDENTIFIER, ORGANIZATION, SERVER, TOPIC, Site, certificate,
                          ldap_url, opened)

HOST = "enroll.example.com"
TEXT = (paths.SRC / "docs" / "howto.md").read_text()
HOW_TOS = {title: body for title, body in re.findall(r"^## ([^\n]*)\n(.*?)(?=^## |\Z)", TEXT,
                                                     re.S | re.M)}
# What makes the folder of a site as the text says; everything else in sh is not for this machine.
OBEYED = re.compile(r"^(install -d|cp conf/)\b")


def blocks(title, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", HOW_TOS[title], re.S | re.M)


class HowToSite(Site):
    """conf/mdm_enroll.conf in a virtual host, its values defined before; then what a how-to says,
    with the paths and the sockets of this machine."""

    HOST = HOST
    title = None

    def make_folder(self):
        """/etc/mdm-enroll: what the how-tos name and do not make."""
        world, folder = self.world, self.folder
        root, ca = world.site.root, world.site.ca
        for name, content in (
                ("private-root.pem", root.pem), ("issuing-ca.pem", root.pem),
                ("owned.txt", b"F2LX10ABCDEF\n"), ("stolen.txt", b"STOLEN # in May\n"),
                ("acme.htpasswd", b""), ("notify.secret", b"0123456789abcdef\n"),
                ("challenge", b"#!/bin/sh\necho secret\n"), ("ndes-challenge", b"#!/bin/sh\n"),
                ("ldap.password", slapd.ADMIN_PASSWORD.encode() + b"\n"),
                ("mdm.htpasswd", b"nanomdm:" + run("openssl", "passwd", "-apr1", "SECRET").stdout),
                ("ca.pem", ca.pem), ("ca.key", ca.key_file.read_bytes())):
            (folder / name).write_bytes(content)
            (folder / name).chmod(0o755 if b"#!" in content[:2] else 0o644)
        for name in ("ldap.password", "notify.secret", "ca.key"):
            (folder / name).chmod(0o600)
        return self

    def here(self, text):
        """The same with paths of this machine."""
        for name in re.findall(r"/etc/ssl/certs/([\w.]+)\.pem", text):
            identity = self.world.site.server(name)
            text = text.replace(f"/etc/ssl/certs/{name}.pem", str(self.world.bundle(identity)))
            text = text.replace(f"/etc/ssl/private/{name}.key", str(identity.key_file))
        return (text.replace("/etc/mdm-enroll", str(self.folder))
                .replace("/usr/local/sbin", str(self.folder))
                .replace("*:443>", f"127.0.0.1:{self.port}>"))

    def obey(self, title):
        for commands in blocks(title, "sh"):
            for line in commands.splitlines():
                if OBEYED.match(line):
                    run("sh", "-ec", self.here(line), cwd=paths.SRC)

    def config(self):
        world = self.world
        identity = world.site.server(HOST)
        text = [self.here(block) for block in blocks(self.title, "apache")] if self.title else []
        values = {
            "STORE": self.database.store, "ORGANIZATION": ORGANIZATION, "IDENTIFIER": IDENTIFIER,
            "SERVER": SERVER, "TOPIC": TOPIC, "CA": self.folder / "ca.pem",
            "CA_KEY": self.folder / "ca.key", "LDAP": ldap_url(world.slapd.url),
            "LDAP_GROUP": slapd.GROUP, "LDAP_BIND": slapd.ADMIN,
            "LDAP_PASSWORD": self.folder / "ldap.password", "NANOMDM": "http://127.0.0.1:9000"}
        servers = [block for block in text if "<VirtualHost" in block]
        lines = []
        for block in text:
            defined = re.findall(r'^Define MDM_LDAP ".*\?([\w,]+)"$', block, re.M)
            if defined:  # in the copy of mdm_enroll.conf
                values["LDAP"] = values["LDAP"].replace("?uid?", f"?{defined[0]}?")
            elif block not in servers:
                lines.append(block)
        return (load_more("proxy", "proxy_http") + "Define MDM_SITE\n" +
                "".join(f'Define MDM_{name} "{value}"\n' for name, value in values.items()) +
                f"<VirtualHost 127.0.0.1:{self.port}>\nServerName {HOST}\n" +
                certificate(identity, bundle=world.bundle(identity)) +
                f"Include {paths.SRC}/conf/mdm_enroll.conf\n"
                f"MDMEnrollDeviceCA {world.device_ca.cert_file}\n" +
                "".join(lines) + "</VirtualHost>\n" + "".join(servers))

    def obeying(self, title):
        self.title = title
        self.obey(title)
        self.reconfigure()
        return self


@pytest.fixture(scope="module")
def site(world):
    """For httpd -t only: it does not run."""
    return HowToSite(world, world.new_folder("howto")).make_folder()


@pytest.fixture
def made(world):
    """A maker of sites as a how-to has them."""
    sites = []

    def make(title):
        sites.append(HowToSite(world, world.new_folder("howto")).make_folder().obeying(title))
        return sites[-1]
    yield make
    for one in sites:
        one.stop()


def delivered(site, *, user="alice", **attributes):
    return site.walk(site.world.device(**attributes), user=user).offer().identify().certify(
        ).deliver()


def refuses(site, product, text):
    walk = site.walk(site.world.device(PRODUCT=product)).offer()
    site.expect("POLICY_REFUSED")
    response = walk.post(walk.phase2_message())
    assert (response.status, response.json()["message"]) == (403, text)


# --- all of them --------------------------------------------------------------------------------


@pytest.mark.parametrize("title", HOW_TOS)
def test_loads(site, title):
    assert blocks(title, "apache"), "a how-to has a configuration"
    assert site.obeying(title).httpd.test() == (0, "Syntax OK\n")


def test_no_block_is_forgotten():
    """Each stands below a heading, and is one that the tests would find there."""
    assert TEXT.count("\n```apache\n") == sum(len(blocks(title, "apache")) for title in HOW_TOS)
    assert len(re.findall(r"^ *```apache", TEXT, re.M)) == TEXT.count("\n```apache\n")


# --- and walks ----------------------------------------------------------------------------------


def test_ipads_per_group(made, world):
    title = "iPads per group"
    site = made(title)
    sales = site.folder / "templates" / "sales.mobileconfig"
    (change,) = blocks(title, "xml")
    text, count = re.subn(r" *<key>URL</key>\n.*\n", lambda _: change, sales.read_text())
    assert count == 1
    sales.write_text(text)
    site.start()
    urls = {}
    for user, departments in (("alice", ["12", "4711"]), ("bob", ["47110"])):
        world.slapd.replace(user, departmentNumber=departments)
        walk = delivered(site, user=user, PRODUCT="iPad14,1")
        urls[user] = walk.payload("com.apple.webClip.managed")["URL"]
    assert urls == {"alice": "https://start.example.com/sales",
                    "bob": "https://start.example.com/"}
    for user in urls:
        world.slapd.replace(user, departmentNumber=[])
    refuses(site, "iPhone17,2", "Only iPads are enrolled here.")


def test_a_fleet_of_macs(made):
    site = made("A fleet of Macs").start()
    walk = delivered(site, PRODUCT="MacBookPro18,2", OS_VERSION="15.1")
    assert walk.profile["PayloadScope"] == "System"
    assert "com.apple.mdm.per-user-connections" in walk.payload("com.apple.mdm")[
        "ServerCapabilities"]
    refuses(site, "iPhone17,2", "Only Macs are enrolled here.")


def test_a_private_root(made, world):
    """The root comes before the enrollment, and with it; and the MDM server is pinned to it."""
    site = made("A private root").start()
    _, profile = opened(site.curl("/enroll/ca?format=profile"), world.site.root_file)
    (root,) = profile["PayloadContent"]
    assert root["PayloadContent"] == world.site.root.der
    walk = delivered(site)
    assert walk.payload("com.apple.security.root")["PayloadContent"] == world.site.root.der
    assert walk.payload("com.apple.mdm")["ServerURLPinningCertificateUUIDs"] == [
        walk.payload("com.apple.security.root")["PayloadUUID"]]


class OtherServer(http.server.ThreadingHTTPServer):
    """Stands for a server of the site: answers GET with a page, and keeps what is PUT."""

    daemon_threads = True

    def __init__(self, page=b""):
        self.page, self.put = page, []
        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(self.server.page)

    def do_PUT(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.put.append((self.path, body))
        self.answer(b"{}")

    def log_message(self, *_):
        pass


# As NDES has it: UTF-16, the thumbprint of the CA, and the challenge, both in bold.
NDES_PAGE = """<HTML><Head><Title>Network Device Enrollment Service</Title></Head>\r
<P> The thumbprint (hash value) for the CA certificate is: <B> 5A1E9D07 C3B2481F 0D6C7A39 E8F14B25 </B>\r
<P> {challenge}\r
<P> This password can be used only once and will expire within 60 minutes.</HTML>\r
"""
SHOWN = "The enrollment challenge password is: <B> 8F2C61D09A7B34E5 </B>"


def test_ndes(made):
    """The program takes the challenge from the page, and the device gets it, with the name."""
    (program,) = [text for text in blocks("NDES", "sh") if text.startswith("#!")]
    site = made("NDES")
    server = OtherServer(NDES_PAGE.format(challenge=SHOWN).encode("utf-16"))
    file = site.folder / "ndes-challenge"
    (site.folder / "ndes.netrc").write_text("machine 127.0.0.1 login x password y\n")
    (site.folder / "ndes.netrc").chmod(0o644)
    file.write_text(site.here(program).replace("https://ndes.example.com", server.url))
    file.chmod(0o755)
    site.start()
    payload = site.walk().offer().identify().scep_payload["PayloadContent"]
    assert (payload["Challenge"], payload["Name"]) == ("8F2C61D09A7B34E5", "ndes")
    assert payload["URL"] == "https://ndes.example.com/certsrv/mscep/mscep.dll"
    # With a full cache, or for an account that may not, there is none.
    server.page = NDES_PAGE.format(challenge="The password cache is full.").encode("utf-16")
    failed = run(file, ok=False)
    assert (failed.returncode, failed.stdout) == (1, b"") and b"no challenge" in failed.stderr
    server.shutdown()
    server.server_close()


def test_update_from_nanomdm(made, world):
    """The commands, with the MDM server in the place of NanoMDM: what it is to push is the profile
    of this device, with an end."""
    site = made("Update from NanoMDM").start()
    walk = delivered(site).certify().age()
    (commands,) = [text for text in blocks("Update from NanoMDM", "sh") if "<<END" in text]
    server = OtherServer()
    folder = world.new_folder("mdm-server")
    (folder / "enroll.netrc").write_text(f"machine {HOST} login nanomdm password SECRET\n")
    (folder / "nanomdm.netrc").write_text("machine 127.0.0.1 login nanomdm password KEY\n")
    (folder / ".curlrc").write_text(f"cacert = {world.site.root_file}\n"
                                    f"connect-to = {HOST}:443:127.0.0.1:{site.port}\n")
    commands = re.sub("^udid=.*", f"udid={walk.device.udid}", commands)
    run("sh", "-ec", commands.replace("http://127.0.0.1:9000", server.url), cwd=folder,
        env=os.environ | {"CURL_HOME": str(folder)})
    ((path, body),) = server.put
    server.shutdown()
    server.server_close()
    assert path == f"/v1/enqueue/{walk.device.udid}"
    command = plistlib.loads(body)
    assert len(command["CommandUUID"]) == 36
    assert command["Command"].pop("RequestType") == "InstallProfile"
    profile = folder / "profile"
    profile.write_bytes(command["Command"].pop("Payload"))
    assert not command["Command"]
    told = run("openssl", "cms", "-verify", "-inform", "DER", "-in", profile, "-CAfile",
               world.site.root_file, "-purpose", "any").stdout
    again = plistlib.loads(told)
    assert again["PayloadIdentifier"] == IDENTIFIER and "PayloadExpirationDate" in again
