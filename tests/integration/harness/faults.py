# SPDX-License-Identifier: Apache-2.0
"""What can happen to a SQLite database under a running site, each as a context that repairs it."""

import contextlib
import sqlite3
import subprocess

from . import paths


@contextlib.contextmanager
def locked(database):
    """Another program writes, and does not come to an end."""
    with contextlib.closing(sqlite3.connect(database.path, isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        yield
        db.execute("ROLLBACK")


@contextlib.contextmanager
def read_only(database):
    """No write by the account that httpd's children run as."""
    folder = database.path.parent
    files = [f for f in folder.iterdir()]
    for file in files:
        file.chmod(0o444)
    folder.chmod(0o555)
    try:
        yield
    finally:
        folder.chmod(0o700)
        for file in files:
            if file.exists():
                file.chmod(0o644)


@contextlib.contextmanager
def missing_folder(database):
    folder = database.path.parent
    away = folder.with_name("away")
    folder.rename(away)
    try:
        yield
    finally:
        away.rename(folder)


@contextlib.contextmanager
def full(database):
    """The file system of the database has no byte left."""
    filler = database.path.parent / "filler"
    with open(filler, "wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            with contextlib.suppress(OSError):
                while file.write(b"\0" * size):
                    pass
    try:
        yield
    finally:
        filler.unlink()


class NoMount(Exception):
    """This machine does not let us mount a file system."""


@contextlib.contextmanager
def small_file_system(folder, owner, size="1m"):
    if not paths.ROOT:
        raise NoMount("mounting a file system needs root")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o",
                           f"size={size},mode=700,uid={owner.pw_uid},gid={owner.pw_gid}", "tmpfs",
                           str(folder)], capture_output=True, check=False)
    if done.returncode:
        raise NoMount(done.stderr.decode().strip())
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)
