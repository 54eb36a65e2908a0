# SPDX-License-Identifier: Apache-2.0
"""The simulated device long after its enrollment: renewal, revocation, and a CA that follows
another, as the manual's how-tos say it. CAs are on P-256 and have an RA."""

import hashlib
import http.server
import json
import re
import shlex
import shutil
import textwrap
import threading
import urllib.parse
import urllib.request

import pytest
from asn1crypto import cms as asn1_cms
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    Encoding, PublicFormat, load_pem_private_key)

from harness import cms, paths, pki, scep, slapd
from harness.ports import free_port
from harness.process import run, wait_until
from harness.site import PROFILE, SCEP, Site, htpasswd

OK, USAGE, NETWORK, REFUSED, NOT_ACCEPTED, FILES = range(6)
CRL = "/enroll.crl"
FOLDER = "/etc/mdm-enroll"
EVERY_USAGE = {"key_cert_sign", "crl_sign", "digital_signature", "key_encipherment"}


def manual(title, language):
    """The code of that language below a heading of the manual, a list of texts."""
    text = (paths.SRC / "docs" / "mod_mdm_enroll.md").read_text()
    section = text.partition(f"\n### {title}\n")[2]
    section = re.split(r"\n##+ ", section)[0]
    found = re.findall(rf"^ *```{language}\n(.*?)^ *```$", section, re.S | re.M)
    assert found, title
    return [textwrap.dedent(text) for text in found]


class Authority:
    """A CA on P-256 and its RA; below a root, the CA may sign and encipher, too."""

    def __init__(self, maker, name, ra_key, root=None):
        self.root = root
        self.ca = maker.issue(f"O=Test, CN={name}", root, key="p256", ca=True, end=pki.days(3650),
                              usage=EVERY_USAGE)
        self.ra = maker.issue(f"O=Test, CN={name} RA", self.ca, key=ra_key, end=pki.days(300))
        self.file = maker.bundle(f"{self.ca.cert_file.stem}-bundle.pem", self.ca,
                                 *([root] if root else []))

    def directives(self):
        return (f"MDMEnrollCA {self.file} {self.ca.key_file}\n"
                f"MDMEnrollRA {self.ra.cert_file} {self.ra.key_file}\n")


class RenewalSite(Site):
    """ca_lines stand in the place of MDMEnrollCA; reload() makes others count. At
    http://127.0.0.1 it has the CRL and renews late, at http://localhost never."""
    HOST = "localhost"

    def __init__(self, world, made, ca_lines):
        self.ca_lines = ca_lines
        super().__init__(world, world.new_folder("renewal"), authentication=htpasswd(world),
                         directory=False, vhosts=RenewalSite.hosts,
                         directives=f"MDMEnrollDeviceCA {made}/device-ca.pem\n"
                         "MDMEnrollRenewal 3650d\n")

    def config(self):
        return re.sub("^MDMEnrollCA .*\n", lambda _: self.ca_lines, super().config(), flags=re.M)

    def hosts(self):
        late = ("MDMEnrollRenewal 30d\n"
                f'<Location "{CRL}">\nMDMEnrollEndpoint crl\n</Location>\n</VirtualHost>\n')
        return (f"MDMEnrollCRLURL {self.plain_url(CRL)}\n" + self.tls_vhost(self.HOST) +
                self.plain_vhost().replace("</VirtualHost>\n", late) +
                self.plain_vhost().replace("plain.test", "localhost").replace(
                    "</VirtualHost>", "MDMEnrollRenewal off\n</VirtualHost>"))

    def reload(self, ca_lines):
        self.ca_lines = ca_lines
        self.reconfigure()
        self.httpd.graceful()


def said(done):
    return (done.stdout + done.stderr).decode()


