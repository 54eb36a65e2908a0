# SPDX-License-Identifier: Apache-2.0
"""MDMEnrollLimit: what a user may have, held by two processes on SQLite and two httpds on
PostgreSQL, whoever comes at the same moment."""

import collections

import pytest

from harness import paths, slapd
from harness.database import SqliteDatabase
from harness.http import volley
from harness.process import run
from harness.site import DEVICE, ID, Site

LIMIT = 3
DEVICES = 20
TEXT = "Three devices each, bitte schön."
HOURLY, FREE = "hourly.test", "free.test"


def hosts(site):
    at_once = '<Location "/enroll/direct">\nMDMEnrollEndpoint direct\n' + site.authentication
    return (site.tls_vhost(site.HOST, f'MDMEnrollLimit devices {LIMIT} "{TEXT}"\n'
                           f"{at_once}</Location>\n") +
            site.tls_vhost(HOURLY, f"MDMEnrollLimit Hourly {LIMIT}\n") +
            site.tls_vhost(FREE))


@pytest.fixture(scope="module", params=["two processes, SQLite", "two httpds, PostgreSQL"])
def pair(world, request):
    """The sites that the volleys are spread over, the first one first."""
    options = {"vhosts": hosts, "threads": DEVICES + 10, "directory": False}
    if request.param.startswith("two processes"):
        sites = [world.make_site("limits", children=2, **options).start()]
    else:
        database = world.make_database()
        sites = [world.make_site("node", database=database, **options).start() for _ in range(2)]
    yield sites
    for site in sites:
        site.stop()


def change(site, sql):
    """As an administrator, or time, would."""
    if isinstance(site.database, SqliteDatabase):
        site.database.execute(sql)
    else:
        site.database.query(sql)


def offers(site, user, host=None, count=DEVICES):
    """As many devices at the door, all of one user."""
    return [site.walk(user=user, host=host).offer() for _ in range(count)]


def spread(sites, walks, host):
    ports = [sites[i % len(sites)].port for i in range(len(walks))]
    return volley(ports, host, sites[0].world.site.root_file, DEVICE,
                  [walk.phase2_message() for walk in walks])


def expect_in_all(sites, times, name):
    """So many lines in all since this test began, wherever they came."""
    assert sum(len(site.log.lines(ID[name])) for site in sites) == times
    for site in sites:
        site.expect(name, times=None)


def refused(response, name):
    assert (response.status, response.type) == (403, "application/json")
    assert response.json()["code"] == ID[name]
    return response.json()["message"]


def claims(site, kind, user):
    return site.database.query("SELECT place, holder, enrollment FROM claim WHERE "
                               f"kind = '{kind}' AND user_name = '{user}' ORDER BY place")


def revoke(site, *words):
    run(paths.MDM_ADMIN, "revoke", *words, "--store", site.database.store)


def full(pair):
    """The walks of the devices of alice that got in of all that came at one moment: she has as
    many as she may. Whichever test is first has it done."""
    site = pair[0]
    if hasattr(site, "full"):
        return site.full
    walks = offers(site, "alice")
    responses = spread(pair, walks, site.HOST)
    assert collections.Counter(r.status for r in responses) == {200: LIMIT, 403: DEVICES - LIMIT}
    for response in responses:
        if response.status == 403:
            assert refused(response, "LIMIT_DEVICES") == TEXT
    expect_in_all(pair, DEVICES - LIMIT, "LIMIT_DEVICES")
    site.full = [w.take_identity(r) for w, r in zip(walks, responses) if r.status == 200]
    for walk in site.full:
        walk.certify().deliver()
    return site.full


def test_so_many_of_twenty(pair):
    site = pair[0]
    assert len(full(pair)) == LIMIT
    delivered = site.database.query(
        "SELECT udid FROM enrollment WHERE user_name = 'alice' AND state = 'delivered'")
    assert sorted(delivered) == sorted((w.device.udid,) for w in full(pair))
    assert [place for place, *_ in claims(site, "devices", "alice")] == ["1", "2", "3"]
    ((count,),) = site.database.query(
        f"SELECT COUNT(*) FROM enrollment WHERE last_refusal = '{ID['LIMIT_DEVICES']}'")
    assert int(count) == DEVICES - LIMIT


