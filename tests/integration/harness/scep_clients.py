# SPDX-License-Identifier: Apache-2.0
"""SCEP clients that are made here of libraries that we did not write, or need a service beside
them. Each raises paths.Missing where what it needs is not installed."""

import os
import pathlib
import re

from cryptography import x509

from . import paths, scep
from .process import run

SOURCES = pathlib.Path(__file__).parents[1] / "clients"
GO_PATH = pathlib.Path("/usr/share/gocode")


def need(*files):
    for file in files:
        if not pathlib.Path(file).exists():
            raise paths.Missing(f"{file} is not installed")


class Micromdm:
    """micromdm's library, in Go: SHA-1 and AES-128."""

    def __init__(self, folder):
        go = paths.program("go")
        need(GO_PATH / "src/github.com/micromdm/scep")
        self.folder = folder
        self.program = folder / "micromdm"
        run(go, "build", "-o", self.program, SOURCES / "micromdm.go", cwd=folder, env=os.environ | {
            "GO111MODULE": "off", "GOPATH": str(GO_PATH), "GOFLAGS": "", "GOPROXY": "off",
            "GOCACHE": str(folder / "cache")})

    def ask(self, url, key, challenge, old=None, recipients="all", ok=True):
        """The certificate, or the failed run. old: the identity to renew. recipients: all, or those
        for encipherment."""
        command = [self.program, url, recipients, scep.write_key(self.folder, key), challenge]
        if old:
            command += [old.cert_file, scep.write_key(self.folder, old.key)]
        done = run(*command, ok=ok)
        return done if done.returncode else x509.load_pem_x509_certificate(done.stdout)


class BouncyCastle:
    """Java: messages in BER of indefinite length, in pieces; SHA-256 and AES-256."""

    JARS = ["/usr/share/java/bcprov.jar", "/usr/share/java/bcpkix.jar", "/usr/share/java/bcutil.jar"]

    def __init__(self, folder):
        self.folder = folder
        compiler, self.java = paths.program("javac"), paths.program("java")
        need(*self.JARS)
        self.path = ":".join([*self.JARS, str(folder)])
        run(compiler, "-J-XX:TieredStopAtLevel=1", "-d", folder, "-cp", self.path,
            SOURCES / "BerClient.java")

    def ask(self, url, method, ca, responder, key, *operations, signer=None, ok=True):
        """The PEM objects that the operations brought, or the failed run. signer: the identity to
        sign with, else one that it makes of the key."""
        done = run(self.java, "-XX:TieredStopAtLevel=1", "-cp", self.path, "BerClient", url, method,
                   ca.cert_file, responder.cert_file, scep.write_key(self.folder, key),
                   signer.cert_file if signer else "-", *operations, ok=ok)
        if done.returncode:
            return done
        return [part.encode() for part in re.findall(
            r"-----BEGIN [^-]+-----[^-]+-----END [^-]+-----\n", done.stdout.decode())]
