# SPDX-License-Identifier: Apache-2.0
"""A terminal for a process, and somebody who types what is asked for there."""

import contextlib
import fcntl
import os
import pty
import termios
import threading
import time


class Terminal:
    """Each question that holds question (bytes), asked without an echo, gets the next of the answers; those that are left
    are in answers, and all that was shown is in shown."""

    def __init__(self, question, *answers):
        self.question = question
        self.answers = list(answers)
        self.shown = b""
        self._controller, self._terminal = pty.openpty()
        self._thread = threading.Thread(target=self._type, daemon=True)
        self._thread.start()

    def attach(self):
        """In the new process, which leads a session of its own."""
        fcntl.ioctl(self._terminal, termios.TIOCSCTTY, 0)

    def _type(self):
        answered = 0
        with contextlib.suppress(OSError, termios.error):
            while True:
                self.shown += os.read(self._controller, 1024)
                asked = self.shown.count(self.question)
                while answered < asked and self.answers:
                    while termios.tcgetattr(self._terminal)[3] & termios.ECHO:
                        time.sleep(0.001)  # what comes before the echo is off would be shown
                    os.write(self._controller, self.answers.pop(0).encode() + b"\n")
                    answered += 1

    def close(self):
        os.close(self._terminal)
        os.close(self._controller)
