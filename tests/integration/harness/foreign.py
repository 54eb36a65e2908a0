# SPDX-License-Identifier: Apache-2.0
"""What a site has beside this module: a SCEP server that we did not write, and a service that gives
out its challenges; and a site and a device that use them."""

import contextlib
import http.server
import json
import pathlib
import shutil
import ssl
import threading
import time

from asn1crypto import cms as asn1_cms
from asn1crypto import core, parser
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.x509.oid import AttributeOID

from . import cms, paths, pki, scep
from .database import unchanged
from .http import curl
from .ports import free_port
from .process import Process, run
from .site import ID, Site, Walk, endpoints


def _decrypt_des(der, identity):
    """Debian's scepserver encrypts with single DES, which OpenSSL's default provider has no more."""
    data = asn1_cms.ContentInfo.load(der)["content"]
    key = identity.key.decrypt(data["recipient_infos"][0].chosen["encrypted_key"].native,
                               padding.PKCS1v15())
    # The content is one octet string within a constructed one, which asn1crypto does not read.
    rest, parts = data["encrypted_content_info"].contents, []
    while rest:
        parts.append(parser.parse(rest))
        rest = rest[len(parts[-1][3]) + len(parts[-1][4]):]
    content = parser.parse(parts[2][4])[4] if parts[2][1] else parts[2][4]
    iv = core.Sequence.load(parts[1][3] + parts[1][4])[1].native
    work = Cipher(algorithms.TripleDES(3 * key), modes.CBC(iv)).decryptor()
    padded = work.update(content) + work.finalize()
    return padded[:-padded[-1]]


class ScepServer:
    """Debian's scepserver. It takes the subject from the request, gives serial numbers from 2 on,
    and listens at /scep."""

    def __init__(self, folder, challenge=None, organization="Elsewhere"):
        self.folder = pathlib.Path(folder)
        self.challenge = challenge
        self.port = free_port()
        program = paths.program("scepserver")
        run(program, "ca", "-init", "-keySize", "2048", "-organization", organization, "-depot",
            self.folder / "depot")
        # That folder is the server's alone.
        self.ca_file = pathlib.Path(shutil.copy(self.folder / "depot" / "ca.pem", self.folder))
        self.ca_file.chmod(0o644)
        self.process = Process(
            [program, "-depot", self.folder / "depot", "-port", str(self.port), "-allowrenew", "0",
             *(["-challenge", challenge] if challenge else [])],
            self.folder / "scepserver.out", [self.port])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}/scep"

    @property
    def ca(self):
        return x509.load_pem_x509_certificate(self.ca_file.read_bytes())

    def start(self):
        self.process.start()
        return self

    def stop(self):
        self.process.stop()

    def ask(self, request, challenge, subject):
        """The CertRep to a request."""
        response = curl(f"{self.url}?operation=PKIOperation",
                        data=request.message(challenge, self.ca_file, subject=subject))
        assert response.status == 200, response
        return scep.Reply(response.body, self.ca_file, request.signer,
                          decrypt=_decrypt_des)


class AesServer:
    """A SCEP server as newer ones are: AES, SHA-256, POST. It has the key of a CA that the tests
    made, and takes the subject from the request."""

    def __init__(self, ca, challenge, folder):
        self.ca, self.challenge, self.folder = ca, challenge, pathlib.Path(folder)
        self.requests = []  # x509 CSRs
        server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                if "operation=GetCACaps" in self.path:
                    self.answer("text/plain", b"POSTPKIOperation\nAES\nSHA-256\n")
                else:
                    self.answer("application/x-x509-ca-cert", ca.der)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                self.answer("application/x-pki-message", server.issue(body))

            def answer(self, kind, body):
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_address[1]}/scep"

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()

    def issue(self, message):
        """The CertRep to a pkiMessage."""
        signed = asn1_cms.ContentInfo.load(message)["content"]
        values = {a["type"].dotted: core.SetOf.load(a["values"].dump(), spec=core.Any)[0].parsed
                  for a in signed["signer_infos"][0]["signed_attrs"]}
        client = x509.load_der_x509_certificate(signed["certificates"][0].dump())
        csr = x509.load_der_x509_csr(
            cms.decrypt(signed["encap_content_info"]["content"].native, self.ca))
        challenge = csr.attributes.get_attribute_for_oid(AttributeOID.CHALLENGE_PASSWORD)
        assert csr.is_signature_valid and challenge.value.decode() == self.challenge
        self.requests.append(csr)
        certificate = (x509.CertificateBuilder().subject_name(csr.subject)
                       .issuer_name(self.ca.cert.subject).public_key(csr.public_key())
                       .serial_number(x509.random_serial_number())
                       .not_valid_before(pki.days(-1)).not_valid_after(pki.days(30))
                       .sign(self.ca.key, hashes.SHA256()))
        recipient = self.folder / f"{values[scep.OIDS['transactionID']].native}.pem"
        recipient.write_bytes(client.public_bytes(serialization.Encoding.PEM))
        envelope = cms.encrypt(cms.certs_only(pki.Identity(certificate, None, None, None)), recipient)
        nonce = {"pkiStatus": [core.PrintableString(scep.SUCCESS)],
                 "recipientNonce": [values[scep.OIDS["senderNonce"]]]}
        attributes = scep.attributes(values[scep.OIDS["transactionID"]].native, "3", replace=nonce)
        return cms.signed_data(envelope, self.ca,
                               cms.signed_attributes(envelope, others=attributes))


