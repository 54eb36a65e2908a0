# SPDX-License-Identifier: Apache-2.0
"""Thousands of enrollments, many at a time: each is itself, and memory stays flat."""

import concurrent.futures
import pathlib
import re

from harness import paths, slapd
from harness.process import run
from harness.site import Site, htpasswd

CLIENTS, WARM_UP, ROUNDS = 16, 40, 275  # 5,040 enrollments
BOUND = 2 * 1024  # KiB


def resident(pid):
    """KiB"""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"^VmRSS:\s+(\d+) kB$", text, re.M)[1])


class LocalSite(Site):
    """Without HTTP/2: with several connections at a time, mod_http2's own memory grows by some
    hundred bytes for each enrollment."""
    HOST = "localhost"

    def config(self):
        return super().config().replace("Protocols h2 http/1.1", "Protocols http/1.1")


def test_many(world):
    """16 devices at a time, each with one enrollment after the other, on two children: every
    certificate has a serial number of its own, nothing fails, every challenge is used once; and what
    the children have in memory does not grow. Enough threads that no connection is shed, and few, so that the warm-up reaches each.
    """
    folder = world.scratch / "memory"
    run(paths.MDM_DEVICE, "make-ca", folder)
    site = LocalSite(world, world.new_folder("memory"), children=2, threads=12,
                     authentication=htpasswd(world),
                     directives=f"MDMEnrollDeviceCA {folder}/device-ca.pem\n").start()
    password = world.scratch / "alice"
    password.write_text(slapd.password("alice") + "\n")

    def enroll(rounds):
        def one(number):
            run(paths.MDM_DEVICE, "enroll", site.url("/enroll/profile"), "--user", "alice",
                "--password-file", password, "--ca", world.site.root_file, "--identity", folder,
                "--udid", f"DEVICE-{rounds}-{number}", "--repeat", rounds, "--quiet", timeout=1200)
        with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
            list(pool.map(one, range(CLIENTS)))

    try:
        children = site.httpd.children()
        assert len(children) == 2
        enroll(WARM_UP)
        before = {pid: resident(pid) for pid in children}
        enroll(ROUNDS)
        after = {pid: resident(pid) for pid in children}
        assert site.httpd.children() == children
        enrolled = CLIENTS * (WARM_UP + ROUNDS)
        assert site.database.query("SELECT count(*) FROM enrollment WHERE state = 'delivered'") == [
            (str(enrolled),)]
        assert site.database.query(
            "SELECT count(*), count(DISTINCT serial), max(revoked_at) FROM certificate") == [
            (str(2 * enrolled), str(2 * enrolled), "0")]
        assert site.database.query(
            "SELECT purpose, count(*), min(uses), max(uses) FROM challenge GROUP BY purpose") == [
            ("device", str(enrolled), "0", "0"), ("identity", str(enrolled), "1", "1"),
            ("mdm", str(enrolled), "1", "1")]
        assert {line.split()[0] for line in site.httpd.access_lines()
                if " POST /enroll/scep " in line} == {str(pid) for pid in children}
        for pid in children:
            assert after[pid] - before[pid] <= BOUND, f"{before} KiB, then {after} KiB"
    finally:
        site.stop()
