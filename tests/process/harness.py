"""What the process tests are written with: spawn the real programs, wait until they say READY, signal them, end them.

Every process that a test starts is ended by its pid and every folder removed, also when the test fails; then the logs of
the processes are printed. Nothing sleeps: each wait is for a message, a signal of readiness or an exit, with a deadline.
The build folder comes from PONS_BUILD."""

import functools
import json
import os
import random
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.dont_write_bytecode = True
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(TESTS, "peers"))

from pons_peer import Peer, RemoteError, method, service  # noqa: E402,F401  (given on to the tests)
from pons_wire import Flag, Kind, Status  # noqa: E402,F401
import msgpack  # noqa: E402
import zmq  # noqa: E402,F401

BUILD = os.environ.get("PONS_BUILD", os.path.join(os.path.dirname(TESTS), "build", "dev"))
BIN = os.path.join(BUILD, "bin")
DEADLINE_S = 30.0  # for everything that a process must do at some time; only a failure waits so long
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:exitcode=99", "UBSAN_OPTIONS": "print_stacktrace=1",
              "TSAN_OPTIONS": f"exitcode=99:suppressions={os.path.join(TESTS, 'tsan.supp')}"}
FINDINGS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:", "Assertion")

# Python peers answer PINGs only when a test reads, so life signs are slow unless a test is about them.
SLOW_HEARTBEATS = {"PONS_BROKER_HEARTBEAT_INTERVAL_MS": "20000", "PONS_BROKER_HEARTBEAT_TIMEOUT_MS": "60000",
                   "PONS_BROKER_HEARTBEAT_IDLE_MS": "60000"}
QUICK_HEARTBEATS = {"PONS_BROKER_HEARTBEAT_INTERVAL_MS": "50", "PONS_BROKER_HEARTBEAT_TIMEOUT_MS": "150",
                    "PONS_BROKER_HEARTBEAT_IDLE_MS": "500"}
# For tests that freeze a process of a busy fleet: one that merely waits for its processor is not taken for dead.
PATIENT_HEARTBEATS = {"PONS_BROKER_HEARTBEAT_INTERVAL_MS": "100", "PONS_BROKER_HEARTBEAT_TIMEOUT_MS": "700",
                      "PONS_BROKER_HEARTBEAT_IDLE_MS": "60000"}


def program(name):
    return os.path.join(BIN, name)


@functools.cache
def sanitized():
    """Whether the programs are built with a sanitizer: then memory says nothing, and crashes are the sanitizer's."""
    with open(program("pons-broker"), "rb") as file:
        data = file.read()
    return b"__asan_init" in data or b"__tsan_init" in data


def has(name):
    """Whether this program is built."""
    return os.path.exists(program(name))