class Device:
    """The folder of one device."""

    def __init__(self, site, like):
        """With the files of another folder."""
        self.site, self.folder = site, site.world.new_folder("device")
        for file in like.iterdir():
            shutil.copy(file, self.folder)
        self.password = self.folder / "password"
        self.password.write_text(slapd.password("alice") + "\n")

    def run(self, *command):
        return run(paths.MDM_DEVICE, *command, "--ca", self.site.world.site.root_file, ok=False)

    def enroll(self):
        done = self.run("enroll", self.site.url(PROFILE), "--user", "alice", "--password-file",
                        self.password, "--identity", self.folder, "--udid", self.folder.name)
        assert done.returncode == OK, said(done)
        return self

    def ask(self, command, *options):
        """renew, status or next-ca: what its JSON says."""
        done = self.run(command, self.folder, "--json", *options)
        told = json.loads(done.stdout)
        assert told["exit"] == done.returncode, said(done)
        assert (told["reason"] or "") in done.stderr.decode()
        return told

    def obey(self, text):
        """The commands of a how-to that are mdm-device's."""
        commands = [shlex.split(line) for line in text.replace("\\\n", " ").splitlines()
                    if line.startswith("mdm-device ")]
        assert commands
        for command in commands:
            command = [word.replace("https://enroll.example.com", self.site.url(""))
                       .replace(f"{FOLDER}/test-device", str(self.folder)) for word in command[1:]]
            if command[0] == "enroll":
                command += ["--password-file", self.password]
            done = self.run(*command)
            assert done.returncode == OK, said(done)

    def cert(self, name="mdm-identity.pem"):
        return x509.load_pem_x509_certificate((self.folder / name).read_bytes())

    @property
    def serial(self):
        return f"{self.cert().serial_number:x}"

    def files(self):
        return {f.name.removeprefix("mdm-") for f in self.folder.glob("mdm-*")}

    def fits(self, stem="mdm-identity"):
        key = load_pem_private_key((self.folder / f"{stem}.key").read_bytes(), None)
        return (key.public_key().public_numbers() ==
                self.cert(f"{stem}.pem").public_key().public_numbers())

    def move(self, old, new):
        (self.folder / f"mdm-identity.{old}").rename(self.folder / f"mdm-identity.{new}")

    def at(self, url):
        """The same SCEP server, elsewhere."""
        file = self.folder / "mdm-identity.json"
        origin = json.loads(file.read_text())
        file.write_text(json.dumps(origin | {"url": url}))
        return self

    def revoke(self):
        """As an administrator does it."""
        run(paths.MDM_ADMIN, "revoke", "--serial", self.serial, "--reason", "keyCompromise", "--store",
            self.site.database.store)


@pytest.fixture(scope="module")
def made(world):
    """A device CA, and a device of it."""
    folder = world.scratch / "renewing"
    run(paths.MDM_DEVICE, "make-ca", folder)
    return folder


@pytest.fixture(scope="module")
def ra_key():
    return pki.make_key()


@pytest.fixture(scope="module")
def authority(world, ra_key):
    root = world.maker.issue("O=Test, CN=Root of a CA", key="p256", ca=True, end=pki.days(3650))
    return Authority(world.maker, "Issuing CA", ra_key, root)


@pytest.fixture(scope="module")
def site(world, authority, made):
    one = RenewalSite(world, made, authority.directives()).start()
    yield one
    one.stop()


@pytest.fixture(scope="module")
def enrolled(site, made):
    return Device(site, made).enroll()


@pytest.fixture
def device(site, enrolled):
    """One that enrolled once; no test ends the certificate it got then."""
    return Device(site, enrolled.folder)


# --- revocation ----------------------------------------------------------------------------------


def test_revoked(site, made):
    """Before all tests that ask for the list, since that is kept for some seconds."""
    device = Device(site, made).enroll()
    device.revoke()
    site.expect("CERTIFICATE_REVOKED")
    assert "mdm-device enroll" in device.ask("renew")["hint"]
    wait_until(lambda: device.ask("status")["exit"] != OK, "the new list")
    for options in [], ["--scep"]:
        told = device.ask("status", *options)
        assert (told["exit"], told["state"]) == (REFUSED, "revoked"), told
        assert told["revocation_reason"] == "keyCompromise" and told["revoked_at"].endswith("Z")
    assert f"GET {site.plain_url(CRL)}" in said(device.run("status", device.folder))


# --- renewal -------------------------------------------------------------------------------------


