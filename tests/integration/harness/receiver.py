# SPDX-License-Identifier: Apache-2.0
"""A service of the site that is told of enrollments, over TLS: it can be slow, refuse, and be down;
and it keeps what it was told."""

import collections
import hashlib
import hmac
import http.server
import json
import ssl
import threading
import time

from .ports import free_port

# One POST: when it came and when it was answered (None: not yet), and with what.
Told = collections.namedtuple("Told", "path headers body began answer")


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        receiver = self.server.receiver
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = receiver.begin(self.path, dict(self.headers), body)
        self.send_response(status)
        for name, value in receiver.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, *_):
        """Whoever hangs up before the answer is not at fault."""


class Receiver:
    def __init__(self, identity, secret):
        self.identity, self.secret = identity, secret
        self.port = free_port()
        self.told = []
        self.statuses = []  # of the next answers; 204 after them
        self.headers = {}
        self.delay = 0.0
        self.under_way = collections.Counter()  # by id of the notification
        self.most_at_once = collections.Counter()
        self._lock = threading.Lock()
        self._server = None

    def url(self, path="/told"):
        return f"https://127.0.0.1:{self.port}{path}"

    def start(self):
        self._server = _Server(("127.0.0.1", self.port), _Handler)
        self._server.receiver = self
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.identity.cert_file, self.identity.key_file)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True,
                                                  do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,),
                                        daemon=True)
        self._thread.start()
        return self

    def stop(self):
        if self._server is None:
            return
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self._server = None

    def begin(self, path, headers, body):
        notification = json.loads(body)["id"]
        with self._lock:
            status = self.statuses.pop(0) if self.statuses else 204
            self.told.append(Told(path, headers, body, time.monotonic(), status))
            self.under_way[notification] += 1
            self.most_at_once[notification] = max(self.most_at_once[notification],
                                                  self.under_way[notification])
        time.sleep(self.delay)
        with self._lock:
            self.under_way[notification] -= 1
        return status

    def of(self, device):
        """What it was told of a device."""
        with self._lock:
            return [t for t in self.told if json.loads(t.body)["udid"] == device.udid]

    def verify(self, told, now=None):
        """As the manual says that a receiver shall."""
        parts = dict(part.split("=", 1) for part in told.headers["MDM-Enroll-Signature"].split(","))
        assert abs((now or time.time()) - int(parts["t"])) < 300
        wanted = hmac.new(self.secret.encode(), parts["t"].encode() + b"." + told.body,
                          hashlib.sha256).hexdigest()
        assert hmac.compare_digest(wanted, parts["v1"])
