# SPDX-License-Identifier: Apache-2.0
"""A PostgreSQL cluster of our own, which can be stopped, frozen and started again."""

import contextlib
import os
import pathlib
import signal

from . import paths
from .ports import free_port
from .process import Process, children, run, wait_until


def _bin():
    try:
        folder = run(paths.program("pg_config"), "--bindir").stdout.decode().strip()
        if os.access(f"{folder}/initdb", os.X_OK):
            return pathlib.Path(folder)
    except paths.Missing:
        pass
    return pathlib.Path(paths.program("initdb", where=sorted(
        map(str, pathlib.Path("/usr/lib/postgresql").glob("*/bin")), reverse=True))).parent


class Postgres:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        owner = paths.postgres_user()
        os.chown(self.folder, owner.pw_uid, owner.pw_gid)
        self.folder.chmod(0o700)
        options = {"cwd": "/", "env": {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}}
        if paths.ROOT:
            options |= {"user": owner.pw_uid, "group": owner.pw_gid, "extra_groups": []}
        data = self.folder / "data"
        run(_bin() / "initdb", "-D", data, "-U", "mdm", "-A", "trust", "-E", "UTF8", "--no-sync",
            **options)
        self.port = free_port()
        self.process = Process(
            [_bin() / "postgres", "-D", data, "-p", self.port, "-c",
             "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off",
             "-c", "max_connections=60"],
            self.folder.parent / f"{self.folder.name}.out", [self.port], **options)
        self.start()

    def start(self):
        self.process.start()
        # It listens a little before it answers.
        wait_until(lambda: self._psql("postgres", "SELECT 1", ok=False).returncode == 0,
                   "PostgreSQL answers")

    def conninfo(self, database):
        return f"host=127.0.0.1 port={self.port} dbname={database} user=mdm"

    def create(self, database):
        self._psql("postgres", f'CREATE DATABASE "{database}"')
        return self.conninfo(database)

    def _psql(self, database, sql, ok=True):
        return run(_bin() / "psql", "-X", "-q", "-At", "-F", "\x1f", "-R", "\x1e", "-v",
                   "ON_ERROR_STOP=1", "-c", sql, self.conninfo(database), ok=ok)

    def query(self, database, sql):
        """Rows as tuples of text."""
        text = self._psql(database, sql).stdout.decode().rstrip("\n")
        return [tuple(row.split("\x1f")) for row in text.split("\x1e")] if text else []

    def stop(self, number=signal.SIGINT):
        """SIGINT is PostgreSQL's fast shutdown."""
        self.process.stop(number)

    @contextlib.contextmanager
    def down(self):
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextlib.contextmanager
    def frozen(self):
        """The server and all its backends stand still; connections stay open."""
        pids = children(self.process.pid) | {self.process.pid}
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)