def test_renew(site, made, authority):
    """And again with the renewed one, whose use ends the first."""
    device = Device(site, made).enroll()
    assert device.files() == {f"identity.{end}" for end in ("pem", "key", "ca.pem", "json")}
    first = device.cert()
    done = device.run("renew", device.folder)
    assert done.returncode == OK, said(done)
    assert "RenewalReq" in said(done) and "signed by the RA" in said(done)
    second = device.cert()
    assert second.subject == first.subject and second.serial_number != first.serial_number
    assert second.public_key().public_numbers() != first.public_key().public_numbers()
    assert device.fits() and device.fits("mdm-identity.previous")
    assert device.cert("mdm-identity.previous.pem") == first
    assert not any("new" in name for name in device.files())
    run("openssl", "verify", "-CAfile", authority.root.cert_file, "-untrusted",
        authority.ca.cert_file, device.folder / "mdm-identity.pem")
    for end in ("pem", "key"):  # put the first one aside
        device.move(f"previous.{end}", f"first.{end}")
    told = device.ask("renew")
    assert told["exit"] == OK and told["new_serial"] == device.serial != told["serial"]
    assert told["serial"] == f"{second.serial_number:x}"
    assert "lines" in told["steps"][1] and told["steps"][1]["lines"][0]["kind"] == "sent"
    assert all(f.stat().st_mode & 0o077 == 0 for f in device.folder.glob("mdm-*"))
    for end in ("pem", "key"):
        device.move(f"first.{end}", end)
    site.expect("CERTIFICATE_REVOKED")
    told = device.ask("renew")
    assert told["exit"] == REFUSED and "failInfo" in told["reason"]
    assert "mdm-device enroll" in told["hint"]


def test_how_to_renew(site, made):
    device = Device(site, made)
    for text in manual("Renewing a certificate", "sh"):
        if "mdm-device" in text:
            device.obey(text)
    assert "identity.previous.pem" in device.files()


def test_lost_reply(device):
    """The key of a renewal that brought nothing is used again, and the server knows the request."""
    assert device.ask("renew")["exit"] == OK
    serial = device.serial
    device.move("key", "new.key")
    for end in ("pem", "key"):
        device.move(f"previous.{end}", end)
    assert device.serial != serial
    told = device.ask("renew")
    assert told["exit"] == OK and device.serial == serial and device.fits()
    assert "an earlier renewal" in str(told["steps"][1]["lines"])


@pytest.mark.parametrize("renamed", [False, True])
def test_broken_off(site, device, renamed):
    """Behind the reply, before both files were renamed."""
    assert device.ask("renew")["exit"] == OK
    serial = device.serial
    device.move("pem", "new.pem")
    device.move("previous.pem", "pem")
    if not renamed:
        device.move("key", "new.key")
        device.move("previous.key", "key")
    told = device.ask("next-ca")  # any command that reads the folder
    assert told["exit"] == REFUSED and "MDMEnrollNextCA" in told["hint"]
    assert told["serial"] == serial == device.serial and device.fits()
    assert not any("new" in name for name in device.files())


def test_too_early(site, device):
    """And the refused key does for a renewal in time."""
    site.expect("SCEP_RENEWAL")
    elsewhere = device.at(site.plain_url(SCEP)).ask("renew")
    assert elsewhere["exit"] == REFUSED and "badRequest" in elsewhere["reason"]
    assert "This certificate cannot be renewed now." in elsewhere["reason"]
    assert "MDMEnrollRenewal" in elsewhere["hint"] and elsewhere["not_after"] in elsewhere["hint"]
    assert device.at(site.url(SCEP)).ask("renew")["exit"] == OK


def test_without_the_capability(site, device):
    device.at(f"http://localhost:{site.plain_port}{SCEP}")
    told = device.ask("renew")
    assert told["exit"] == REFUSED and "--force" in told["reason"]
    site.expect("SCEP_RENEWAL")
    assert "failInfo" in device.ask("renew", "--force")["reason"]


