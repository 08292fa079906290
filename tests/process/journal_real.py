#!/usr/bin/python3
"""The broker's lines in a real systemd-journald, which runs in a mount namespace of this test and keeps nothing.

It needs root, unshare, systemd-journald and journalctl; where one of these is missing it is skipped (77) and says which."""

import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import harness

JOURNALD = "/lib/systemd/systemd-journald"
SOCKETS = "/run/systemd/journal"
SKIPPED, DEADLINE_S = 77, 30.0


def missing():
    """What this machine lacks, or None."""
    if os.geteuid() != 0:
        return "root"
    for program in ("unshare", "mount", "journalctl"):
        if not shutil.which(program):
            return program
    for path in (JOURNALD, "/etc/machine-id", "/etc/systemd/journald.conf"):
        if not os.path.exists(path) or os.path.getsize(path) == 0:
            return path
    probe = subprocess.run(["unshare", "--mount", "true"], capture_output=True, text=True, check=False)
    return probe.stderr.strip() if probe.returncode else None


def wait(what, condition):
    """Asks until condition() is true, and returns what it said."""
    due = time.monotonic() + DEADLINE_S
    while not (found := condition()):
        if time.monotonic() > due:
            raise AssertionError(what)
        select.select([], [], [], 0.02)  # a turn for the others
    return found


def start_journald(folder):
    """In a private /run, with a configuration that keeps the journal in there and leaves the kernel's messages alone."""
    config = os.path.join(folder, "journald.conf")
    with open(config, "w", encoding="ascii") as file:
        file.write("[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nForwardToSyslog=no\nForwardToWall=no\n")
    subprocess.run(["mount", "--bind", config, "/etc/systemd/journald.conf"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run"], check=True)
    os.makedirs(SOCKETS)
    with open(os.path.join(folder, "journald.log"), "wb") as log:
        process = subprocess.Popen([JOURNALD], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   env={"PATH": os.environ["PATH"], "SYSTEMD_LOG_TARGET": "console"}, preexec_fn=end_with_me)
    wait("journald does not listen", lambda: os.path.exists(f"{SOCKETS}/socket") and os.path.exists(f"{SOCKETS}/stdout"))
    return process


def end_with_me():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def start_broker(folder):
    """As systemd starts a service: standard error is a stream to the journal, and JOURNAL_STREAM names it."""
    stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stream.connect(f"{SOCKETS}/stdout")
    stream.sendall(b"from-stderr\n\n6\n1\n0\n0\n0\n")
    about = os.fstat(stream.fileno())
    environment = {**os.environ, **harness.SANITIZERS, "JOURNAL_STREAM": f"{about.st_dev}:{about.st_ino}", "PONS_RUNTIME_DIR": folder,
                   "PONS_STATE_DIR": folder}
    return subprocess.Popen([harness.program("pons-broker"), "--name", "b1", "--listen", f"ipc://{folder}/bus"],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stream, env=environment, preexec_fn=end_with_me)


def entries(*matches):
    """What journalctl finds."""
    done = subprocess.run(["journalctl", "--quiet", "--no-pager", "--output=json", *matches], capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def check(entry, wanted):
    for field, value in wanted.items():
        if entry.get(field) != value:
            raise AssertionError(f"{field} is {entry.get(field)!r}, and not {value!r}: {entry}")


def inside():
    with tempfile.TemporaryDirectory(prefix="pons-") as folder:
        journald = start_journald(folder)
        broker = start_broker(folder)
        try:
            ready, = wait("PONS-BROKER-READY is not in the journal", lambda: entries("PONS_EVENT=PONS-BROKER-READY"))
            check(ready, {"MESSAGE": f"broker b1 listens on ipc://{folder}/bus", "PRIORITY": "6", "SYSLOG_IDENTIFIER": "pons-broker",
                          "_PID": str(broker.pid), "_TRANSPORT": "journal"})
            broker.terminate()
            if broker.wait(DEADLINE_S) != 0:
                raise AssertionError(f"the broker ended with {broker.returncode}")
            wait("the last line is not in the journal", lambda: entries("PONS_EVENT=PONS-BROKER-STOPPING"))
            twice = entries("SYSLOG_IDENTIFIER=from-stderr")
            if [one for one in twice if "[PONS-" in one["MESSAGE"]]:
                raise AssertionError(f"lines came on standard error as well: {twice}")
        finally:
            for process in (broker, journald):
                process.terminate()
                process.wait(DEADLINE_S)
    print("a real journal has the broker's lines, with their fields")


def main():
    if sys.argv[1:] == ["--inside"]:
        inside()
        return 0
    lacking = missing()
    if lacking:
        print(f"skipped: there is no {lacking}")
        return SKIPPED
    return subprocess.run(["unshare", "--mount", "--propagation", "private", sys.executable, __file__, "--inside"], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
