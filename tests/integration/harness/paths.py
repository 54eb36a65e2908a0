# SPDX-License-Identifier: Apache-2.0
"""Where things are: the source, the build, the optional shared folder, the programs."""

import glob
import os
import pathlib
import pwd
import shutil
import subprocess
import sys

SRC = pathlib.Path(os.environ.get("MDM_SRC_DIR", pathlib.Path(__file__).parents[3])).resolve()
BUILD = pathlib.Path(os.environ.get("MDM_BUILD_DIR", SRC / "build")).resolve()
MODULE = BUILD / ".libs" / "mod_mdm_enroll.so"
MDM_DEVICE = BUILD / "mdm-device"
MDM_ADMIN = BUILD / "mdm-enroll-admin"
MESSAGES = SRC / "mod_mdm_enroll" / "core" / "mdm_messages.def"

_shared = os.environ.get("MDM_SHARED", SRC.parent / "shared")
SHARED = pathlib.Path(_shared) if _shared and pathlib.Path(_shared).is_dir() else None

ROOT = os.geteuid() == 0
_SBIN = ("/usr/sbin", "/usr/local/sbin", "/sbin")


class Missing(Exception):
    """A program that the tests need is not installed."""


def program(*names, where=()):
    """Path of the first of these programs that is installed."""
    path = os.pathsep.join([os.environ.get("PATH", ""), *_SBIN, *where])
    for name in names:
        found = shutil.which(name, path=path)
        if found:
            return found
    raise Missing(f"none of {', '.join(names)} is installed")


def first_folder(*patterns):
    """The first existing folder of these patterns; the highest version where one matches often."""
    for pattern in patterns:
        found = sorted(f for f in glob.glob(pattern) if os.path.isdir(f))
        if found:
            return pathlib.Path(found[-1])
    raise Missing(f"none of {', '.join(patterns)} exists")


def httpd_modules():
    """Folder of httpd's own modules."""
    try:
        apxs = program("apxs", "apxs2")
        return pathlib.Path(subprocess.run([apxs, "-q", "LIBEXECDIR"], check=True, text=True,
                                           capture_output=True).stdout.strip())
    except Missing:
        return first_folder("/usr/lib/apache2/modules", "/usr/lib64/httpd/modules",
                            "/usr/libexec/httpd")


def _known_user(*names):
    for name in names:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    raise Missing(f"none of the users {', '.join(names)} exists")


def web_user():
    """The account that httpd's children run as; our own where we are not root."""
    return _known_user("www-data", "apache", "http") if ROOT else pwd.getpwuid(os.geteuid())


def postgres_user():
    return _known_user("postgres") if ROOT else pwd.getpwuid(os.geteuid())


sys.dont_write_bytecode = True
