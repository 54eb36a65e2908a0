# SPDX-License-Identifier: Apache-2.0
"""MDMEnrollSerials: devices by their serial numbers, from files that change and by queries."""

import os
import re
import time

import pytest

from harness import paths, scep
from harness.database import unchanged
from harness.site import ID, Site

OWNED, STOLEN, LENT = "F0000OWNED1", "F000STOLEN1", "F0000LENT01"
NOT_OURS, LOST = "This device is not the company's.", "Report this device to the help desk."
SQL = "sql.test"


def write(path, text):
    """As an administrator should: at once."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(0o644)
    os.replace(new, path)


def seen_soon():
    """A change is looked for once a second."""
    time.sleep(1.05)


@pytest.fixture(scope="module")
def lists(world):
    folder = world.new_folder("lists")
    allow, deny = folder / "owned.txt", folder / "stolen.txt"
    write(allow, f"\ufeff# what we own\n\n  {OWNED.lower()}\t# bob's\r\n{STOLEN}\nX1\n")
    write(deny, f"{STOLEN}")
    site = world.make_site("lists", directory=False, directives=(
        f'MDMEnrollSerials deny file:{deny} "{LOST}"\n'), vhosts=lambda s: (
            s.tls_vhost(s.HOST, f'MDMEnrollSerials allow file:{allow} "{NOT_OURS}"\n'
                                "MDMEnrollRenewal 3650d\n") +
            s.tls_vhost(SQL, 'MDMEnrollSerials Allow "sql: select 1 FROM inventory WHERE '
                             'serial = %s AND owner <> \'nobody?\' LIMIT 1"\n'
                             'MDMEnrollSerials deny "sql:SELECT 1 FROM loan WHERE serial = %s OR '
                             f'old = upper(%s)" "{LOST}"\n')))
    site.allow, site.deny = allow, deny
    # The test of the whole configuration, as the run-time user's files are.
    assert site.httpd.test() == (0, "Syntax OK\n")
    site.start()
    site.walk(world.device(SERIAL=OWNED)).offer()  # makes the tables
    site.database.execute("CREATE TABLE inventory (serial TEXT, owner TEXT)")
    site.database.execute("CREATE TABLE loan (serial TEXT, old TEXT)")
    site.database.execute("INSERT INTO inventory VALUES (?, 'x')", OWNED)
    site.database.execute("INSERT INTO inventory VALUES (?, 'x')", LENT)
    site.database.execute("INSERT INTO loan VALUES ('', ?)", LENT)
    yield site
    site.stop()


def walk_of(site, serial, **options):
    return site.walk(site.world.device(SERIAL=serial), **options)


def attempt(site, serial, **options):
    walk = walk_of(site, serial, **options).offer()
    return walk.post(walk.phase2_message())


def refused(site, response):
    site.expect("SERIAL_REFUSED")
    assert (response.status, response.json()["code"]) == (403, ID["SERIAL_REFUSED"])
    return response.json()["message"]


def not_known(site, response, why):
    """Whether the device is on the list cannot be found out."""
    site.expect("SERIAL_LIST")
    assert response.status == 503
    site.log.wait_for(ID["SERIAL_LIST"])
    assert re.search(why, site.log.lines(ID["SERIAL_LIST"])[-1])


def test_on_the_list(lists):
    walk_of(lists, OWNED).all()
    walk_of(lists, OWNED.lower()).offer().identify()


def test_on_no_list(lists):
    assert refused(lists, attempt(lists, "F000FOREIGN")) == NOT_OURS
    assert (ID["SERIAL_REFUSED"],) in lists.database.query("SELECT last_refusal FROM enrollment")
    lists.log.wait_for(ID["SERIAL_REFUSED"])
    assert "F000FOREIGN" in lists.log.text() and str(lists.allow) in lists.log.text()


@pytest.mark.parametrize("serial", ["F0000OWNED", "F0000OWNED12", "bob's"])
def test_not_by_a_part(lists, serial):
    refused(lists, attempt(lists, serial))


def test_denied_though_allowed(lists):
    """By the main server, of all virtual hosts."""
    for host in (None, SQL):
        assert refused(lists, attempt(lists, STOLEN, host=host)) == LOST


def test_by_query(lists):
    walk_of(lists, OWNED, host=SQL).all()
    assert refused(lists, attempt(lists, "x' OR '1'='1".replace(" ", ""), host=SQL)) != LOST
    assert refused(lists, attempt(lists, LENT, host=SQL)) == LOST


def test_query_that_fails(lists):
    lists.database.execute("ALTER TABLE loan RENAME TO loan_2")
    walk = walk_of(lists, OWNED, host=SQL).offer()
    message = walk.phase2_message()
    with unchanged(lists.database):
        not_known(lists, walk.post(message), "MDMEnrollSerials deny sql .*: no such table")
    lists.database.execute("ALTER TABLE loan_2 RENAME TO loan")
    walk.take_identity(walk.post(message)).certify().deliver()


def test_changes_without_a_restart(lists):
    """And in phase 3, and for a renewal."""
    before = lists.allow.read_text()
    refused(lists, attempt(lists, "F0000NEW001"))
    write(lists.allow, before + "F0000NEW001\n")
    seen_soon()
    enrolled = walk_of(lists, "F0000NEW001").all()
    walk = walk_of(lists, "F0000NEW001").offer().identify().certify()
    message = walk.phase3_message()
    write(lists.allow, before)
    seen_soon()
    assert refused(lists, walk.post(message)) == NOT_OURS
    renewal = scep.Request(enrolled.identity, "renewal")
    ca_file = lists.world.site.ca.cert_file
    message = renewal.message(None, ca_file, message_type="17",
                              request=scep.csr(renewal.key))
    assert renewal.open(lists.post_scep(message).body, ca_file).status == scep.FAILURE
    lists.expect("SERIAL_REFUSED")
    write(lists.allow, before + "F0000NEW001\n")
    seen_soon()
    assert renewal.open(lists.post_scep(message).body, ca_file).status == scep.SUCCESS


def test_broken_file_heals(lists):
    """The list of before is not used meanwhile: nobody could tell what is missing in it."""
    before = lists.allow.read_text()
    walk = walk_of(lists, OWNED).offer()
    message = walk.phase2_message()
    lists.allow.unlink()
    seen_soon()
    with unchanged(lists.database):
        not_known(lists, walk.post(message), "owned.txt cannot be opened: No such file")
    write(lists.allow, f"{OWNED}\nF2,iPhone\n")
    seen_soon()
    not_known(lists, walk.post(message), 'line 2 of .*owned.txt is "F2,iPhone"')
    write(lists.allow, before)
    seen_soon()
    walk.take_identity(walk.post(message))


def test_broken_deny_list_lets_nobody_in(lists):
    write(lists.deny, "")
    seen_soon()
    not_known(lists, attempt(lists, OWNED), "stolen.txt is empty")
    write(lists.deny, "# none\n")
    seen_soon()
    walk_of(lists, STOLEN).offer().identify()
    write(lists.deny, STOLEN)


# --- the configuration ---------------------------------------------------------------------------

FILES = {"empty": "", "none": "# nothing\n", "table": "F1\nF2;x\n", "locked": "F1\n"}


@pytest.mark.parametrize("line, seen, wanted", [
    ("permit file:/x", '"permit" is not accepted', "wanted: allow or deny"),
    ("allow /x", '"/x" is not accepted', "wanted: file:/path"),
    ("allow file:", '"file:" is not accepted', "wanted: file:/path"),
    ("allow", "takes two or three arguments", "MDMEnrollSerials"),
    ('allow file:{none} ""', '"" is not accepted', "wanted: a sentence for the user"),
    ("allow file:{folder}/missing", "missing cannot be opened", "No such file"),
    ("allow file:{folder}", "is not a file", "{folder}"),
    ("allow file:{none}", "there is no serial number in {none}", "write one in each line"),
    ("deny file:{empty}", "{empty} is empty", "has a comment (#)"),
    ("deny file:{table}", 'line 2 of {table} is "F2;x"', "wanted is one serial number"),
    ("allow file:{locked}", "cannot read the list {locked}", "let that user read it"),
    ('deny "sql:DELETE FROM x WHERE y = %s"', "it does not begin with SELECT", "wanted: file:"),
    ('deny "sql:SELECTED %s"', "it does not begin with SELECT", "wanted: file:"),
    ('deny "sql:"', "it does not begin with SELECT", "wanted: file:"),
    ('deny "sql:SELECT 1 FROM x"', "there is no %s in it", "WHERE column = %s"),
    ('deny "sql:SELECT 1 FROM x WHERE y LIKE %s || \'%\'"', 'there is "%\'" in it', "wanted:"),
    ('deny "sql:SELECT 1 FROM x WHERE y = \'%s\'"', "%s stands in quotes", "leave the quotes out"),
    ('deny "sql:SELECT 1 FROM x WHERE y = %s AND z = ?"', 'there is a "?" outside', "wanted:"),
    ('deny "sql:SELECT 1 FROM x WHERE y = %s AND z = \'"', "is not closed", "wanted:"),
])
def test_refused_by_the_test(world, line, seen, wanted):
    folder = world.new_folder("broken")
    names = {"folder": folder}
    for name, text in FILES.items():
        names[name] = folder / name
        names[name].write_text(text)
        names[name].chmod(0o600 if name == "locked" else 0o644)
    if "{locked}" in seen and not paths.ROOT:
        pytest.skip("only root can test for another user")
    line, seen, wanted = (text.format(**names) for text in (line, seen, wanted))
    broken = Site(world, folder, directives=f"MDMEnrollSerials {line}\n")
    status, said = broken.httpd.test()
    assert status != 0
    assert seen in said and wanted in said
    assert "MDMEnrollSerials" in said and "httpd.conf" in said


def test_not_with_the_endpoint_direct(lists):
    """At a start, too: nothing but a change of the configuration helps."""
    config = lists.httpd.config_file.read_text()
    direct = f'<Location "/direct">\nMDMEnrollEndpoint direct\n{lists.authentication}</Location>\n'
    try:
        lists.httpd.config_file.write_text(config.replace("MDMEnrollRenewal", direct +
                                                          "MDMEnrollRenewal"))
        status, said = lists.httpd.test()
    finally:
        lists.httpd.config_file.write_text(config)
    assert status != 0
    assert "the endpoint direct knows no serial number" in said and "different vhosts" in said
