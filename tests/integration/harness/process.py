# SPDX-License-Identifier: Apache-2.0
"""A foreground server that we started, and stop by its pid."""

import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time


def wait_until(condition, what, seconds=15.0):
    """Poll until condition() is true; its value is returned."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds:.0f} s in vain: {what}")
        time.sleep(0.02)


def listens(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


class Failed(AssertionError):
    """A program that ended with another status than 0."""

    def __init__(self, command, done):
        super().__init__(f"{' '.join(str(c) for c in command)}: exit {done.returncode}\n"
                         f"{done.stdout.decode(errors='replace')}"
                         f"{done.stderr.decode(errors='replace')}")
        self.program, self.status = str(command[0]), done.returncode


def run(*command, data=None, ok=True, timeout=120, **options):
    """Run a program to its end; its output is bytes. With ok, a failure is an error that shows
    what the program said (Failed)."""
    done = subprocess.run([str(c) for c in command], input=data, capture_output=True,
                          timeout=timeout, **options)
    if ok and done.returncode != 0:
        raise Failed(command, done)
    return done


def _mortal():
    """Words before a command that let it end with us, even where we are killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []


class Process:
    def __init__(self, command, output, ports, **options):
        self.command = [*_mortal(), *(str(c) for c in command)]
        self.output = pathlib.Path(output)
        self.ports = ports
        self.options = options
        self.terminal = None  # a Terminal that it shall have
        self.popen = None

    @property
    def pid(self):
        return self.popen.pid

    def running(self):
        return self.popen is not None and self.popen.poll() is None

    def start(self):
        with open(self.output, "ab") as output:
            self.popen = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                start_new_session=True, preexec_fn=self.terminal and self.terminal.attach,
                **self.options)
        wait_until(lambda: not self.running() or all(listens(p) for p in self.ports),
                   f"{self.command[0]} on ports {self.ports}")
        if not self.running():
            raise AssertionError(f"{' '.join(self.command)}: exit {self.popen.returncode}\n"
                                 f"{self.output.read_text(errors='replace')}")

    def send(self, number):
        os.kill(self.pid, number)

    def stop(self, number=signal.SIGTERM):
        if not self.running():
            return
        self.send(signal.SIGCONT)
        self.send(number)
        try:
            self.popen.wait(20)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise AssertionError(f"{self.command[0]} did not stop within 20 s") from None


def children(pid):
    """Pids of the children of a process."""
    try:
        return {int(c) for c in
                pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}
    except FileNotFoundError:
        return set()