def test_bad_folders(site, made, device):
    done = run(paths.MDM_DEVICE, "renew", made, ok=False)
    assert done.returncode == FILES and "mdm-device enroll" in said(done)
    (device.folder / "mdm-identity.json").write_text('{"url": 5}')
    done = run(paths.MDM_DEVICE, "renew", device.folder, ok=False)
    assert done.returncode == FILES and "does not say where" in said(done)
    assert run(paths.MDM_DEVICE, "status", ok=False).returncode == USAGE
    assert run(paths.MDM_DEVICE, "status", "--force", made, ok=False).returncode == USAGE


# --- whom a device speaks to ---------------------------------------------------------------------


class Forger:
    """Passes SCEP on to a site; alter(operation, body) gives what is answered instead. canned:
    operations that are not passed on, with type and body."""

    def __init__(self, site, alter, **canned):
        port = free_port()
        self.url = f"http://127.0.0.1:{port}/scep"

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                query = urllib.parse.urlsplit(self.path).query
                operation = urllib.parse.parse_qs(query)["operation"][0]
                if operation in canned:
                    return self.reply(*canned[operation])
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))) or None
                request = urllib.request.Request(f"{site.plain_url(SCEP)}?{query}", body)
                with urllib.request.urlopen(request) as answer:
                    self.reply(answer.headers["Content-Type"], alter(operation, answer.read()))
                return None
            do_POST = do_GET

            def reply(self, kind, content):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()


def reversed_certificates(body):
    """A certs-only message with its certificates the other way round."""
    certs = [c.dump() for c in asn1_cms.ContentInfo.load(body)["content"]["certificates"]]
    assert len(certs) == 3 and b"".join(certs) in body
    return body.replace(b"".join(certs), b"".join(certs[::-1]))


def certs_only(certs):
    return asn1_cms.ContentInfo({
        "content_type": "signed_data",
        "content": {"version": "v1", "digest_algorithms": [], "signer_infos": [],
                    "encap_content_info": {"content_type": "data"},
                    "certificates": [asn1_cms.CertificateChoices.load(c) for c in certs]}}).dump()


def test_ra_is_the_leaf(site, device):
    """Wherever it stands among CAs that may sign and encipher, too."""
    def alter(operation, body):
        return reversed_certificates(body) if operation == "GetCACert" else body
    site.expect("SCEP_RENEWAL")
    with Forger(site, alter) as forger:
        told = device.at(forger.url).ask("renew")
    assert told["exit"] == REFUSED and "failInfo" in told["reason"], told
    assert "RA CN=Issuing CA RA" in str(told["steps"][1]["lines"])


def test_reply_by_another_than_the_ra(site, device, authority, ra_key):
    """Even one with the same key."""
    twin = site.world.maker.issue("O=Test, CN=Issuing CA RA", authority.ca, key=ra_key,
                                  end=pki.days(300), serial=authority.ra.cert.serial_number ^ 1)

    def alter(operation, body):
        if operation != "GetCACert":
            return body
        return certs_only([twin.der, authority.ca.der, authority.root.der])
    site.expect("SCEP_DECRYPT")
    with Forger(site, alter) as forger:
        told = device.at(forger.url).ask("renew")
    assert told["exit"] == NOT_ACCEPTED and "wanted the very certificate" in told["reason"]


NEXT_CA = {
    "signed by the RA": (lambda authority, other: authority.ra, True, "wanted the CA that"),
    "signed by the next CA": (lambda authority, other: other, True, "wanted the CA that"),
    "no CA": (lambda authority, other: authority.ca, False, "with a CA's certificate"),
}


@pytest.mark.parametrize("name", NEXT_CA)
def test_next_ca_of_a_stranger(site, device, authority, rollover, name):
    signer, has_ca, words = NEXT_CA[name]
    other = rollover.new.ca
    answer = cms.sign(certs_only([(other if has_ca else authority.ra).der]),
                      signer(authority, other), md="sha256")
    with Forger(site, lambda operation, body: body + b"GetNextCACert\n",
                GetNextCACert=("application/x-x509-next-ca-cert", answer)) as forger:
        told = device.at(forger.url).ask("next-ca")
    assert told["exit"] == NOT_ACCEPTED and words in told["reason"], told
    assert "next-ca.pem" not in device.files()


