# SPDX-License-Identifier: Apache-2.0
"""Free loopback ports. They lie below the range of outgoing connections, and a lock on a file keeps
them ours for the life of this process, so that parallel workers never meet."""

import fcntl
import os
import random
import socket
import tempfile

_held = []
_folder = os.path.join(tempfile.gettempdir(), f"mdm-enroll-ports-{os.geteuid()}")


def free_port():
    os.makedirs(_folder, mode=0o700, exist_ok=True)
    while True:
        port = random.randrange(20000, 32000)
        lock = open(os.path.join(_folder, str(port)), "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            lock.close()
            continue
        _held.append(lock)
        return port


def release_all():
    for lock in _held:
        os.unlink(lock.name)
        lock.close()
    _held.clear()
    try:
        os.rmdir(_folder)
    except OSError:
        pass
