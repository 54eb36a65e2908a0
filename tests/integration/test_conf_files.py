# SPDX-License-Identifier: Apache-2.0
"""The files of conf/ as they are, and where a site may put what is in them."""

import re
import shutil

import pytest

from harness import paths, slapd
from harness.http import curl
from harness.site import (DEVICE, ID, IDENTIFIER, ORGANIZATION, PROFILE, SCEP, SERVER, TOPIC, Site,
                          certificate, endpoints, ldap_url, vhost)

HOST = Site.HOST
CONF = paths.SRC / "conf" / "mdm_enroll.conf"


class ConfSite(Site):
    """LoadModule by conf/mdm_enroll.load and all else by conf/mdm_enroll.conf, neither edited: its
    values are defined before."""

    def values(self):
        world = self.world
        password = self.folder / "ldap.password"
        password.write_text(slapd.ADMIN_PASSWORD + "\n")
        password.chmod(0o600)
        return {
            "STORE": self.database.store,
            "ORGANIZATION": ORGANIZATION, "IDENTIFIER": IDENTIFIER, "SERVER": SERVER,
            "TOPIC": TOPIC, "CA": world.site.ca.cert_file, "CA_KEY": world.site.ca.key_file,
            "LDAP": ldap_url(world.slapd.tls_url), "LDAP_GROUP": slapd.GROUP,
            "LDAP_BIND": slapd.ADMIN, "LDAP_PASSWORD": password}

    def defined(self):
        return "Define MDM_SITE\n" + "".join(
            f'Define MDM_{name} "{value}"\n' for name, value in self.values().items())

    def config(self):
        return (f"Define MDM_MODULES {paths.MODULE.parent}\n" + self.defined() +
                f"Include {paths.SRC}/conf/mdm_enroll.load\n"
                f"LDAPTrustedGlobalCert CA_BASE64 {self.world.site.root_file}\n" +
                self.vhosts(self))

    def tls_host(self, conf=CONF, host=HOST):
        """What the first lines of the file say, and what makes it trust the tests' servers."""
        return tls_only(self, f"Include {conf}\n"
                        f"MDMEnrollDeviceCA {self.world.device_ca.cert_file}\n"
                        f"MDMEnrollDirectoryCA {self.world.site.root_file}\n", host)

    def edited(self, name, **values):
        """A copy of the file with its values written into it, as a site does."""
        text = CONF.read_text()
        for key, value in (self.values() | values).items():
            text, count = re.subn(rf"^( +Define MDM_{key}) .*$", lambda m: f'{m[1]} "{value}"',
                                  text, flags=re.M)
            assert count == 1, key
        copy = self.folder / name
        copy.write_text(text)
        return copy


class EditedSite(ConfSite):
    def defined(self):
        return ""


def tls_only(site, text="", host=HOST):
    identity = site.world.site.server(host)
    return vhost(site.port, host, certificate(identity, bundle=site.world.bundle(identity)) + text)


@pytest.fixture
def conf_site(world):
    made = []

    def make(vhosts, kind=ConfSite):
        made.append(kind(world, world.new_folder("conf"), vhosts=vhosts, module=False))
        return made[-1]
    yield make
    for site in made:
        site.stop()


def test_conf_as_it_is(conf_site):
    site = conf_site(ConfSite.tls_host)
    assert site.httpd.test() == (0, "Syntax OK\n")
    site.start()
    walk = site.walk().all()
    assert walk.profile["PayloadOrganization"] == ORGANIZATION
    assert walk.payload("com.apple.mdm")["ServerURL"] == SERVER
    # Who is not in the group is told so, instead of being asked for the password again.
    site.expect("AH01631")
    assert site.walk(user="carol").get_profile().status == 403


def test_conf_twice(conf_site):
    """Two copies with values of their own, each for one host."""
    second = "second.test"

    def hosts(site):
        return "".join(site.tls_host(site.edited(f"{host}.conf", ORGANIZATION=host), host)
                       for host in (HOST, second))
    site = conf_site(hosts, EditedSite)
    assert site.httpd.test() == (0, "Syntax OK\n")
    site.start()
    for host in (HOST, second):
        assert site.walk(host=host).offer().profile["PayloadOrganization"] == host


