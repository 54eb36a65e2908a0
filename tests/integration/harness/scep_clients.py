# SPDX-License-Identifier: Apache-2.0
"""SCEP clients that are made here of libraries that we did not write, or need a service beside
them. Each raises paths.Missing where what it needs is not installed."""

import os
import pathlib
import re

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from . import paths, scep
from .process import Process, run, wait_until

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

    JARS = [f"/usr/share/java/{name}.jar" for name in ("bcprov", "bcpkix", "bcutil")]

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


class Certmonger:
    """The daemon, on a socket of its own and with its files in one folder: neither a bus nor the
    files of this machine. It speaks GET."""

    WAIT = ["--wait", "--wait-timeout", "20"]

    def __init__(self, folder):
        self.folder = folder
        daemon, self.program = paths.program("certmonger"), paths.program("getcert")
        names = {"CAS": "cas", "REQUESTS": "requests", "LOCAL_CA": "local", "CONFIG": "config"}
        self.environ = os.environ | {"CERTMONGER_TMPDIR": str(folder),
                                     "CERTMONGER_SYSTEM_LOCK_FILE": str(folder / "lock"),
                                     "CERTMONGER_PVT_ADDRESS": f"unix:path={folder}/socket"}
        for variable, name in names.items():
            (folder / name).mkdir()
            self.environ[f"CERTMONGER_{variable}_DIR"] = str(folder / name)
        # It would make these by itself, and ask their programs, which look for servers to use.
        for name in ("IPA", "dogtag-ipa-renew-agent", "local"):
            (folder / "cas" / name).write_text(f"id={name}\nca_aka={name}\nca_type=EXTERNAL\n"
                                               "ca_external_helper=/bin/true\n")
        self.process = Process([daemon, "-n", "-L", "-P", folder / "socket", "-B", "-d", "2"],
                               folder / "certmonger.out", [], env=self.environ)
        self.process.start()
        wait_until((folder / "socket").exists, "certmonger's socket")

    def stop(self):
        self.process.stop()

    def getcert(self, *arguments):
        return run(self.program, *arguments, env=self.environ)

    def add(self, name, url, ca=None):
        """A SCEP CA; certmonger asks it what it is. Where it answers for itself, what it says of
        itself is not enough: then ca is to be trusted."""
        self.getcert("add-scep-ca", "-c", name, "-u", url, *(["-N", ca.cert_file] if ca else []))

    def request(self, name, key, challenge):
        """A request that is tracked from now on: its id."""
        key_file = scep.write_key(self.folder, key)
        self.getcert("request", "-c", name, "-I", key_file.stem, "-k", key_file, "-f",
                     key_file.with_suffix(".pem"), "-N", "CN=anything", "-L", challenge, *self.WAIT)
        return key_file.stem

    def again(self, command, request):
        """resubmit, or rekey, which makes another key."""
        self.getcert(command, "-i", request, *self.WAIT)

    def got(self, request):
        """(certificate, key) as they stand in the files; an error with what certmonger says where
        the last attempt failed."""
        state = self.getcert("list", "-i", request).stdout.decode()
        assert "status: MONITORING" in state and "ca-error" not in state, state
        files = [(self.folder / f"{request}.{kind}").read_bytes() for kind in ("pem", "key")]
        return (x509.load_pem_x509_certificate(files[0]),
                serialization.load_pem_private_key(files[1], None))
