# SPDX-License-Identifier: Apache-2.0
"""httpd's error log, watched: after each test every line of level warn or above must have been
announced by its message id, and every announced id must have come."""

import collections
import contextlib
import re

from . import paths
from .process import wait_until

FORMAT = '"[%{cu}t] [%m:%l] [pid %P] %M"'
_LINE = re.compile(r"^\[[^]]+\] \[[^:\]]*:(?P<level>\w+)\] \[pid \d+\]")
_ID = re.compile(r"\b((?:AH|MDM)\d{4,5})\b")
_BAD = {"warn", "error", "crit", "alert", "emerg"}
# Not of the module, nor of a configuration:
# mod_ssl was built against a newer OpenSSL than the one it finds, which is the state of a machine
# on which Debian's two packages are of different days.
_OF_THE_MACHINE = {"AH01882"}
# A child that is told to end closes the sockets under its workers; one that is about to wait for
# the next request, or for the client to close, then finds its own gone.
_OF_A_STOP = {"AH03092", "AH03093"}


def message_ids():
    """{name: "MDM0123"} of the module's registry."""
    text = paths.MESSAGES.read_text()
    return {name: f"MDM{int(number):04d}"
            for number, name in re.findall(r"^MDM_MESSAGE\((\d+), (\w+),", text, re.M)}


def _bad_lines(text, but):
    bad = []
    for line in text.splitlines():
        match = _LINE.match(line)
        # A line without our prefix is from before the log was set up, or from a library.
        if (match is None or match["level"] in _BAD) and not but & set(_ID.findall(line)):
            bad.append(line)
    return bad


class ErrorLog:
    def __init__(self, path):
        self.path = path
        self._offset = 0
        self._stop = None  # where the log ended when the server was first told to stop
        self._expected = collections.Counter()
        self._at_least = set()
        self._begun = False
        self._from_start = []  # unexpected lines of before the first begin(): nobody announces any

    def expect(self, *ids, times=1):
        """These messages will come, each so often (None: once or more)."""
        for i in ids:
            if times is None:
                self._at_least.add(i)
            else:
                self._expected[i] += times

    def _size(self):
        return self.path.stat().st_size if self.path.exists() else 0

    def text(self):
        """What was logged since begin()."""
        return self._between(self._offset, None)

    def _between(self, begin, end):
        if not self.path.exists():
            return ""
        with open(self.path, "rb") as file:
            file.seek(begin)
            return file.read(None if end is None else max(end - begin, 0)).decode(errors="replace")

    def lines(self, *ids):
        """Lines since begin() with one of these ids."""
        return [line for line in self.text().splitlines() if set(ids) & set(_ID.findall(line))]

    def begin(self):
        if not self._begun:
            self._from_start = _bad_lines(self.text(), _OF_THE_MACHINE)
            self._begun = True
        else:
            self._from_start = []
        self._offset = self._size()
        self._stop = None
        self._expected.clear()
        self._at_least.clear()

    def stopping(self):
        """The server is told to stop now."""
        if self._stop is None:
            self._stop = self._size()

    def _bad(self):
        """Lines at a level that counts."""
        stop = self._size() if self._stop is None else max(self._stop, self._offset)
        return (_bad_lines(self._between(self._offset, stop), _OF_THE_MACHINE) +
                _bad_lines(self._between(stop, None), _OF_THE_MACHINE | _OF_A_STOP))

    def _judge(self):
        """(what is wrong, whether something is still to come)"""
        seen = collections.Counter()
        problems = [f"unexpected, of its start: {line}" for line in self._from_start]
        for line in self._bad():
            announced = [i for i in _ID.findall(line)
                         if i in self._expected or i in self._at_least]
            if announced:
                seen[announced[0]] += 1
            else:
                problems.append(f"unexpected: {line}")
        problems += [f"{i}: expected {n} times, came {seen[i]} times"
                     for i, n in self._expected.items()
                     if i not in self._at_least and seen[i] != n]
        problems += [f"{i}: expected, did not come" for i in self._at_least if not seen[i]]
        return problems, (any(seen[i] < n for i, n in self._expected.items()) or
                          any(not seen[i] for i in self._at_least))

    def wait_for(self, *ids):
        wait_until(lambda: self.lines(*ids), f"{ids} in the error log")

    def verify(self):
        """A list of what is wrong. A line may be written a little after its response; what is too
        much already does not get better by waiting."""
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not self._judge()[1], "the error log", seconds=1.5)
        return self._judge()[0]
