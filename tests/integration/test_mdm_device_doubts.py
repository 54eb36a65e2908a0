# SPDX-License-Identifier: Apache-2.0
"""mdm-device does not accept what an iPhone would not: a server that answers as ours does, but for
one thing, is found out with exit status 4."""

import http.client
import http.server
import plistlib
import ssl
import threading

import pytest

from harness import cms, paths, slapd
from harness.ports import free_port
from harness.process import run
from harness.site import DEVICE, PROFILE, Site

NOT_ACCEPTED = 4
PROFILE_TYPE = "application/x-apple-aspen-config"


class Forger:
    """Stands before a site as a proxy that ends TLS, and alters one answer."""

    def __init__(self, world):
        self.world = world
        self.identity = world.site.server("localhost")
        self.port = free_port()
        self.site = None
        self.alter = lambda call, answer: None
        self.devices = 0  # requests to the endpoint device
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(world.bundle(self.identity), self.identity.key_file)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), self.handler())
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def call(self, path):
        if path == DEVICE:
            self.devices += 1
            return f"phase {self.devices + 1}"
        return {PROFILE: "phase 1"}.get(path) or path.partition("operation=")[2]

    def forward(self, request):
        body = request.rfile.read(int(request.headers.get("Content-Length", 0)))
        link = http.client.HTTPConnection("127.0.0.1", self.site.plain_port)
        link.request(request.command, request.path, body or None, dict(request.headers))
        response = link.getresponse()
        answer = {"status": response.status, "type": response.headers["Content-Type"],
                  "body": response.read()}
        link.close()
        if response.status == 200:
            self.alter(self.call(request.path), answer)
        request.send_response(answer["status"])
        request.send_header("Content-Type", answer["type"])
        request.send_header("Content-Length", str(len(answer["body"])))
        request.end_headers()
        request.wfile.write(answer["body"])

    def handler(forger):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                forger.forward(self)
            do_POST = do_GET

            def log_message(self, *_):
                pass
        return Handler

    # --- what is altered -------------------------------------------------------------------------

    def content(self, answer):
        return cms.verify(answer["body"], self.world.site.root_file).content

    def signed(self, content, *, signer=None):
        return cms.sign(content, signer or self.world.signer, md="sha256",
                        bag=[] if signer else [self.world.site.intermediate])

    def edited(self, answer, change):
        profile = plistlib.loads(self.content(answer))
        change(profile)
        answer["body"] = self.signed(plistlib.dumps(profile))


def change_type(value):
    def alter(_, answer):
        answer["type"] = value
    return alter


def unsigned(forger, answer):
    answer["body"] = forger.content(answer)


def signed_by_a_stranger(forger, answer):
    stranger = forger.world.maker.issue("O=Test, CN=localhost", names=["localhost"])
    answer["body"] = forger.signed(forger.content(answer), signer=stranger)


def nothing_changed(forger, answer):
    forger.edited(answer, lambda profile: None)


def altered_content(forger, answer):
    answer["body"] = cms.edit_content(answer["body"], lambda c: c.replace(b"</dict>", b"</dict> "))


def two_payloads(forger, answer):
    forger.edited(answer, lambda profile: profile["PayloadContent"].append(
        profile["PayloadContent"][0] | {"PayloadUUID": "x", "PayloadIdentifier": "y"}))


def no_scep_payload(forger, answer):
    forger.edited(answer, lambda profile: profile["PayloadContent"][0].update(
        PayloadType="com.apple.webClip.managed"))


def without_url(forger, answer):
    forger.edited(answer, lambda profile: profile["PayloadContent"].pop("URL"))


def for_another_device(forger, answer):
    forger.edited(answer, lambda profile: profile.update(EncryptedPayloadContent=cms.encrypt(
        b"<plist/>", forger.world.signer.cert_file, "aes-256-cbc")))


def truncated(_, answer):
    answer["body"] = answer["body"][:-1]


DOUBTS = {
    "parameter of the type": ("phase 1", change_type(PROFILE_TYPE + "; charset=utf-8"),
                              "Content-Type"),
    "unsigned": ("phase 1", unsigned, "not signed"),
    "stranger": ("phase 1", signed_by_a_stranger, "self-signed certificate"),
    "altered": ("phase 1", altered_content, "signature does not hold"),
    "no URL": ("phase 1", without_url, "URL is missing"),
    "type in phase 2": ("phase 2", change_type("application/xml"), "Content-Type"),
    "two payloads": ("phase 2", two_payloads, "wanted exactly one payload"),
    "no SCEP payload": ("phase 2", no_scep_payload, "com.apple.security.scep"),
    "type of the CA": ("GetCACert", change_type("text/plain"), "application/x-x509-ca-cert"),
    "type of the reply": ("PKIOperation", change_type("text/plain"), "application/x-pki-message"),
    "reply cut off": ("PKIOperation", truncated, "the CertRep is not one SignedData"),
    "for another device": ("phase 3", for_another_device,
                           "no recipient with this device's issuer"),
}


@pytest.fixture(scope="module")
def identity(world):
    folder = world.scratch / "doubtful"
    run(paths.MDM_DEVICE, "make-ca", folder)
    return folder


class Behind(Site):
    """Over plain HTTP, as behind a proxy."""
    HOST = "localhost"


@pytest.fixture(scope="module")
def forger(world, identity):
    forger = Forger(world)
    forger.site = Behind(
        world, world.new_folder("behind"), vhosts=Site.plain_vhost,
        directives=f"MDMEnrollDeviceCA {identity}/device-ca.pem\n")
    forger.site.httpd.configure(forger.site.config().replace(
        forger.site.url(""), f"https://localhost:{forger.port}"))
    forger.site.start()
    yield forger
    forger.site.stop()
    forger.server.shutdown()
    forger.server.server_close()


def enroll(forger, identity, call=None, alter=None):
    def only_there(seen, answer):
        if seen == call:
            alter(forger, answer)
    forger.devices, forger.alter = 0, only_there
    password = forger.world.scratch / "password"
    password.write_text(slapd.password("alice") + "\n")
    return run(paths.MDM_DEVICE, "enroll", f"https://localhost:{forger.port}{PROFILE}", "--user",
               "alice", "--password-file", password, "--ca", forger.world.site.root_file,
               "--identity", identity, ok=False)


@pytest.mark.parametrize("call", ["phase 1", "phase 2", "phase 3"])
def test_sound(forger, identity, call):
    """The control: the same, with nothing altered but who signed."""
    done = enroll(forger, identity, call, nothing_changed)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", DOUBTS)
def test_doubt(forger, identity, name):
    call, alter, words = DOUBTS[name]
    done = enroll(forger, identity, call, alter)
    assert done.returncode == NOT_ACCEPTED, (done.stdout + done.stderr).decode()
    assert words in done.stderr.decode()
