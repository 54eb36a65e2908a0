# SPDX-License-Identifier: Apache-2.0
"""What stands in the module's database, read beside it: to prove that a request changed no row."""

import contextlib
import sqlite3

TABLES = ("enrollment", "challenge", "certificate")


class SqliteDatabase:
    def __init__(self, path):
        self.path = path

    @property
    def store(self):
        return f"sqlite3:{self.path}"

    def query(self, sql):
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True,
                                                timeout=10)) as db:
            return [tuple("" if v is None else str(v) for v in row) for row in db.execute(sql)]

    def execute(self, sql, *values):
        """Change something as an administrator would."""
        with contextlib.closing(sqlite3.connect(self.path, timeout=10)) as db:
            db.execute(sql, values)
            db.commit()


class PostgresDatabase:
    def __init__(self, server, name):
        self.server, self.name = server, name
        self.conninfo = server.create(name)

    @property
    def store(self):
        return f"pgsql:{self.conninfo}"

    def query(self, sql):
        return self.server.query(self.name, sql)


def snapshot(database):
    """Every row of every table; none where nobody has made the database yet."""
    if isinstance(database, SqliteDatabase) and not database.path.exists():
        return {table: [] for table in TABLES}
    return {table: sorted(database.query(f"SELECT * FROM {table}")) for table in TABLES}


@contextlib.contextmanager
def unchanged(database):
    before = snapshot(database)
    yield
    assert snapshot(database) == before, "a row was changed"


def states(database):
    """{enrollment id: state}"""
    return dict(database.query("SELECT id, state FROM enrollment"))