def test_others_have_their_own(pair):
    full(pair)
    pair[-1].walk(user="bob").all()


def test_spelling_makes_no_other_user(pair):
    """The directory lets alice in by other spellings, too."""
    full(pair)
    walk = pair[0].walk(user="alice")
    walk.offer(walk.get_profile(credentials=("ALICE", slapd.password("alice"))))
    refused(walk.post(walk.phase2_message()), "LIMIT_DEVICES")
    pair[0].expect("LIMIT_DEVICES")


def test_same_device_again(pair):
    """At the limit, and all at once: the place is its own. Then a copy of one message: one wins,
    and the others give nothing away."""
    site, mine = pair[-1], full(pair)
    before = claims(site, "devices", "alice")
    again = site.walk(mine[0].device, user="alice").offer().identify().certify().deliver()
    after = claims(site, "devices", "alice")
    assert [c[:2] for c in after] == [c[:2] for c in before]
    assert sum(a != b for a, b in zip(after, before)) == 1  # for the later enrollment

    walk = pair[0].walk(again.device, user="alice").offer()
    responses = volley([pair[i % len(pair)].port for i in range(10)], site.HOST,
                       site.world.site.root_file, DEVICE, [walk.phase2_message()] * 10)
    assert collections.Counter(r.status for r in responses) == {200: 1, 403: 9}
    expect_in_all(pair, 9, "ENROLLMENT_STATE")
    assert claims(site, "devices", "alice") == after


def test_revoked_device_frees_its_place(pair):
    site = pair[0]
    revoke(site, "--device", full(pair)[1].device.serial)
    newcomer = site.walk(user="alice").all()
    assert newcomer.device.udid in [holder for _, holder, _ in claims(site, "devices", "alice")]
    walk = pair[-1].walk(user="alice").offer()
    refused(walk.post(walk.phase2_message()), "LIMIT_DEVICES")
    pair[-1].expect("LIMIT_DEVICES")


def test_device_that_another_user_has_now(pair):
    site = pair[0]
    site.walk(full(pair)[2].device, user="erin").all()
    assert full(pair)[2].device.udid not in [c[1] for c in claims(site, "devices", "alice")]
    site.walk(user="alice").all()
    walk = site.walk(user="alice").offer()
    refused(walk.post(walk.phase2_message()), "LIMIT_DEVICES")
    site.expect("LIMIT_DEVICES")


def test_one_that_gave_up(pair):
    """It counts until its time is over."""
    site = pair[0]
    walks = offers(site, "jürgen", count=LIMIT + 1)
    for walk in walks[:LIMIT]:
        walk.identify()
    message = walks[LIMIT].phase2_message()
    refused(walks[LIMIT].post(message), "LIMIT_DEVICES")
    site.expect("LIMIT_DEVICES")
    change(site, "UPDATE enrollment SET updated_at = 1, expires_at = 2 "
                 f"WHERE udid = '{walks[0].device.udid}'")
    # The same message that was refused.
    walks[LIMIT].take_identity(walks[LIMIT].post(message)).certify().deliver()


def test_profiles_given_out_at_once(pair):
    """Each counts as a device; the page has the text."""
    site = pair[0]
    walk = site.walk(user="bob").offer()
    held = len(claims(site, "devices", "bob"))
    credentials = ("bob", slapd.password("bob"))
    for _ in range(LIMIT - held):
        assert site.curl("/enroll/direct", user=credentials).status == 200
    response = site.curl("/enroll/direct", user=credentials)
    assert response.status == 403 and TEXT in response.body.decode()
    refused(walk.post(walk.phase2_message()), "LIMIT_DEVICES")
    site.expect("LIMIT_DEVICES", times=2)