class NotifySocket:
    """The receiving end of sd_notify(3)."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self.socket.bind(path)
        self.lines = []

    def wait(self, line, process):
        """Waits for a line such as READY=1; False when the process ends or the time is over first."""
        due = time.monotonic() + DEADLINE_S
        self.socket.settimeout(0.2)
        while line not in self.lines:
            if time.monotonic() > due or (process.poll() is not None and not self._readable()):
                return False
            try:
                self.lines += self.socket.recv(65536).decode().split("\n")
            except TimeoutError:
                continue
        return True

    def _readable(self):
        self.socket.setblocking(False)
        try:
            return bool(self.socket.recv(1, socket.MSG_PEEK))
        except BlockingIOError:
            return False
        finally:
            self.socket.settimeout(0.2)

    def close(self):
        self.socket.close()


class Program:
    """A process that a test has started."""

    def __init__(self, case, name, arguments, environment=None, nofile=None, ready=True):
        self.case, self.name = case, name
        number = len(case.programs)
        self.log_path = os.path.join(case.folder, f"{number}-{os.path.basename(name)}.log")
        self.notify = NotifySocket(os.path.join(case.folder, f"n{number}.sock"))
        own = {**os.environ, **SANITIZERS, "NOTIFY_SOCKET": self.notify.path, "PONS_RUNTIME_DIR": case.folder,
               "PONS_STATE_DIR": case.folder, **(environment or {})}
        self.expects = (0,)
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [name, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=own, cwd=case.folder,
                preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (nofile, nofile))) if nofile else None)
        case.programs.append(self)
        if ready and not self.notify.wait("READY=1", self.process):
            raise AssertionError(f"{name} did not become ready: {self.log()}")

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def signal(self, number):
        self.process.send_signal(number)

    def terminate(self):
        self.signal(signal.SIGTERM)

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def kill(self):
        """kill -9, and the body is buried."""
        self.expects = (-signal.SIGKILL,)
        self.process.kill()
        self.process.wait(DEADLINE_S)

    def wait(self, timeout_s=DEADLINE_S):
        """The exit status."""
        return self.process.wait(timeout_s)

    @property
    def alive(self):
        return self.process.poll() is None

    def end(self):
        """Ends the process whatever state it is in: asked twice, then killed. Returns what was wrong with it, or None."""
        self.notify.close()
        if self.alive:
            self.thaw()
        for _ in range(2):
            if self.alive:
                self.terminate()
                try:
                    self.process.wait(5)
                except subprocess.TimeoutExpired:
                    pass
        if self.alive:
            self.process.kill()
            self.process.wait()
            return f"{self.name} did not end when it was asked to"
        found = [word for word in FINDINGS if word in self.log()]
        if found or self.process.returncode not in self.expects:
            return f"{self.name} ended with {self.process.returncode} {found}"
        return None


class Fleet(unittest.TestCase):
    """A test with a folder of its own, a broker, peers and programs, all gone afterwards."""

    ENVIRONMENT = SLOW_HEARTBEATS
    BROKER = True  # whether setUp starts one

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="pons-")
        self.programs, self.peers = [], []
        self.endpoint = f"ipc://{self.folder}/bus"
        self.addCleanup(self._clean_up)
        if self.BROKER:
            self.broker = self.start_broker()

    def _clean_up(self):
        for peer in self.peers:
            peer.close()
        wrong = [fault for fault in [one.end() for one in reversed(self.programs)] if fault]
        logs = [f"--- {one.name} {one.pid}\n{one.log()}" for one in self.programs]
        shutil.rmtree(self.folder, ignore_errors=True)
        failed = wrong or any(error for _, error in getattr(self._outcome, "errors", [])) or self._failed_so_far()
        if failed:
            print(*logs, sep="\n", file=sys.stderr)
        if wrong:
            raise AssertionError("; ".join(wrong))

    def _failed_so_far(self):
        result = getattr(self._outcome, "result", None)
        return any(case is self for case, _ in getattr(result, "failures", []) + getattr(result, "errors", []))

    # --- processes ---

    def start(self, name, *arguments, **options):
        return Program(self, program(name) if "/" not in name else name, arguments, **options)

    def start_broker(self, *arguments, endpoints=None, environment=None, config=None, name="b1", **options):
        """A broker at self.endpoint, or at endpoints, that is ready."""
        listen = [word for endpoint in endpoints or [self.endpoint] for word in ("--listen", endpoint)]
        if config:
            path = os.path.join(self.folder, "pons.yaml")
            with open(path, "w", encoding="utf-8") as file:
                file.write(config)
            listen += ["--config", path]
        return self.start("pons-broker", "--name", name, "--site", "here", *listen, *arguments,
                          environment={**self.ENVIRONMENT, **(environment or {})}, **options)

    def start_agent(self, name, *arguments, environment=None, **options):
        """An agent of agents/catalog.def that is READY, which it says once the broker knows it."""
        return self.start(f"pons-agent-{name}", "--endpoint", self.endpoint, *arguments,
                          environment=environment, **options)

    # --- a load of its own process ---

    def start_load(self, endpoint, method, body, *arguments):
        """`pons bench` with a client of the library, which has a session with each broker of the list."""
        return self.start("pons", "--json", "--endpoint", endpoint, "bench", method, body, *arguments, ready=False)

    def load_result(self, load):
        """What the load says of its end. An error among the answers is for the test to judge."""
        load.wait(120)
        load.expects = (0, 1)
        return json.loads(load.log().splitlines()[-1])

    # --- peers ---

    def peer(self, agent="peer", endpoint=None, **options):
        """A connection that has not said HELLO."""
        made = Peer(endpoint or self.endpoint, agent, **options)
        self.peers.append(made)
        return made

    def client(self, agent="asker", **options):
        """A session that offers nothing."""
        return self.peer(agent, **options).open()

    def worker(self, *services, agent="worker", credit=1, calls=(), **options):
        """An instance that is READY."""
        return self.peer(agent, **options).open(*services, credit=credit, calls=calls)

    # --- asking the broker ---

    def counters(self, peer):
        return {row["name"].upper(): row["value"] for row in peer.ask("pons", "stats", {})["counters"]}

    def wait_counter(self, peer, name, least):
        """Asks until a counter has reached least; the broker's answer is what is waited for each time."""
        due = time.monotonic() + DEADLINE_S
        while (value := self.counters(peer)[name]) < least:
            self.assertLess(time.monotonic(), due, f"{name} is {value}, and not {least} after {DEADLINE_S} s")
        return value

    def wait_service(self, peer, name, least=1):
        """Waits until so many instances of a service are ready."""
        due = time.monotonic() + DEADLINE_S
        while True:
            rows = peer.ask("pons", "registry", {"service": name})["instances"]
            if sum(row["state"] == "ready" for row in rows) >= least:
                return
            self.assertLess(time.monotonic(), due, f"no {least} of {name}: {rows}")
            peer.socket.poll(50)  # nothing comes; a turn for the others

    def ends(self, status, peer, request):
        """Asserts with which status a request ends."""
        self.assertEqual(peer.refusal(request), status)


def main():
    """Runs the tests of the calling module; the build folder may come as --build FOLDER."""
    unittest.main(module="__main__", verbosity=2, failfast=bool(os.environ.get("PONS_TEST_FAILFAST")))


def packed(value):
    """A value as msgpack."""
    return msgpack.packb(value)


def wait_listening(port, process):
    """Waits until a process that says nothing of itself takes connections at a port of 127.0.0.1."""
    due = time.monotonic() + DEADLINE_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > due:
                raise AssertionError(f"nobody listens on port {port}: {error}") from error
            try:
                process.wait(0.02)  # its end is an event, its listening is none
            except subprocess.TimeoutExpired:
                pass


_reserved = []  # a socket whose name is the port, for as long as this test runs


def _first_ephemeral_port():
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        return int(file.read().split()[0])


def free_port():
    """A TCP port of 127.0.0.1 that nobody listens on, nor any other test will: it is none that the kernel gives to connections, and
    tests reserve theirs by the name of an abstract socket, which goes with the process."""
    last = max(_first_ephemeral_port(), 12000)
    for port in random.sample(range(10000, last), 1000):
        reserved = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            reserved.bind(f"\0pons-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            reserved.close()
            continue
        _reserved.append(reserved)
        return port
    raise AssertionError("no port is free")
