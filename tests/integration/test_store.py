# SPDX-License-Identifier: Apache-2.0
"""The database out of reach: 503 with Retry-After and a clear line, nothing half done, and the same
request succeeds as soon as the database is back."""

import base64
import os
import signal
import threading
import time

import pytest

from harness import faults, paths, postgres, scep
from harness.database import PostgresDatabase, snapshot, unchanged
from harness.http import volley
from harness.process import run, wait_until
from harness.site import ID
from harness.slapd import password

STORE_IDS = [ID["STORE_UNAVAILABLE"], ID["STORE_BUSY"]]
# After a connection that could not be made, nobody tries another one for so many seconds.
BREAKER = 1.0
# Seconds in which a request must be told that it failed: a wait for a handle and the driver's own
# repetitions, or the limits of PostgreSQL's client.
PATIENCE = 15


class Steps:
    """Five enrollments, each before another step; what would take the step, and how it went."""

    def __init__(self, site):
        self.site = site
        self.walks = [site.walk() for _ in range(5)]
        first, second, identity, third, mdm = self.walks
        ca_file = site.world.site.ca.cert_file
        message2 = second.offer().phase2_message()
        requests = [w.request() for w in (identity, mdm)]
        identity.offer().identify()
        message3 = third.offer().identify().certify().phase3_message()
        mdm.offer().identify().certify().deliver()
        scep1 = requests[0].message(identity.scep_challenge, ca_file)
        scep2 = requests[1].message(mdm.scep_challenge, ca_file)
        self.steps = {
            "phase 1": lambda: first.get_profile(),
            "phase 2": lambda: second.post(message2),
            "identity": lambda: site.post_scep(scep1),
            "phase 3": lambda: third.post(message3),
            "MDM": lambda: site.post_scep(scep2),
        }
        self.requests = {"identity": requests[0], "MDM": requests[1]}

    def all_fail(self):
        """Each step by itself."""
        for name, step in self.steps.items():
            begun = time.monotonic()
            response = step()
            assert response.status == 503, name
            assert int(response.headers["retry-after"]) > 0
            assert time.monotonic() - begun < PATIENCE, name
        lines = self.site.log.lines(*STORE_IDS)
        for i in STORE_IDS:
            self.site.expect(i, times=len(self.site.log.lines(i)))
        assert len(lines) == len(self.steps), "one line each"

    def all_succeed(self):
        """The very same requests, the first after the repair among them."""
        time.sleep(BREAKER)
        for name, step in self.steps.items():
            response = step()
            assert response.status == 200, name
            if name in self.requests:
                reply = self.requests[name].open(response.body,
                                                 self.site.world.site.ca.cert_file)
                assert reply.status == scep.SUCCESS, name


def fail_and_recover(site, steps, fault):
    before = snapshot(site.database)
    with fault:
        steps.all_fail()
    assert snapshot(site.database) == before, "something was half done"
    steps.all_succeed()


# --- SQLite --------------------------------------------------------------------------------------


def test_locked(own_site):
    site = own_site().start()
    steps = Steps(site)
    fail_and_recover(site, steps, faults.locked(site.database))


def test_missing_folder(own_site):
    site = own_site().start()
    steps = Steps(site)
    fail_and_recover(site, steps, faults.missing_folder(site.database))


def test_read_only(own_site):
    """As it is found at a start: connections that are open go on writing."""
    site = own_site().start()
    steps = Steps(site)
    before = snapshot(site.database)
    with faults.read_only(site.database):
        site.httpd.graceful()
        steps.all_fail()
    assert snapshot(site.database) == before
    steps.all_succeed()


def test_full(world, own_site):
    site = own_site()
    try:
        with faults.small_file_system(site.httpd.state, site.httpd.user):
            site.start()
            try:
                steps = Steps(site)
                fail_and_recover(site, steps, faults.full(site.database))
            finally:
                site.stop()
    except faults.NoMount as reason:
        pytest.skip(str(reason))


def test_deleted_file_is_not_forgotten(own_site):
    """Never go on with an empty database and no word about it."""
    site = own_site().start()
    walk = site.walk().offer()
    message = walk.phase2_message()
    site.database.path.rename(site.database.path.with_suffix(".lost"))
    response = walk.post(message)
    assert response.status in (403, 503)
    ids = STORE_IDS if response.status == 503 else [ID["CHALLENGE_UNKNOWN"]]
    for i in ids:
        site.expect(i, times=len(site.log.lines(i)))
    assert site.log.lines(*STORE_IDS), "the loss is in the log"


def test_first_requests_make_the_tables_once(own_site):
    """Parallel first requests on a new database, two processes."""
    site = own_site(children=2, directory=False).start()
    credentials = {"Authorization": basic("alice")}
    responses = volley(site.port, site.HOST, site.world.site.root_file, "/enroll/profile",
                       [b""] * 20, method="GET", headers=credentials)
    assert {r.status for r in responses} == {200}
    assert site.database.query("SELECT count(*) FROM enrollment") == [("20",)]


