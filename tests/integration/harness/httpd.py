# SPDX-License-Identifier: Apache-2.0
"""The real httpd with the module: a temporary folder, free ports, event MPM, children as www-data."""

import functools
import os
import pathlib
import re
import signal

from . import log, paths
from .ports import free_port
from .process import Process, children, run, wait_until

MODULES = """mpm_event authn_core authz_core authz_user authz_host authn_file auth_basic auth_form
    request session session_cookie session_crypto ldap authnz_ldap socache_shmcb ssl http2 alias
    env setenvif mime unixd log_config headers watchdog""".split()


@functools.cache
def binary():
    return paths.program("apache2", "httpd")


@functools.cache
def load_modules():
    """LoadModule lines for what is not built in, ours not among them."""
    built_in = set(re.findall(r"^\s*(?:mod_)?(\w+)\.c$",
                              run(binary(), "-l").stdout.decode(), re.M))
    folder = paths.httpd_modules()
    name = {"mpm_event": "mpm_event_module"}
    return "".join(f"LoadModule {name.get(m, m + '_module')} {folder}/mod_{m}.so\n"
                   for m in MODULES if m not in built_in and m.removeprefix("mod_") not in built_in)


def load_more(*names):
    """LoadModule lines of further modules, for a configuration that may have them already."""
    folder = paths.httpd_modules()
    return "".join(f"<IfModule !{n}_module>\nLoadModule {n}_module {folder}/mod_{n}.so\n</IfModule>\n"
                   for n in names)


# Every server that runs; the log of each is watched (conftest.py).
running = []


class Httpd:
    """config is the text behind what every server needs; {port} numbers are the caller's."""

    def __init__(self, folder, config, *, ports, children=1, threads=25, module=True, environ=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        self.state = self.folder / "state"
        self.state.mkdir(exist_ok=True)
        self.user = paths.web_user()
        os.chown(self.state, self.user.pw_uid, self.user.pw_gid)
        self.state.chmod(0o700)
        self.config_file = self.folder / "httpd.conf"
        self.log = log.ErrorLog(self.folder / "error.log")
        self.access_file = self.folder / "access.log"
        self.ports = list(ports)
        self._head = (
            f"ServerRoot {self.folder}\n"
            "ServerName 127.0.0.1\n" + load_modules() +
            (f"LoadModule mdm_enroll_module {paths.MODULE}\n" if module else "") +
            (f"User {self.user.pw_name}\nGroup #{self.user.pw_gid}\n" if paths.ROOT else "") +
            f"PidFile {self.folder}/httpd.pid\n"
            f"DefaultRuntimeDir {self.folder}\n"
            f"ErrorLog {self.folder}/error.log\n"
            f"ErrorLogFormat {log.FORMAT}\n"
            "LogLevel info\n"
            'LogFormat "%P %>s %m %U phase=%<{MDM_PHASE}e enrollment=%<{MDM_ENROLLMENT}e '
            'user=%<{MDM_USER}e udid=%<{MDM_UDID}e serial=%<{MDM_SERIAL}e result=%<{MDM_RESULT}e '
            'certificate=%<{MDM_CERTIFICATE}e" facts\n'
            f"CustomLog {self.access_file} facts\n"
            # A child that has a request to finish keeps its slot beside its successor; as many as
            # are wanted run for all that (MaxRequestWorkers).
            f"StartServers {children}\nServerLimit {2 * children}\n"
            f"ThreadsPerChild {threads}\nThreadLimit {threads}\n"
            f"MaxRequestWorkers {children * threads}\n"
            f"MinSpareThreads 1\nMaxSpareThreads {children * threads}\n"
            f"Mutex file:{self.folder} default\n"
            f"SSLSessionCache shmcb:{self.folder}/ssl-sessions(64000)\n"
            "TypesConfig /dev/null\n"
            "GracefulShutdownTimeout 10\n" +
            "".join(f"Listen 127.0.0.1:{p}\n" for p in self.ports))
        self.configure(config)
        self.environ = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", **(environ or {})}
        # No test cuts the power, and how fast a disk on which compilers write, too, comes to rest is
        # not the question: without waiting for it.
        self.process = Process(
            [paths.program("eatmydata"), "--", binary(), "-d", self.folder, "-f", self.config_file,
             "-D", "FOREGROUND"], self.folder / "httpd.out", self.ports, env=self.environ)

    def configure(self, config):
        """Write the configuration; it counts from the next start or graceful restart on."""
        self.config_file.write_text(self._head + config)

    def test(self):
        """httpd -t: (exit status, what it said)."""
        done = run(binary(), "-d", self.folder, "-f", self.config_file, "-t", ok=False,
                   env=self.environ)
        return done.returncode, (done.stdout + done.stderr).decode(errors="replace")

    def start(self):
        running.append(self)
        self.process.start()
        wait_until(lambda: "AH00489" in self.log.text() or not self.process.running(),
                   "httpd is up")
        # It listens before the modules have looked at what they were given.
        if not self.process.running():
            raise AssertionError(f"httpd did not start:\n{self.log.text()}")
        return self

    def stop(self):
        if self.process.running():
            self.log.stopping()
        self.process.stop()

    def children(self):
        return children(self.process.pid)

    def graceful(self):
        """Restart gracefully and wait until the children of before are gone."""
        before = self.children()
        self.process.send(signal.SIGUSR1)
        wait_until(lambda: self.children() and not self.children() & before,
                   "new children after a graceful restart", seconds=30)
        wait_until(lambda: self.log.lines("AH00493"), "the restart in the error log")

    def access_lines(self):
        """httpd writes a line when it has sent the response: look with wait_until."""
        return self.access_file.read_text().splitlines() if self.access_file.exists() else []


def two_ports():
    return free_port(), free_port()
