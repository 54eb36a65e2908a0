# SPDX-License-Identifier: Apache-2.0
"""The harness itself: a watch that sees nothing would let every other test pass."""

import pytest

from harness import cms
from harness.log import ErrorLog
from harness.process import run

LINE = "[2026-01-01 00:00:00.000000] [{}] [pid 1] {}\n"


@pytest.fixture
def log(tmp_path):
    log = ErrorLog(tmp_path / "error.log")
    log.begin()
    log.path.write_text(LINE.format("core:error", "AH00001: of the test before"))
    log.begin()
    return log


def test_watch_reports_what_a_start_said(tmp_path):
    """Of a server that is older than the test: to the first test, and to no other."""
    log = ErrorLog(tmp_path / "error.log")
    log.path.write_text(LINE.format("mdm_enroll:warn", "MDM0002: mode"))
    log.begin()
    (problem,) = log.verify()
    assert "of its start" in problem and "MDM0002" in problem
    log.begin()
    assert log.verify() == []


def add(log, level, text):
    with open(log.path, "a") as file:
        file.write(LINE.format(level, text))


def test_watch_accepts_silence_and_notices(log):
    add(log, "mpm_event:notice", "AH00489: configured")
    assert log.verify() == []


@pytest.mark.parametrize("level", ["warn", "error", "crit", "alert", "emerg"])
def test_watch_reports_what_was_not_announced(log, level):
    add(log, f"mdm_enroll:{level}", "MDM0303: state")
    assert len(log.verify()) == 1


def test_watch_reports_what_did_not_come(log):
    log.expect("MDM0303")
    assert log.verify() == ["MDM0303: expected 1 times, came 0 times"]


def test_watch_counts(log):
    log.expect("MDM0303", times=2)
    for _ in range(3):
        add(log, "mdm_enroll:warn", "MDM0303: state")
    assert log.verify() == ["MDM0303: expected 2 times, came 3 times"]


def test_watch_accepts_what_was_announced(log):
    log.expect("MDM0303")
    add(log, "mdm_enroll:warn", "MDM0303: state")
    assert log.verify() == []


def test_watch_knows_what_the_machine_says(log):
    add(log, "ssl:warn", "AH01882: Init: this version of mod_ssl was compiled against a newer library")
    assert log.verify() == []


def test_watch_knows_what_a_stop_says(log):
    """And only behind the stop."""
    line = "AH03093: process_socket: apr_pollset_add failure for keep alive"
    log.stopping()
    add(log, "mpm_event:error", line)
    add(log, "mdm_enroll:error", "MDM0800: cannot sign")
    (problem,) = log.verify()
    assert "MDM0800" in problem
    log.begin()
    add(log, "mpm_event:error", line)
    log.stopping()
    assert len(log.verify()) == 1


@pytest.mark.parametrize("shape", ["openssl", "edited", "own", "plain", "indefinite", "altered"])
def test_crafted_messages_are_what_they_claim(world, shape):
    """openssl accepts every crafted form that is meant to be in order, and only those."""
    leaf, content = world.leaf, b"content"
    der = {
        "openssl": lambda: cms.sign(content, leaf),
        "edited": lambda: cms.edit(cms.sign(content, leaf), lambda signed: None),
        "own": lambda: cms.signed_data(content, leaf, cms.signed_attributes(content, "sha1"),
                                       "sha1"),
        "plain": lambda: cms.sign(content, leaf, attributes=False),
        "indefinite": lambda: cms.sign(content, leaf, extra=["-stream", "-indef"]),
        "altered": lambda: cms.edit_content(cms.sign(content, leaf), lambda c: c + b"!"),
    }[shape]()
    done = run("openssl", "cms", "-verify", "-binary", "-inform", "DER", "-CAfile",
               world.device_ca.cert_file, "-purpose", "any", "-no_check_time", "-partial_chain",
               data=der, ok=False)
    assert (done.returncode == 0) == (shape != "altered")
    assert shape == "altered" or done.stdout == content