def basic(user):
    return "Basic " + base64.b64encode(f"{user}:{password(user)}".encode()).decode()


def test_offers_without_end(own_site):
    """Whoever has an account cannot fill the database with it; others are not held up."""
    site = own_site(directory=False).start()
    site.walk().offer()
    for number in range(99):
        site.database.execute(
            "INSERT INTO enrollment SELECT ? || substr(id, 1, 20), flow, site, rules, state, "
            "user_name, udid, serial, product, os_version, device_fingerprint, "
            "identity_fingerprint, created_at, updated_at, expires_at, last_refusal, refused_at, "
            "signed_at, terms FROM enrollment LIMIT 1", str(number))
    site.expect("OFFERS_TOO_MANY")
    with unchanged(site.database):
        response = site.walk().get_profile()
    assert response.status == 403 and b"too many enrollments" in response.body
    site.walk(user="bob").offer()
    site.database.execute("UPDATE enrollment SET expires_at = 1 WHERE user_name = 'alice'")
    site.walk().offer()


def test_newer_schema(own_site):
    """A database of a later version is left alone."""
    site = own_site().start()
    site.walk().offer()
    site.database.execute("UPDATE mdm_schema SET version = 99")
    site.httpd.graceful()
    site.expect("STORE_SCHEMA")
    response = site.walk().get_profile()
    assert response.status == 503
    site.database.execute("UPDATE mdm_schema SET version = 3")
    time.sleep(BREAKER)
    site.walk().offer()


# --- PostgreSQL ----------------------------------------------------------------------------------


@pytest.mark.parametrize("program", ["test_store", "test_store_admin", "test_store_claim",
                                     "test_store_device", "test_store_notification",
                                     "test_dbd_pool", "test_serial_list"])
def test_unit_tests(world, program):
    """The unit tests of the store and its pool, on a real server."""
    database = world.make_database()
    run(paths.BUILD / program, env=os.environ | {"MDM_TEST_PGSQL": database.conninfo})
    ((commits,),) = database.query(
        "SELECT xact_commit FROM pg_stat_database WHERE datname = current_database()")
    assert int(commits) > 40, "it was this database that they ran on"


@pytest.fixture(scope="module")
def server(world):
    """Its own: it is stopped under the sites."""
    server = postgres.Postgres(world.new_folder("cluster") / "postgres")
    yield server
    server.stop()


@pytest.fixture
def on_postgres(server, own_site, request):
    return own_site(database=PostgresDatabase(server, request.node.name)).start()


def test_postgresql_stopped(server, on_postgres):
    steps = Steps(on_postgres)
    before = snapshot(on_postgres.database)
    with server.down():
        steps.all_fail()
    assert snapshot(on_postgres.database) == before
    steps.all_succeed()


def test_postgresql_restarted(server, on_postgres):
    """Connections of before are dead; nobody notices."""
    steps = Steps(on_postgres)
    with server.down():
        pass
    steps.all_succeed()


def test_postgresql_killed(server, on_postgres):
    steps = Steps(on_postgres)
    before = snapshot(on_postgres.database)
    server.stop(signal.SIGQUIT)
    try:
        steps.all_fail()
    finally:
        server.start()
    assert snapshot(on_postgres.database) == before
    steps.all_succeed()


class Background:
    """Requests under way, each in a thread of its own."""

    def __init__(self, site, messages):
        self.responses = []
        self.threads = [threading.Thread(
            target=lambda m=m: self.responses.append(site.post_device(m))) for m in messages]
        for thread in self.threads:
            thread.start()

    def count(self, status):
        return sum(r.status == status for r in list(self.responses))

    def join(self):
        for thread in self.threads:
            thread.join()


def test_postgresql_hung(server, on_postgres):
    """A server that answers nothing holds the few requests that have a handle: those behind them
    are told to come again, those that need no database are answered meanwhile, and one of the
    copies wins when it goes on."""
    site, copies = on_postgres, 16
    walk = site.walk().offer()
    message = walk.phase2_message()
    with server.frozen():
        under_way = Background(site, [message] * copies)
        wait_until(lambda: under_way.count(503) > 0, "an end of the wait for a handle", seconds=30)
        begun = time.monotonic()
        assert site.curl("/enroll/scep?operation=GetCACaps").status == 200
        assert time.monotonic() - begun < 2, "longer than anybody waits for a handle"
    under_way.join()
    for i in [*STORE_IDS, ID["ENROLLMENT_STATE"]]:
        site.expect(i, times=len(site.log.lines(i)))
    statuses = [r.status for r in under_way.responses]
    assert len(statuses) == copies and set(statuses) <= {200, 403, 503}
    assert statuses.count(200) <= 1
    if 200 not in statuses:
        assert walk.post(message).status == 200