def subject_text(payload):
    """The Subject of a SCEP payload as harness.pki reads names."""
    return ", ".join(f"{kind}={value}" for ((kind, value),) in payload["Subject"])


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.seen.append((self.path, dict(self.headers), json.loads(body)))
        status, kind, answer = self.server.answers.get(self.path, (404, "text/plain", b""))
        if callable(answer):
            answer = answer(self.server)
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(answer)))
        if status // 100 == 3:
            self.send_header("Location", "/json")
        self.end_headers()
        with contextlib.suppress(OSError):
            self.wfile.write(answer)

    def log_message(self, *args):
        pass


def _hang(server):
    server.released.wait(20)
    return b"too late\n"


def _wait_at_the_gate(server):
    server.gate.wait(20)
    return b"through the gate\n"


class HookServer:
    """The service, over TLS. answers: by path (status, content type, body)."""

    ANSWERS = {
        "/json": (200, "application/json; charset=utf-8", b'{"challenge": "from JSON"}'),
        "/text": (200, "text/plain", b"from text\nand more\n"),
        "/500": (500, "application/json", b'{"challenge": "not to be taken"}'),
        "/redirect": (302, "application/json", b'{"challenge": "not to be taken"}'),
        "/hang": (200, "text/plain", _hang),
        "/long": (200, "text/plain", b"x" * 10000),
        "/gate": (200, "text/plain", _wait_at_the_gate),
        "/empty": (200, "text/plain", b""),
        "/number": (200, "application/json", b'{"challenge": 5}'),
        "/broken": (200, "application/json", b'{"challenge": "not to be taken"'),
        "/control": (200, "application/json", b'{"challenge": "a\\u0007b"}'),
        "/line": (200, "application/json", b'"not to be taken"'),
    }

    def __init__(self, identity):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.server.daemon_threads = True
        self.server.answers, self.server.seen = self.ANSWERS, []
        self.server.released, self.server.gate = threading.Event(), threading.Event()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(identity.cert_file, identity.key_file)
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True,
                                                 do_handshake_on_connect=False)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()

    @property
    def seen(self):
        """[(path, headers, what was asked)]"""
        return self.server.seen

    def url(self, path):
        return f"https://127.0.0.1:{self.server.server_address[1]}{path}"

    @property
    def gate(self):
        """What answers of /gate wait for."""
        return self.server.gate

    def stop(self):
        self.server.released.set()
        self.server.gate.set()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def gone(pid_file, seconds=5):
    """Wait for a program that wrote its pid to a file to be neither running nor a zombie."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(FileNotFoundError, ValueError):
            if not pathlib.Path(f"/proc/{int(pid_file.read_text())}").exists():
                return True
        time.sleep(0.02)
    return False


class ForeignSite(Site):
    """Without a CA and an endpoint scep of its own."""

    HOST = "localhost"

    def config(self):
        text = "".join(line for line in super().config().splitlines(True)
                       if not line.startswith("MDMEnrollCA "))
        scep_location = endpoints("").split("</Location>\n")[2] + "</Location>\n"
        assert scep_location in text
        return text.replace(scep_location, "")


class ForeignWalk(Walk):
    """A device whose certificates come from a foreign server, and phase 3 as others may try it."""

    def __init__(self, server, *args, **options):
        super().__init__(*args, **options)
        self.server = server

    @property
    def content(self):
        return self.scep_payload["PayloadContent"]

    @property
    def subject(self):
        return subject_text(self.content)

    def certify(self, client="ours", subject=None):
        request = self.request()
        assert self.scep_url == self.server.url
        reply = self.server.ask(request, self.content.get("Challenge"), subject or self.subject)
        assert reply.status == scep.SUCCESS
        self.identity = self.site.world.maker.store(reply.certificate, request.key)
        return self

    def take(self, identity):
        self.identity = identity
        return self

    def row(self):
        (row,) = self.site.database.query(
            "SELECT state, identity_fingerprint FROM enrollment WHERE udid = "
            f"'{self.device.udid}'")
        return row

    def refused(self, why, message=None):
        """Phase 3 is refused so, and changes nothing."""
        self.site.expect(why)
        with unchanged(self.site.database):
            response = self.post(message or self.phase3_message(), phase=3)
        assert (response.status, response.json()["code"]) == (403, ID[why])
        return self

    def own_certificate(self):
        """From the site's own CA."""
        Walk.certify(self)
        return self


def made(walk, issuer, subject=None, **options):
    """An identity that a CA of the tests issued, with the subject of the walk's payload."""
    return walk.site.world.maker.issue(subject or walk.subject, issuer,
                                       **({"key": walk.request().key} | options))
