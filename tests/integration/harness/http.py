# SPDX-License-Identifier: Apache-2.0
"""HTTP by the curl program, and a volley of requests that arrive at the same moment."""

import contextlib
import dataclasses
import http.client
import json
import os
import pathlib
import socket
import ssl
import tempfile
import threading

from .process import run


@dataclasses.dataclass
class Response:
    status: int
    headers: dict
    body: bytes
    version: str

    @property
    def type(self):
        return self.headers.get("content-type", "")

    def json(self):
        return json.loads(self.body)


# RSA-1024 and SHA-1 are below OpenSSL's default level, and curl loads a certificate before it sets
# its ciphers.
_WEAK = """openssl_conf = start
[start]
ssl_conf = modules
[modules]
system_default = level
[level]
CipherString = DEFAULT@SECLEVEL=0
"""


def curl(url, *extra, root=None, data=None, user=None, identity=None, http2=False, headers=(),
         weak_tls=False, cookies=None, connect_to=None, stream=None):
    """One request. data: bytes to POST; stream: bytes to POST without telling their length.
    identity: the client certificate of the handshake; weak_tls lets curl present one such as
    Apple's. connect_to: port of 127.0.0.1 that every
    host stands for."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        command = ["curl", "--silent", "--show-error", "--max-time", "60",
                   "--http2" if http2 else "--http1.1", "-D", folder / "headers",
                   "-o", folder / "body", "-w", "%{http_code} %{http_version}"]
        if root:
            command += ["--cacert", root]
        if connect_to:
            command += ["--connect-to", f"::127.0.0.1:{connect_to}"]
        if data is not None:
            (folder / "data").write_bytes(data)
            command += ["--data-binary", f"@{folder}/data"]
        if stream is not None:
            command += ["--request", "POST", "--upload-file", "-"]
        if user:
            command += ["--basic", "--user", ":".join(user)]
        if identity:
            command += ["--cert", identity.cert_file, "--key", identity.key_file]
        environ = dict(os.environ)
        if weak_tls:
            (folder / "openssl.cnf").write_text(_WEAK)
            environ["OPENSSL_CONF"] = str(folder / "openssl.cnf")
        if cookies:
            command += ["--cookie", cookies, "--cookie-jar", cookies]
        for header in headers:
            command += ["--header", header]
        status, version = run(*command, *extra, url, data=stream, env=environ).stdout.decode().split()
        body = folder / "body"
        return Response(int(status), _last_headers(folder / "headers"),
                        body.read_bytes() if body.exists() else b"", version)


def _last_headers(path):
    block = {}
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("HTTP/"):
            block = {}
        elif ":" in line:
            key, value = line.split(":", 1)
            key, value = key.strip().lower(), value.strip()
            block[key] = f"{block[key]}, {value}" if key in block else value
    return block


class _Connection(http.client.HTTPSConnection):
    """HTTPS to a port of 127.0.0.1 under another name."""

    def connect(self):
        raw = socket.create_connection(("127.0.0.1", self.port), timeout=60)
        self.sock = self._context.wrap_socket(raw, server_hostname=self.host)


def connection(port, host, root, identity=None):
    """A connection for http.client's own calls, for requests that are sent piece by piece, or one
    after the other. identity: the client certificate."""
    context = ssl.create_default_context(cafile=root)
    if identity:
        context.load_cert_chain(identity.cert_file, identity.key_file)
    return _Connection(host, port, context=context, timeout=60)


def volley(port, host, root, path, bodies, method="POST", headers=None):
    """Send each body on a connection of its own; all are open before the first byte of a request
    is sent, so the server needs a worker thread for each. port is one, or one for each body.
    [Response] in the order of bodies."""
    ports = [port] * len(bodies) if isinstance(port, int) else port
    context = ssl.create_default_context(cafile=root)
    barrier = threading.Barrier(len(bodies))
    responses = [None] * len(bodies)

    def one(index):
        with contextlib.closing(_Connection(host, ports[index], context=context,
                                            timeout=60)) as connection:
            connection.connect()
            barrier.wait(20)
            connection.request(method, path, bodies[index] or None,
                               {"Content-Type": "application/octet-stream", **(headers or {})})
            response = connection.getresponse()
            responses[index] = Response(response.status,
                                        {k.lower(): v for k, v in response.getheaders()},
                                        response.read(), "1.1")

    threads = [threading.Thread(target=one, args=(i,)) for i in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert None not in responses, "a request of the volley was not answered"
    return responses
