# SPDX-License-Identifier: Apache-2.0
"""httpd's error log, watched: after each test every line of level warn or above must have been
announced by its message id, and every announced id must have come."""

import collections
import re

from . import paths
from .process import wait_until

FORMAT = '"[%{cu}t] [%m:%l] [pid %P] %M"'
_LINE = re.compile(r"^\[[^]]+\] \[[^:\]]*:(?P<level>\w+)\] \[pid \d+\]")
_ID = re.compile(r"\b((?:AH|MDM)\d{4,5})\b")
_BAD = {"warn", "error", "crit", "alert", "emerg"}


def message_ids():
    """{name: "MDM0123"} of the module's registry."""
    text = paths.MESSAGES.read_text()
    return {name: f"MDM{int(number):04d}"
            for number, name in re.findall(r"^MDM_MESSAGE\((\d+), (\w+),", text, re.M)}


class ErrorLog:
    def __init__(self, path):
        self.path = path
        self._offset = 0
        self._expected = collections.Counter()
        self._at_least = set()

    def expect(self, *ids, times=1):
        """These messages will come, each so often (None: once or more)."""
        for i in ids:
            if times is None:
                self._at_least.add(i)
            else:
                self._expected[i] += times

    def text(self):
        """What was logged since begin()."""
        if not self.path.exists():
            return ""
        with open(self.path, "rb") as file:
            file.seek(self._offset)
            return file.read().decode(errors="replace")

    def lines(self, *ids):
        """Lines since begin() with one of these ids."""
        return [line for line in self.text().splitlines() if set(ids) & set(_ID.findall(line))]

    def begin(self):
        self._offset = self.path.stat().st_size if self.path.exists() else 0
        self._expected.clear()
        self._at_least.clear()

    def _bad(self):
        bad = []
        for line in self.text().splitlines():
            match = _LINE.match(line)
            # A line without our prefix is from before the log was set up, or from a library.
            if match is None or match["level"] in _BAD:
                bad.append(line)
        return bad

    def _judge(self):
        seen = collections.Counter()
        problems = []
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
        return problems

    def wait_for(self, *ids):
        wait_until(lambda: self.lines(*ids), f"{ids} in the error log")

    def verify(self):
        """A list of what is wrong. A line may be written a little after its response."""
        try:
            wait_until(lambda: not self._judge(), "the error log", seconds=1.5)
        except AssertionError:
            pass
        return self._judge()
