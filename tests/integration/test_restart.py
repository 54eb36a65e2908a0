# SPDX-License-Identifier: Apache-2.0
"""Restarts, graceful and full, between the steps of an enrollment and within one; whose key signs
before and after; and what is left when a child is killed."""

import collections
import concurrent.futures
import contextlib
import http.client
import os
import shutil
import signal
import sqlite3
import threading

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from harness import pki, scep
from harness.database import states
from harness.http import connection
from harness.process import Failed, wait_until
from harness.site import DEVICE, certificate, endpoints, vhost

STEPS = ["offer", "identify", "certify", "deliver", "certify"]
CLIENTS = 8
# Nobody has more open enrollments than MDM_MAX_OFFERED.
USERS = ["alice", "bob", "dave", "erin"]


def facts(site, udid):
    """(state, purposes of the certificates) of a device."""
    ((enrollment, state),) = site.database.query(
        f"SELECT id, state FROM enrollment WHERE udid = '{udid}'")
    return state, sorted(purpose for purpose, in site.database.query(
        f"SELECT purpose FROM certificate WHERE enrollment = '{enrollment}'"))


# --- between two steps ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def restarted(world):
    site = world.make_site("restarted").start()
    yield site
    site.stop()


def stop_and_start(httpd):
    httpd.stop()
    httpd.start()


@pytest.mark.parametrize("after", range(1, len(STEPS)), ids=lambda i: f"after-{i}-{STEPS[i - 1]}")
@pytest.mark.parametrize("restart", ["graceful", "full"])
def test_restart_between(restarted, restart, after):
    walk = restarted.walk()
    for step in STEPS[:after]:
        getattr(walk, step)()
    before = restarted.httpd.children()
    if restart == "graceful":
        restarted.httpd.graceful()
    else:
        stop_and_start(restarted.httpd)
    assert not before & restarted.httpd.children()
    for step in STEPS[after:]:
        getattr(walk, step)()
    assert facts(restarted, walk.device.udid) == ("delivered", ["identity", "mdm"])


def begin_post(site, message):
    """A POST of which the last byte has yet to come."""
    link = connection(site.port, site.HOST, site.world.site.root_file)
    link.connect()
    link.putrequest("POST", DEVICE)
    link.putheader("Content-Length", str(len(message)))
    link.endheaders()
    link.send(message[:-1])
    return link


def test_graceful_within_a_request(restarted):
    """A request that was under way is served to its end by the children of before."""
    walk = restarted.walk().offer()
    message = walk.phase2_message()

    def served():
        return [line for line in restarted.httpd.access_lines()
                if f"udid={walk.device.udid}" in line]
    before = restarted.httpd.children()
    with contextlib.closing(begin_post(restarted, message)) as link:
        restarted.httpd.process.send(signal.SIGUSR1)
        wait_until(lambda: restarted.httpd.children() - before, "new children")
        assert restarted.httpd.children() & before
        link.send(message[-1:])
        response = link.getresponse()
        assert (response.status, bool(response.read())) == (200, True)
    wait_until(served, "the access log")
    assert int(served()[0].split()[0]) in before
    wait_until(lambda: not restarted.httpd.children() & before, "the end of the old children")


# --- whose key signs -----------------------------------------------------------------------------


def common_name(cert):
    (name,) = cert.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return name.value


def renewed_host(site):
    world, folder = site.world, site.folder
    install(site, world.site.server("renewed.test"))
    return vhost(site.port, "renewed.test",
                 f"SSLEngine on\nSSLCertificateFile {folder}/renewed.pem\n"
                 f"SSLCertificateKeyFile {folder}/renewed.key\n" +
                 endpoints(site.authentication)) + site.tls_vhost("other.test")


def install(site, identity):
    """As certificate tools do: in place, under the names that httpd.conf has."""
    shutil.copy(site.world.bundle(identity), site.folder / "renewed.pem")
    shutil.copy(identity.key_file, site.folder / "renewed.key")


def test_renewed_certificate(own_site, world):
    site = own_site(vhosts=renewed_host).start()
    old = world.site.server("renewed.test")
    new = world.site.pki.server("renewed.test", world.site.intermediate)
    walk = site.walk(host="renewed.test").offer()
    assert walk.verified[1].signer == old.cert

    install(site, new)
    assert site.walk(host="renewed.test").offer().verified[1].signer == old.cert
    site.httpd.graceful()

    walk.identify().certify().deliver()
    assert walk.verified[2].signer == walk.verified[3].signer == new.cert
    assert common_name(site.walk(host="other.test").offer().verified[1].signer) == "other.test"


HOSTS = ["one.test", "two.test", "both.test"]


def three_hosts(site):
    """Everything of ours in the main server; the hosts have TLS and nothing else."""
    server = site.world.site.server
    keys = {"one.test": [server("one.test")], "two.test": [server("two.test", "p256")],
            "both.test": [server("both.test", "p256"), server("both.test")]}
    return endpoints(site.authentication) + "".join(
        vhost(site.port, host, certificate(*keys[host],
                                           chain=site.world.site.intermediate.cert_file))
        for host in HOSTS)