# --- roll-over -----------------------------------------------------------------------------------


def certify(walk, authority):
    """Get the certificate of the payload at hand from this CA. All of them have one key, since
    making one takes a third of a second."""
    request = scep.Request.make(walk.site.world.scratch, authority.ra.key)
    response = walk.site.curl(walk.scep_url + "?operation=PKIOperation", data=request.message(
        walk.scep_challenge, authority.ra.cert_file))
    reply = request.open(response.body, authority.ca.cert_file)
    assert reply.status == scep.SUCCESS, reply.fail_info
    walk.identity = walk.site.world.maker.store(reply.certificate, request.key)
    return reply.certificate


class Rollover:
    """The files of the how-to, and its configurations."""

    def __init__(self, world, ra_key):
        self.folder = world.new_folder("etc")
        self.old = Authority(world.maker, "Old CA", ra_key)
        self.new = Authority(world.maker, "New CA", ra_key)
        for stem, one in ("", self.old), ("new-", self.new):
            for name, identity in ("ca", one.ca), ("ra", one.ra):
                for end, file in ("pem", identity.cert_file), ("key", identity.key_file):
                    path = self.folder / f"{stem}{name}.{end}"
                    path.touch(0o600)
                    path.write_bytes(file.read_bytes())
        (self.folder / "next-ca.pem").write_bytes(self.new.ca.pem + self.new.ra.pem)
        self.before, self.after = (text.replace(FOLDER, str(self.folder))
                                   for text in manual("Replacing the CA", "apache"))


@pytest.fixture(scope="module")
def rollover(world, ra_key):
    return Rollover(world, ra_key)


@pytest.fixture(scope="module")
def rolling(world, rollover, made):
    one = RenewalSite(world, made, rollover.before).start()
    yield one
    one.stop()


def test_rollover(rolling, rollover, made):
    old, new = rollover.old, rollover.new
    device = Device(rolling, made).enroll()
    at_phase1 = rolling.walk(host="localhost").offer()
    at_phase2 = rolling.walk(host="localhost").offer().identify()
    at_scep = rolling.walk(host="localhost").offer().identify()
    assert certify(at_scep, old).issuer == old.ca.cert.subject
    before, after = (text for text in manual("Replacing the CA", "sh") if "mdm-device" in text)
    not_told = Device(rolling, device.folder)

    device.obey(before)
    assert (device.folder / "mdm-next-ca.pem").read_bytes() == new.ca.pem + new.ra.pem
    assert device.ask("next-ca")["next_ca_sha256"] == new.ca.fingerprint
    assert device.ask("renew")["new_issuer"] == "CN=Old CA,O=Test"  # not yet
    for options in [], ["--scep"]:
        assert device.ask("status", *options)["state"] == "live"

    rolling.reload(rollover.after)

    for walk in at_phase1, at_phase2, at_scep:  # what was begun before comes to its end
        if walk is at_phase1:
            walk.identify()
        if walk is not at_scep:
            assert certify(walk, new).issuer == new.ca.cert.subject
        walk.deliver()
        assert certify(walk, new).issuer == new.ca.cert.subject

    told = device.ask("status")  # the list is the new CA's
    assert told["exit"] == NOT_ACCEPTED and "another CA" in told["hint"], told
    last = device.cert()
    device.obey(after)
    assert device.cert().issuer == new.ca.cert.subject and "next-ca.pem" not in device.files()
    assert device.cert("mdm-identity.previous.pem") == last
    assert device.ask("renew")["new_issuer"] == "CN=New CA,O=Test"

    told = not_told.ask("renew")
    assert told["exit"] == NOT_ACCEPTED and "mdm-device next-ca" in told["hint"]
    assert not_told.cert().issuer == old.ca.cert.subject
    told = not_told.ask("next-ca")  # of the CA after the next, if it had one
    assert told["exit"] == REFUSED

    ends = dict(rolling.database.query(manual("Replacing the CA", "sql")[0].strip().rstrip(";")))
    assert ends.keys() == {key_id(old.ca), key_id(new.ca)}


def key_id(identity):
    key = identity.cert.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(key).hexdigest()