def test_examples_in_conf(conf_site, world):
    """Every directive that the file shows as a comment is one that httpd takes."""
    site = conf_site(lambda site: site.tls_host(site.folder / "mdm_enroll.conf"))
    text = CONF.read_text()
    examples = re.findall("^#(MDMEnroll.*)$", text, re.M)
    assert len(examples) >= 33
    ra = world.maker.issue("O=Test, CN=RA", world.site.ca,
                           usage={"digital_signature", "key_encipherment"})
    former = world.maker.issue("O=Test, CN=Former CA", ca=True, key="p256")
    for name, content in (("signer.pem", world.signer.pem), ("root.pem", world.site.root.pem),
                          ("ra.pem", ra.pem), ("ra.key", ra.key_file.read_bytes()),
                          ("next-ca.pem", former.pem), ("former-ca.pem", former.pem),
                          ("scep.challenge", b"secret\n"), ("owned.txt", b"F2LX10ABCDEF\n"),
                          ("notify.secret", b"0123456789abcdef\n"),
                          ("signer.key", world.signer.key_file.read_bytes()),
                          ("test-devices.pem", world.device_ca.pem),
                          ("ldap-ca.pem", world.site.root.pem)):
        (site.folder / name).write_bytes(content)
    shutil.copytree(paths.SRC / "conf" / "templates", site.folder / "templates")
    for line in examples:
        text = text.replace("#" + line, line.replace("/etc/mdm-enroll", str(site.folder)))
    (site.folder / "mdm_enroll.conf").write_text(text)
    assert site.httpd.test() == (0, "Syntax OK\n")
    # And so is what the manual has in the tables of directives.
    manual = (paths.SRC / "docs" / "mod_mdm_enroll.md").read_text()
    lines = re.findall(r"^\| Example \| `(MDMEnroll.*)` \|$", manual, re.M)
    assert len(lines) >= 25
    (site.folder / "ca.pem").write_bytes(world.site.ca.pem)
    (site.folder / "ca.key").write_bytes(world.site.ca.key_file.read_bytes())
    (site.folder / "mdm_enroll.conf").write_text(CONF.read_text() + "".join(
        line.replace("/etc/mdm-enroll", str(site.folder)) + "\n" for line in lines))
    assert site.httpd.test() == (0, "Syntax OK\n")


def all_in_the_main_server(site):
    """conf-enabled/ for everything, and hosts that know nothing of it."""
    return (endpoints(site.authentication) + vhost(site.plain_port, HOST, "") +
            f"<IfModule mod_ssl.c>\n{tls_only(site)}</IfModule>\n")


def settings_in_the_main_server(site):
    """conf-enabled/ for the values, and the <Location>s in the host that serves them."""
    return vhost(site.plain_port, HOST, "") + site.tls_vhost(HOST)


def with_a_base_url(site):
    """Which is for hosts behind a proxy; the plain one here is not."""
    signer = site.world.signer
    return (f"MDMEnrollBaseURL {site.url('')}\n"
            f"MDMEnrollSigner {signer.cert_file} {signer.key_file} "
            f"{site.world.site.intermediate.cert_file}\n" + all_in_the_main_server(site))


@pytest.mark.parametrize("layout, plain", [(all_in_the_main_server, 403),
                                           (settings_in_the_main_server, 404),
                                           (with_a_base_url, 403)],
                         ids=["all in the main server", "settings in the main server",
                              "with a base URL for all"])
def test_plain_and_tls_hosts(own_site, layout, plain):
    site = own_site(vhosts=layout)
    assert site.httpd.test() == (0, "Syntax OK\n")
    site.start()
    walk = site.walk().all()
    assert walk.device_url == site.url(DEVICE)
    # The plain host hands out no secrets, and asks for no password.
    for path in (PROFILE, DEVICE, SCEP):
        if plain == 403:
            site.expect("HTTP_NOT_SECURE")
        response = curl(site.plain_url(path))
        assert response.status == plain
        if plain == 403 and path == PROFILE:
            assert response.type.startswith("text/html") and b"needs https" in response.body
        elif plain == 403:
            assert response.json()["code"] == ID["HTTP_NOT_SECURE"]
