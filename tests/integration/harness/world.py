# SPDX-License-Identifier: Apache-2.0
"""What all tests of one worker share: keys and certificates, the device CA, the directory, the
databases; everything in one temporary folder that httpd's children may enter."""

import functools
import pathlib
import shutil
import tempfile

from . import device, httpd, pki, ports, slapd
from .database import PostgresDatabase
from .postgres import Postgres
from .process import run
from .site import Site


class World:
    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mdm-enroll-"))
        self.folder.chmod(0o755)
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir()
        self.maker = pki.Pki(self.folder / "keys")
        self.site = pki.SitePki(self.folder / "site")
        self.device_ca = device.make_ca(self.maker)
        self._numbers = iter(range(1, 10000))
        self._servers = []

    @functools.cached_property
    def slapd(self):
        server = slapd.Slapd(self.folder / "slapd", self.directory_identity, self.site.root_file)
        self._servers.append(server)
        return server

    @functools.cached_property
    def directory_identity(self):
        return self.maker.issue("O=Test, CN=127.0.0.1", self.site.root,
                                extensions=[pki.loopback()])

    @functools.cached_property
    def postgres(self):
        server = Postgres(self.folder / "postgres")
        self._servers.append(server)
        return server

    @functools.cached_property
    def leaf(self):
        """The built-in identity of devices in whose certificate a test has no interest."""
        return device.make_leaf(self.maker, self.device_ca)

    @functools.cached_property
    def signer(self):
        """A signing identity apart from TLS."""
        return self.site.pki.issue("O=Test, CN=Profile Signer", self.site.intermediate)

    @functools.cached_property
    def password_file(self):
        """The directory's people for mod_authn_file."""
        lines = b"".join(
            uid.encode() + b":" + run("openssl", "passwd", "-apr1", "-stdin",
                                      data=password.encode()).stdout
            for uid, (password, _) in slapd.USERS.items())
        path = self.folder / "htpasswd"
        path.write_bytes(lines)
        path.chmod(0o644)
        return path

    def device(self, **attributes):
        return device.Device(self.leaf, **attributes)

    def bundle(self, identity):
        """A PEM file with a server's certificate and the intermediate behind it."""
        return self.site.pki.bundle(f"{identity.cert_file.stem}-bundle.pem", identity,
                                    self.site.intermediate)

    def new_folder(self, stem):
        path = self.folder / f"{stem}-{next(self._numbers)}"
        path.mkdir()
        path.chmod(0o755)
        return path

    def make_site(self, stem="site", **options):
        """A site that is not started yet."""
        site = Site(self, self.new_folder(stem), **options)
        self._servers.append(site)
        return site

    def make_database(self):
        return PostgresDatabase(self.postgres, f"enroll{next(self._numbers)}")

    def close(self):
        for server in reversed(self._servers):
            server.stop()
        httpd.running.clear()
        ports.release_all()
        shutil.rmtree(self.folder)
