"""Processes of a run: started in one folder, ended by their ids, never left behind.

Each is told by the kernel to die with this one (PR_SET_PDEATHSIG), so not even kill -9 leaves any.
"""
import ctypes
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time

LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


class BenchError(Exception):
    """The run cannot go on; the text says why and what to do."""


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


class Notify:
    """The socket that a program says READY=1 to."""
    count = 0

    def __init__(self, folder):
        Notify.count += 1
        self.path = os.path.join(folder, f"notify{Notify.count}")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.settimeout(0.05)

    def wait(self, proc, timeout_s):
        until = time.monotonic() + timeout_s
        while proc.check() and time.monotonic() < until:
            try:
                if b"READY=1" in self.socket.recv(4096):
                    return
            except TimeoutError:
                pass
        raise BenchError(f"{proc.name}: not ready within {timeout_s:g} s{proc.said()}")


class Proc:
    """One program, with its lines on stdout and its stderr in a file; of a quiet one stdout is there too."""

    def __init__(self, argv, folder, env=None, name=None, notifies=False, quiet=False):
        self.name = name or os.path.basename(argv[0])
        self.notify = Notify(folder) if notifies else None
        self.errors = tempfile.NamedTemporaryFile(dir=folder, prefix=self.name + "-", suffix=".log", delete=False)
        full = dict(os.environ)
        full.update(env or {}, **({"NOTIFY_SOCKET": self.notify.path} if notifies else {}))
        try:
            self.popen = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=self.errors if quiet else subprocess.PIPE,
                                          stderr=self.errors, cwd=folder, env=full, preexec_fn=die_with_parent)
        except OSError as error:
            raise BenchError(f"{argv[0]}: {error.strerror}") from None
        self.pid = self.popen.pid
        self.buffer = b""

    def line(self, timeout_s):
        """The next line of stdout; BenchError when it ends or is silent for so long."""
        until = time.monotonic() + timeout_s
        descriptor = self.popen.stdout.fileno()
        while b"\n" not in self.buffer:
            left = until - time.monotonic()
            if left <= 0 or not select.select([descriptor], [], [], left)[0]:
                raise BenchError(f"{self.name}: no answer within {timeout_s:g} s{self.said()}")
            more = os.read(descriptor, 65536)
            if not more:
                raise BenchError(f"{self.name}: ended with {self.popen.wait()}{self.said()}")
            self.buffer += more
        text, self.buffer = self.buffer.split(b"\n", 1)
        return text.decode()

    def ready(self, timeout_s=20):
        """Waits for the line "ready ..." and gives what stands behind the word; or for READY=1 as under systemd."""
        if self.notify:
            self.notify.wait(self, timeout_s)
            return ""
        text = self.line(timeout_s)
        if text.split(" ")[0] != "ready":
            raise BenchError(f"{self.name}: said {text!r} instead of ready")
        return text[6:]

    def result(self, timeout_s):
        return json.loads(self.line(timeout_s))

    def go(self):
        self.popen.stdin.write(b"go\n")
        self.popen.stdin.flush()

    def check(self):
        """True; BenchError when the process has ended."""
        if self.popen.poll() is not None:
            raise BenchError(f"{self.name}: ended with {self.popen.returncode}{self.said()}")
        return True

    def said(self):
        with open(self.errors.name, "rb") as file:
            tail = file.read()[-600:].decode(errors="replace").strip()
        return "; it said: " + tail if tail else ""

    def stop(self):
        """SIGTERM, and SIGKILL to who is still there 3 s later."""
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(3)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        for stream in filter(None, (self.popen.stdin, self.popen.stdout)):
            try:
                stream.close()
            except OSError:
                pass
        if self.notify:
            self.notify.socket.close()
        self.errors.close()


class Stage:
    """A temporary folder and the processes in it; both are gone when the block is left, however it is left."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="pons-bench-")
        self.procs = []

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        procs, self.procs = self.procs, []
        for proc in reversed(procs):
            if proc.popen.poll() is None:
                proc.popen.terminate()
        for proc in reversed(procs):
            proc.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, argv, env=None, name=None, notifies=False, quiet=False):
        proc = Proc(argv, self.folder, env, name, notifies, quiet)
        self.procs.append(proc)
        return proc

    def path(self, name):
        return os.path.join(self.folder, name)


def free_port():
    """A TCP port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(what, condition, timeout_s=10):
    """Asks `condition` every few milliseconds until it is true; BenchError after so long."""
    until = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until:
            raise BenchError(f"{what}: not within {timeout_s:g} s")
        time.sleep(0.005)


def accepts(family, address):
    """Whether somebody accepts connections there."""
    with socket.socket(family) as probe:
        return probe.connect_ex(address) == 0