def test_devices_of_before_the_limit(pair):
    """A site had its devices before it had the directive."""
    site = pair[0]
    mine = [site.walk(user="dave", host=FREE).all() for _ in range(LIMIT)]
    assert not claims(site, "devices", "dave")
    walk = site.walk(user="dave").offer()
    refused(walk.post(walk.phase2_message()), "LIMIT_DEVICES")
    site.expect("LIMIT_DEVICES")
    site.walk(mine[0].device, user="dave").all()
    assert len(claims(site, "devices", "dave")) == 1


def test_hourly(pair):
    site = pair[0]
    walks = offers(site, "jürgen", HOURLY)
    responses = spread(pair, walks, HOURLY)
    assert collections.Counter(r.status for r in responses) == {200: LIMIT, 403: DEVICES - LIMIT}
    for response in responses:
        if response.status == 403:
            refused(response, "LIMIT_HOURLY")
    expect_in_all(pair, DEVICES - LIMIT, "LIMIT_HOURLY")
    assert len(claims(site, "hourly", "jürgen")) == LIMIT

    # Not how many there are now, but how often: the same device counts again, a revoked one does
    # not come back.
    won = next(w for w, r in zip(walks, responses) if r.status == 200)
    revoke(site, "--device", won.device.serial)
    walk = site.walk(won.device, user="jürgen", host=HOURLY).offer()
    refused(walk.post(walk.phase2_message()), "LIMIT_HOURLY")
    logged = DEVICES - LIMIT + 1

    # An hour later; all at once again.
    change(site, "UPDATE claim SET taken_at = taken_at - 3600 WHERE kind = 'hourly'")
    late = [w for w, r in zip(walks, responses) if r.status == 403]
    responses = spread(pair, late, HOURLY)
    assert [r.status for r in responses].count(200) == LIMIT
    expect_in_all(pair, logged + len(late) - LIMIT, "LIMIT_HOURLY")
    assert len(claims(site, "hourly", "jürgen")) == LIMIT


@pytest.mark.parametrize("pair", ["two processes, SQLite"], indirect=True)
def test_lowered_limit(pair):
    """A restart with a lower limit: who is in stays in and may come again, nobody new gets in."""
    site = pair[0]
    site.vhosts = lambda s: hosts(s).replace(f"devices {LIMIT}", "devices 1")
    site.reconfigure()
    site.httpd.graceful()
    full(pair)
    held = claims(site, "devices", "alice")
    assert len(held) == LIMIT
    site.walk(full(pair)[0].device, user="alice").all()
    revoke(site, "--device", full(pair)[0].device.serial)
    walk = site.walk(user="alice").offer()
    refused(walk.post(walk.phase2_message()), "LIMIT_DEVICES")
    site.expect("LIMIT_DEVICES")


# --- the configuration ---------------------------------------------------------------------------


@pytest.mark.parametrize("line, seen", [
    ("users 3", '"users" is not accepted; wanted: devices or hourly'),
    ("devices", "takes two or three arguments"),
    ("devices 0", '"0" is not accepted; wanted: a number from 1 to 10000'),
    ("devices 10001", '"10001" is not accepted; wanted: a number'),
    ("hourly 3x", '"3x" is not accepted; wanted: a number'),
    ("hourly +3", '"+3" is not accepted; wanted: a number'),
    ("hourly -1", '"-1" is not accepted; wanted: a number'),
    ("hourly 18446744073709551617", "is not accepted; wanted: a number"),
    ('devices 3 ""', '"" is not accepted; wanted: a sentence for the user'),
    ('devices 3 "\x01"', "wanted: a sentence for the user"),
])
def test_refused_by_the_test(world, line, seen):
    broken = Site(world, world.new_folder("broken"), directives=f"MDMEnrollLimit {line}\n")
    status, said = broken.httpd.test()
    assert status != 0
    assert "MDMEnrollLimit" in said and seen in said
    assert "httpd.conf" in said
