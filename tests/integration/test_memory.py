# SPDX-License-Identifier: Apache-2.0
"""The memory of an httpd child is flat over thousands of enrollments."""

import concurrent.futures
import pathlib
import re

from harness import paths, slapd
from harness.process import run
from harness.site import Site, htpasswd

WARM_UP, ENROLLMENTS = 500, 5000
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
