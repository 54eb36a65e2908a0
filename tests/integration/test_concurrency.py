# SPDX-License-Identifier: Apache-2.0
"""Many copies of one message at the same moment, on two processes and on two httpds: exactly one
wins, every other is told so, and the enrollment goes on."""

import collections

import pytest
from cryptography.hazmat.primitives import hashes

from harness import pki, scep
from harness.database import PostgresDatabase, SqliteDatabase
from harness.http import volley
from harness.process import wait_until
from harness.site import DEVICE, ID, SCEP

COPIES = 50
# A worker thread for each connection of a volley, wherever it is accepted, and some to spare.
THREADS = COPIES + 10


@pytest.fixture(scope="module", params=["two processes, SQLite", "two httpds, PostgreSQL"])
def pair(world, request):
    """The sites that the volleys are spread over, the first one first."""
    if request.param.startswith("two processes"):
        sites = [world.make_site("children", children=2, threads=THREADS).start()]
    else:
        database = world.make_database()
        sites = [world.make_site("node", database=database, threads=THREADS).start()
                 for _ in range(2)]
    yield sites
    for site in sites:
        site.stop()


def spread(sites, path, bodies):
    ports = [sites[i % len(sites)].port for i in range(len(bodies))]
    return volley(ports, sites[0].HOST, sites[0].world.site.root_file, path, bodies)


def expect_in_all(sites, times, *names):
    """So many lines with one of these messages, wherever and in whatever mixture they came."""
    count = 0
    for site in sites:
        for name in names:
            lines = len(site.log.lines(ID[name]))
            site.expect(name, times=lines)
            count += lines
    assert count == times


def processes(sites, path):
    """Pids that served this path so far."""
    return {line.split()[0] for site in sites for line in site.httpd.access_lines()
            if f" POST {path} " in line}


def test_phase_2(pair):
    walk = pair[0].walk().offer()
    message = walk.phase2_message()
    responses = spread(pair, DEVICE, [message] * COPIES)

    assert collections.Counter(r.status for r in responses) == {200: 1, 403: COPIES - 1}
    assert {r.json()["code"] for r in responses if r.status == 403} == {"MDM0303"}
    expect_in_all(pair, COPIES - 1, "ENROLLMENT_STATE")
    wait_until(lambda: len(processes(pair, DEVICE)) == 2, "two processes in the access logs")
    # Losers leave no secret behind: the one of phase 1 and the one of the winner.
    (row,) = pair[0].database.query(f"SELECT id FROM enrollment WHERE udid = '{walk.device.udid}'")
    assert sorted(pair[0].database.query(
        f"SELECT purpose FROM challenge WHERE enrollment = '{row[0]}'")) == [("device",),
                                                                           ("identity",)]
    # The winner's reply is good.
    walk.take_identity(next(r for r in responses if r.status == 200))
    walk.certify().deliver()


@pytest.fixture(scope="module")
def keys():
    return [pki.make_key() for _ in range(COPIES)]


@pytest.mark.parametrize("purpose", ["identity", "mdm"])
def test_scep_with_different_keys(pair, keys, purpose):
    walk = pair[0].walk().offer().identify()
    if purpose == "mdm":
        walk.certify().deliver()
    ca_file = pair[0].world.site.ca.cert_file
    requests = [scep.Request.make(pair[0].world.scratch, key) for key in keys]
    responses = spread(pair, SCEP + "?operation=PKIOperation",
                       [r.message(walk.scep_challenge, ca_file) for r in requests])

    assert {r.status for r in responses} == {200}
    replies = [request.open(response.body, ca_file)
               for request, response in zip(requests, responses)]
    won = [r.status for r in replies].count(scep.SUCCESS)
    assert 1 <= won <= 3  # as many as a device may need whose replies are lost
    assert {r.fail_info for r in replies if r.status == scep.FAILURE} == {"badRequest"}
    expect_in_all(pair, COPIES - won, "SCEP_CHALLENGE", "ENROLLMENT_STATE")
    issued = pair[0].database.query(
        "SELECT fingerprint, revoked_at FROM certificate WHERE enrollment = (SELECT id FROM "
        f"enrollment WHERE udid = '{walk.device.udid}') AND purpose = '{purpose}'")
    assert won <= len(issued) <= 3
    (live,) = [fingerprint for fingerprint, revoked_at in issued if revoked_at == "0"]
    index = [r.certificate and r.certificate.fingerprint(hashes.SHA256()).hex()
             for r in replies].index(live)
    walk.identity = pair[0].world.maker.store(replies[index].certificate, requests[index].key)
    if purpose == "identity":
        walk.deliver()


def test_scep_with_one_message(pair):
    """A client that sends its message again while the first is under way: one certificate, the
    same for all."""
    walk = pair[0].walk().offer().identify()
    ca_file = pair[0].world.site.ca.cert_file
    request = walk.request()
    message = request.message(walk.scep_challenge, ca_file)
    responses = spread(pair, SCEP + "?operation=PKIOperation", [message] * 20)
    replies = [request.open(r.body, ca_file) for r in responses]
    assert {r.status for r in replies} == {scep.SUCCESS}
    assert len({r.certificate for r in replies}) == 1


def test_phase_3(pair):
    walk = pair[0].walk().offer().identify().certify()
    responses = spread(pair, DEVICE, [walk.phase3_message()] * COPIES)
    assert collections.Counter(r.status for r in responses) == {200: 1, 403: COPIES - 1}
    expect_in_all(pair, COPIES - 1, "ENROLLMENT_STATE")
    (state,) = pair[0].database.query(
        f"SELECT state FROM enrollment WHERE udid = '{walk.device.udid}'")
    assert state == ("delivered",)


def test_database_kinds(pair):
    """The two arrangements are what they are called."""
    kind = SqliteDatabase if len(pair) == 1 else PostgresDatabase
    assert all(isinstance(site.database, kind) for site in pair)
    assert sum(len(site.httpd.children()) for site in pair) == 2
