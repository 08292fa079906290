#!/usr/bin/python3
"""Mixed load against a real broker while agents are killed, frozen, drained and started again, and clients come and go.

    soak.py [--seconds N] [--seed N] [--clean]     the build folder comes from PONS_BUILD

Fails when a request hangs or ends in a way that it must not, when the broker's memory grows after the first quarter, when
anything is left in it at the end, or when a process reports a finding. --clean prefers a build without sanitizers, whose memory
is the broker's own."""

import argparse
import asyncio
import os
import random
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
sys.path[:0] = [os.path.join(TESTS, "peers"), os.path.join(TESTS, "soak")]

import msgpack  # noqa: E402
from soak_load import Load, until  # noqa: E402
from soak_peer import Ledger, SoakPeer  # noqa: E402

AGENTS = 4
WORDS_OF_A_FINDING = ("AddressSanitizer", "LeakSanitizer", "runtime error:", "Assertion", "Invalid argument (")
GROWTH, GROWTH_BYTES = 0.05, 512 * 1024
SHORT_S, SHORT_GROWTH_BYTES = 120, 8 << 20  # a short run hardly leaves its warm-up; it finds what grows without end
END_S = 30.0
HEARTBEATS = {"PONS_BROKER_HEARTBEAT_INTERVAL_MS": "200", "PONS_BROKER_HEARTBEAT_TIMEOUT_MS": "2000",
              "PONS_BROKER_HEARTBEAT_IDLE_MS": "2000"}
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=1:exitcode=99:quarantine_size_mb=4", "UBSAN_OPTIONS": "print_stacktrace=1"}


def find_build(clean):
    """PONS_BUILD, or with clean a sibling that was built without sanitizers."""
    own = os.environ.get("PONS_BUILD", os.path.join(os.path.dirname(TESTS), "build", "dev"))
    siblings = [os.path.join(os.path.dirname(own), name) for name in ("release", "gcc")] if clean else []
    for build in [own, *siblings]:
        path = os.path.join(build, "bin", "pons-broker")
        if clean and os.path.exists(path):
            with open(path, "rb") as file:
                if b"__asan_init" not in file.read() and os.path.exists(os.path.join(build, "bin", "pons-agent-echo")):
                    return build
    return own