@pytest.fixture(scope="module")
def keys_apart(world):
    site = world.make_site("keys", vhosts=three_hosts, children=2).start()
    yield site
    site.stop()


@pytest.mark.parametrize("host", HOSTS)
def test_own_key_in_each_phase(keys_apart, host):
    walk = keys_apart.walk(host=host).offer().identify().certify().deliver()
    signers = [verified.signer for verified in walk.verified.values()]
    assert [common_name(s) for s in signers] == [host] * 3
    # RSA where there is a choice.
    assert isinstance(signers[0].public_key(), rsa.RSAPublicKey) == (host != "two.test")


@pytest.mark.parametrize("graceful", [False, True], ids=["steady", "across a graceful restart"])
def test_own_key_under_load(keys_apart, graceful):
    rounds = 6
    reached = threading.Semaphore(0)
    restarted = threading.Event()
    if not graceful:
        restarted.set()

    def client(number):
        """So many rounds, and on until the restart is over."""
        found = []
        while len(found) < rounds or not restarted.is_set():
            host = HOSTS[(number + len(found)) % len(HOSTS)]
            walk = keys_apart.walk(host=host, user=USERS[number % len(USERS)])
            found.append((host, common_name(walk.offer().verified[1].signer)))
            reached.release()
        return found

    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
        clients = [pool.submit(client, n) for n in range(CLIENTS)]
        if graceful:
            try:
                for _ in range(2 * CLIENTS):
                    assert reached.acquire(timeout=60)
                keys_apart.httpd.graceful()
            finally:
                restarted.set()
        seen = collections.Counter(pair for c in clients for pair in c.result())
    assert set(seen) == {(host, host) for host in HOSTS}
    assert min(seen.values()) >= CLIENTS * rounds // len(HOSTS)


# --- a child dies --------------------------------------------------------------------------------


def consistent(database):
    """What must hold whatever was cut off where."""
    with contextlib.closing(sqlite3.connect(database.path, timeout=10)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    purposes = collections.defaultdict(list)
    for table in ("challenge", "certificate"):
        for enrollment, purpose in database.query(f"SELECT enrollment, purpose FROM {table}"):
            purposes[table, enrollment].append(purpose)
    rows = states(database)
    for enrollment, state in rows.items():
        spent = sorted(purposes["challenge", enrollment])
        issued = sorted(purposes["certificate", enrollment])
        # An offer that is cut off between its two rows is one that nobody has seen.
        assert spent.count("device") == 1 or (state == "offered" and not spent)
        if state in ("identifying", "identified", "delivered"):
            assert "identity" in spent, state
        if state in ("identified", "delivered"):
            assert issued[:1] == ["identity"], state
        if state == "delivered":
            assert "mdm" in spent
        else:
            assert "mdm" not in issued, state
        assert len(issued) == len(set(issued)), "two certificates for one purpose"
    return rows


# What curl says of a connection that ended too soon: in the handshake (35), before the answer (52),
# while it sent (55), while it received: a part is missing (18), or the connection was reset (56).
CUT_OFF = {18, 35, 52, 55, 56}


def test_killed_children(own_site, world):
    """Both children are killed, one after the other, while eight clients enroll and one message
    is half sent. Who is cut off begins again; nobody else notices."""
    site = own_site(children=2).start()
    parent = site.httpd.process.pid
    children = site.httpd.children()
    over, cut = threading.Event(), []

    def client():
        key, finished = pki.make_key(), []
        while not over.is_set() or not finished:
            walk = site.walk()
            walk.request = lambda: scep.Request.make(world.scratch, key)
            try:
                finished.append(walk.all().device.udid)
            except Failed as error:
                if error.program != "curl" or error.status not in CUT_OFF:
                    raise
                cut.append(error)
        return finished

    held = site.walk().offer()
    message = held.phase2_message()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool, \
            contextlib.closing(begin_post(site, message)) as link:
        clients = [pool.submit(client) for _ in range(CLIENTS)]
        try:
            for child in sorted(children):
                goal = count(site) + 2
                wait_until(lambda: count(site) >= goal, "some enrollments", seconds=60)
                kill(site, child)
            with pytest.raises((http.client.HTTPException, OSError)):
                link.send(message[-1:])
                link.getresponse()
        finally:
            over.set()
        finished = [udid for c in clients for udid in c.result()]

    assert site.httpd.process.running() and site.httpd.process.pid == parent
    assert not children & site.httpd.children()
    assert len(finished) >= CLIENTS
    assert len(cut) <= len(children) * CLIENTS, "each client has one request at a time"
    rows = consistent(site.database)
    for udid in finished:
        assert facts(site, udid) == ("delivered", ["identity", "mdm"])
    assert len(rows) <= len(finished) + len(cut) + 1
    # What was cut off within its message changed nothing: the same message enrolls.
    held.identify().certify().deliver()


def count(site):
    return list(states(site.database).values()).count("delivered")


def kill(site, child):
    os.kill(child, signal.SIGKILL)
    wait_until(lambda: child not in site.httpd.children(), "the end of the child")
