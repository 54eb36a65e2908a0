# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the integration tests: one world a worker, shared sites, and the watch over every
error log."""

import pathlib
import sys

import pytest

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness import httpd, paths  # noqa: E402
from harness.world import World  # noqa: E402


@pytest.fixture(scope="session")
def world():
    world = World()
    yield world
    world.close()


@pytest.fixture(scope="session")
def site(world):
    """One httpd with SQLite, for every test that neither stops nor reconfigures it."""
    return world.make_site("shared").start()


@pytest.fixture(scope="session")
def shared_folder():
    if paths.SHARED is None:
        pytest.skip("no shared folder (MDM_SHARED)")
    return paths.SHARED


@pytest.fixture
def own_site(world):
    """A maker of sites that are the test's own, stopped at its end."""
    made = []

    def make(**options):
        made.append(world.make_site("own", **options))
        return made[-1]
    yield make
    for one in made:
        one.stop()


@pytest.fixture(autouse=True)
def watched_logs():
    """Any line of level warn or above that the test did not announce fails it, and so does an
    announced one that did not come. The fixtures of servers end before this one does."""
    for server in httpd.running:
        server.log.begin()
    yield
    problems = [f"{server.folder.name}: {problem}"
                for server in httpd.running for problem in server.log.verify()]
    httpd.running[:] = [server for server in httpd.running if server.process.running()]
    if problems:
        pytest.fail("httpd's error log:\n" + "\n".join(problems), pytrace=False)