class Processes:
    """The broker and its agents, in a folder of their own."""

    def __init__(self, build):
        self.bin = os.path.join(build, "bin")
        self.folder = tempfile.mkdtemp(prefix="pons-soak-")
        self.endpoint = f"ipc://{self.folder}/bus"
        self.logs, self.running = [], []
        self.broker = self.spawn("pons-broker", "--listen", self.endpoint, "--name", "soak", "--site", "here",
                                 "--log-level", "warning")

    def spawn(self, name, *arguments):
        path = os.path.join(self.folder, f"{len(self.logs)}-{name}.log")
        self.logs.append(path)
        environment = {key: value for key, value in os.environ.items() if key not in ("NOTIFY_SOCKET", "PONS_BUILD")}
        with open(path, "wb") as log:
            process = subprocess.Popen([os.path.join(self.bin, name), *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       env={**environment, **HEARTBEATS, **SANITIZERS, "PONS_RUNTIME_DIR": self.folder})
        self.running.append(process)
        return process

    def agent(self):
        return self.spawn("pons-agent-echo", "--endpoint", self.endpoint, "--log-level", "error")

    def rss_bytes(self):
        with open(f"/proc/{self.broker.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.broker.pid}/fd"))

    def findings(self):
        for path in self.logs:
            with open(path, encoding="utf-8", errors="replace") as file:
                text = file.read()
            if any(word in text for word in WORDS_OF_A_FINDING):
                yield f"{os.path.basename(path)}: {text[-3000:]}"

    def close(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def takes_signals(agent):
    """Whether it has come to where SIGTERM means something to it; before that the kernel ends it."""
    if agent.poll() is not None:
        return True
    with open(f"/proc/{agent.pid}/status", encoding="ascii") as file:
        blocked = next(line for line in file if line.startswith("SigBlk:"))
    return bool(int(blocked.split()[1], 16) >> (signal.SIGTERM - 1) & 1)


async def end(agent):
    """SIGTERM, as soon as it can be heard."""
    due = time.monotonic() + END_S
    agent.send_signal(signal.SIGCONT)
    while not takes_signals(agent) and time.monotonic() < due:
        await until(asyncio.Event(), 0.01)
    agent.terminate()


async def chaos(processes, agents, stop, rng, counts):
    """Kills, freezes, drains and restarts agents, one each second or so."""
    while not stop.is_set():
        await until(stop, 0.3 + rng.random())
        at = rng.randrange(len(agents))
        what = rng.choice(("kill", "freeze", "freeze long", "drain"))
        counts[what] = counts.get(what, 0) + 1
        if what == "kill":
            agents[at].kill()
        elif what == "drain":
            await end(agents[at])
        else:
            agents[at].send_signal(signal.SIGSTOP)
            await until(asyncio.Event(), rng.random() if what == "freeze" else 2.5)
            agents[at].send_signal(signal.SIGCONT)
            continue
        await asyncio.to_thread(agents[at].wait, END_S)
        agents[at] = processes.agent()


async def sample(processes, seconds, rows):
    """The broker's memory, each second."""
    start = time.monotonic()
    while (now := time.monotonic() - start) < seconds:
        rows.append((now, processes.rss_bytes()))
        await until(asyncio.Event(), min(1.0, seconds / 20))


async def stats(peer):
    """The broker's figures. Under this load an answer may be an error: asked again, until the deadline, which names it."""
    due = time.monotonic() + END_S
    while True:
        status, body = await peer.ask("stats", "pons", "stats", b"\x80", 10)
        if status == "OK":
            return {row["name"]: row["value"] for row in msgpack.unpackb(body)["counters"]}
        if time.monotonic() > due:
            raise RuntimeError(f"pons.stats is answered {status}: {body[:500]!r}")
        await until(asyncio.Event(), 0.1)


async def wait_empty(peer, processes, descriptors, ledger):
    """At the end nothing is left in the broker."""
    due = time.monotonic() + END_S
    while True:
        now = await stats(peer)
        left = {name: now[name] for name in ("now_requests", "now_queued", "now_kept_bytes")}
        left["now_requests"] -= 1  # the question itself, and its body
        left["now_kept_bytes"] -= 1
        left["descriptors"] = processes.descriptors() - descriptors
        if not any(left.values()):
            return now
        if time.monotonic() > due:
            ledger.fault(f"left at the end: {left}")
            return now


async def connect(processes, ledger):
    """The first peer waits until the broker is there."""
    return await SoakPeer(processes.endpoint, "checker", ledger).open()


async def run(processes, seconds, seed, ledger):
    rng = random.Random(seed)
    checker = await connect(processes, ledger)
    await stats(checker)
    descriptors = processes.descriptors()
    agents = [processes.agent() for _ in range(AGENTS)]
    load, rows, counts = Load(processes.endpoint, ledger, seed + 1), [], {}
    helpers = [asyncio.create_task(load.instances(f"python{i}")) for i in range(2)]
    while (await stats(checker))["now_services"] < 3:
        pass  # each answer takes its time
    tasks = [asyncio.create_task(one) for one in load.all()]
    trouble = asyncio.create_task(chaos(processes, agents, load.stop, rng, counts))
    await sample(processes, seconds, rows)
    load.stop.set()
    for result in await asyncio.gather(trouble, *tasks, return_exceptions=True):
        if isinstance(result, BaseException):
            ledger.fault(f"the load itself failed: {result!r}")
    for peer in await asyncio.gather(*helpers):
        peer.close(True)
    for agent in agents:
        await end(agent)
    for agent in agents:
        if await asyncio.to_thread(agent.wait, END_S) != 0:
            ledger.fault(f"an agent ended with {agent.returncode}")
    last = await wait_empty(checker, processes, descriptors, ledger)
    checker.close(True)
    processes.broker.terminate()
    if await asyncio.to_thread(processes.broker.wait, END_S) != 0:
        ledger.fault(f"the broker ended with {processes.broker.returncode}")
    return rows, counts, last


def judge_memory(rows, ledger):
    """After the first quarter memory is flat."""
    quarter = len(rows) // 4
    second = statistics.median(rss for _, rss in rows[quarter:2 * quarter])
    fourth = statistics.median(rss for _, rss in rows[3 * quarter:])
    print(f"RSS: start {rows[0][1] >> 10} KiB, second quarter {second / 1024:.0f} KiB, last quarter {fourth / 1024:.0f} KiB, "
          f"peak {max(rss for _, rss in rows) >> 10} KiB, {len(rows)} samples")
    if fourth > second * (1 + GROWTH) + (GROWTH_BYTES if rows[-1][0] > SHORT_S else SHORT_GROWTH_BYTES):
        ledger.fault(f"the broker grew from {second / 1024:.0f} KiB to {fourth / 1024:.0f} KiB")


def judge_load(ledger, seconds):
    """Enough of everything must have happened, or the run shows nothing."""
    for load in sorted({name for name, _ in ledger.ends}):
        print(f"{load:8} " + ", ".join(f"{status} {n:,}" for (name, status), n in sorted(ledger.ends.items()) if name == load))
    print(f"latest end of a request: {ledger.latest_s:+.3f} s from its deadline")
    for load, status, share in (("say", "OK", 0.8), ("burst", "OK", 0.8), ("large", "OK", 0.95), ("once", "OK", 0.5),
                                ("late", "DEADLINE", 0.5), ("fail", "DENIED", 0.7)):
        if ledger.ratio(load, status) < share:
            ledger.fault(f"only {ledger.ratio(load, status):.0%} of {load} ended with {status}")
    if ledger.ends["event", "RECEIVED"] < 10 * seconds:
        ledger.fault("hardly any events")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=secrets.randbits(32))
    parser.add_argument("--clean", action="store_true")
    options = parser.parse_args()
    build = find_build(options.clean)
    print(f"seed {options.seed}, {options.seconds:.0f} s, {build}")
    ledger, processes = Ledger(), Processes(build)
    try:
        rows, counts, last = asyncio.run(run(processes, options.seconds, options.seed, ledger))
        print("agents: " + ", ".join(f"{what} {n}" for what, n in sorted(counts.items())))
        print("broker: " + ", ".join(f"{name} {value:,}" for name, value in last.items() if value))
        judge_memory(rows, ledger)
        judge_load(ledger, options.seconds)
        for finding in processes.findings():
            ledger.fault(finding)
    finally:
        processes.close()
    for fault in ledger.faults:
        print(f"FAULT: {fault}")
    return 1 if ledger.faults else 0


if __name__ == "__main__":
    sys.exit(main())
