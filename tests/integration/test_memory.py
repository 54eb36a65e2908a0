# SPDX-License-Identifier: Apache-2.0
"""Thousands of enrollments: the memory of an httpd child is flat, and each is itself."""

import concurrent.futures
import pathlib
import re

from harness import paths, slapd
from harness.process import run
from harness.site import Site, htpasswd

WARM_UP, ENROLLMENTS = 500, 4000
BOUND = 2 * 1024  # KiB
CLIENTS, ROUNDS = 16, 63


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


def test_flat(world):
    """One child, few threads, so that the warm-up reaches each of them."""
    folder = world.scratch / "memory"
    run(paths.MDM_DEVICE, "make-ca", folder)
    site = LocalSite(world, world.new_folder("memory"), threads=4, authentication=htpasswd(world),
                     directives=f"MDMEnrollDeviceCA {folder}/device-ca.pem\n").start()
    password = world.scratch / "alice"
    password.write_text(slapd.password("alice") + "\n")

    def enroll(count):
        """Two devices at a time."""
        def half(name):
            run(paths.MDM_DEVICE, "enroll", site.url("/enroll/profile"), "--user", "alice",
                "--password-file", password, "--ca", world.site.root_file, "--identity", folder,
                "--udid", name, "--repeat", count // 2, "--quiet", timeout=1200)
        with concurrent.futures.ThreadPoolExecutor() as pool:
            list(pool.map(half, (f"A-{count}", f"B-{count}")))

    try:
        (pid,) = site.httpd.children()
        enroll(WARM_UP)
        before = resident(pid)
        enroll(ENROLLMENTS - WARM_UP)
        after = resident(pid)
        assert site.httpd.children() == {pid}
        assert site.database.query("SELECT count(*) FROM enrollment WHERE state = 'delivered'") == [
            (str(ENROLLMENTS),)]
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
