# SPDX-License-Identifier: Apache-2.0
"""A token of SoftHSM with keys of the tests in it, for OpenSSL through libp11's engine."""

import os
import shutil

from . import paths, pki
from .process import run

LABEL = "mdm test"  # with a blank, which a URI must escape
PIN = "7391-token-pin"


def available():
    return (shutil.which("softhsm2-util") is not None and
            run("openssl", "engine", "pkcs11", ok=False).returncode == 0)


class Token:
    """It belongs to the user that httpd's children run as: SoftHSM lets in whom its files let in.
    environ is what a process needs that uses it."""

    def __init__(self, folder):
        self.folder = folder
        self.tokens = folder / "tokens"
        self.tokens.mkdir()
        conf = folder / "softhsm2.conf"
        conf.write_text(f"directories.tokendir = {self.tokens}\nlog.level = ERROR\n")
        self.environ = {"SOFTHSM2_CONF": str(conf)}
        self.pin_file = folder / "pin"
        self.pin_file.write_text(PIN + "\n")
        self.pin_file.chmod(0o600)
        self._util("--init-token", "--free", "--label", LABEL, "--so-pin", "0000-so", "--pin", PIN)

    def _util(self, *args):
        run("softhsm2-util", *args, env={**os.environ, **self.environ})
        user = paths.web_user()
        for path in (self.tokens, *self.tokens.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)

    def add(self, label, number, key):
        """Import a key under a label; number is its CKA_ID in hexadecimal."""
        file = self.folder / f"{label}.key"
        file.write_bytes(pki.key_pem(key))
        self._util("--import", file, "--token", LABEL, "--pin", PIN, "--label", label, "--id",
                   number)
        file.unlink()

    def uri(self, label, pin=None, token=LABEL):
        """The PIN comes from the file unless another is given."""
        query = f"pin-value={pin}" if pin else f"pin-source=file:{self.pin_file}"
        return f"pkcs11:token={token.replace(' ', '%20')};object={label};type=private?{query}"
