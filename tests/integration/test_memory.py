# SPDX-License-Identifier: Apache-2.0
"""Thousands of enrollments: the memory of an httpd child is flat, and each is itself."""

import concurrent.futures
import contextlib
import os
import pathlib
import re
import sqlite3

from harness import paths, slapd
from harness.process import run
from harness.site import Site, htpasswd

WARM_UP, MEASURED = 500, 1000
BOUND = 400  # KiB: some 400 bytes an enrollment
DEVICES = 4  # at a time, in the warm-up
CLIENTS, ROUNDS = 16, 63


def resident(pid):
    """KiB of the process's own: pages of files come and go with what the machine does."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^RssAnon:\s+(\d+) kB$", text, re.M)[1])


def small_page_cache(site):
    """Each of SQLite's handles keeps up to 2 MiB of the pages that it saw: with the rows grew what
    it keeps, and hid what leaks. It keeps a few pages, by a word in the database's head."""
    path = site.database.path
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA default_cache_size = 20")
    os.chown(path, site.httpd.user.pw_uid, site.httpd.user.pw_gid)
    path.chmod(0o600)


class LocalSite(Site):
    """Without HTTP/2: with several connections at a time, mod_http2's own memory grows by some
    hundred bytes for each enrollment."""
    HOST = "localhost"

    def config(self):
        return super().config().replace("Protocols h2 http/1.1", "Protocols http/1.1")


def test_flat(world):
    """One child, few threads, so that the warm-up reaches each of them: it has more devices at a
    time than what is measured. While a thread is idle, httpd closes no connection that is kept."""
    folder = world.scratch / "memory"
    run(paths.MDM_DEVICE, "make-ca", folder)
    site = LocalSite(world, world.new_folder("memory"), threads=DEVICES + 1,
                     authentication=htpasswd(world),
                     directives=f"MDMEnrollDeviceCA {folder}/device-ca.pem\n")
    small_page_cache(site)
    site.start()
    password = world.scratch / "alice"
    password.write_text(slapd.password("alice") + "\n")

    def enroll(count, at_a_time):
        def share(name):
            run(paths.MDM_DEVICE, "enroll", site.url("/enroll/profile"), "--user", "alice",
                "--password-file", password, "--ca", world.site.root_file, "--identity", folder,
                "--udid", name, "--repeat", count // at_a_time, "--quiet", timeout=1200)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(share, [f"{count}-{device}" for device in range(at_a_time)]))

    try:
        (pid,) = site.httpd.children()
        enroll(WARM_UP, DEVICES)
        before = resident(pid)
        enroll(MEASURED, DEVICES // 2)
        after = resident(pid)
        assert site.httpd.children() == {pid}
        assert site.database.query("SELECT count(*) FROM enrollment WHERE state = 'delivered'") == [
            (str(WARM_UP + MEASURED),)]
        assert after - before <= BOUND, f"{before} KiB, then {after} KiB"
    finally:
        site.stop()


def test_2000_certificates(world):
    """16 devices at a time, each with one enrollment after the other, on two children: every
    certificate has a serial number of its own, nothing fails, every challenge is used once."""
    folder = world.scratch / "many"
    run(paths.MDM_DEVICE, "make-ca", folder)
    password = folder / "alice"
    password.write_text(slapd.password("alice") + "\n")
    site = LocalSite(world, world.new_folder("many"), children=2, threads=CLIENTS,
                     authentication=htpasswd(world),
                     directives=f"MDMEnrollDeviceCA {folder}/device-ca.pem\n").start()

    def enroll(number):
        run(paths.MDM_DEVICE, "enroll", site.url("/enroll/profile"), "--user", "alice",
            "--password-file", password, "--ca", world.site.root_file, "--identity", folder,
            "--udid", f"DEVICE-{number}", "--repeat", ROUNDS, "--quiet", timeout=600)

    try:
        children = {str(pid) for pid in site.httpd.children()}
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(enroll, range(CLIENTS)))
        enrolled = CLIENTS * ROUNDS
        assert site.database.query(
            "SELECT count(*), count(DISTINCT serial), max(revoked_at) FROM certificate") == [
            (str(2 * enrolled), str(2 * enrolled), "0")]
        assert site.database.query(
            "SELECT purpose, count(*), min(uses), max(uses) FROM challenge GROUP BY purpose") == [
            ("device", str(enrolled), "0", "0"), ("identity", str(enrolled), "1", "1"),
            ("mdm", str(enrolled), "1", "1")]
        assert {line.split()[0] for line in site.httpd.access_lines()
                if " POST /enroll/scep " in line} == children and len(children) == 2
    finally:
        site.stop()
