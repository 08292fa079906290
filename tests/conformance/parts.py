"""The parts that the suite puts together: a client and an agent, each from C or from Python, sync or asyncio. Beside tests/process's
harness."""

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", "process"), os.path.join(ROOT, "adapters", "python")]

import harness  # noqa: E402
import pons  # noqa: E402

PYTHON = "/usr/bin/python3"


def process_test(name):
    """A test module of tests/process, under a name of its own where one here has the same."""
    spec = importlib.util.spec_from_file_location(f"process_{name}", os.path.join(ROOT, "tests", "process", f"test_{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# For a broker that is alone, and leads soon.
LEADS = {"PONS_AUTHORITY_NODE": "alone", "PONS_AUTHORITY_VOTE_MS": "600", "PONS_AUTHORITY_RENEW_MS": "150", "PONS_AUTHORITY_RETRY_MS": "40"}


def wait_leader(case, bus):
    due = time.monotonic() + harness.DEADLINE_S
    while bus.ask("pons.authority.status", {})["state"] != "leader":
        case.assertLess(time.monotonic(), due)


# Who asks, who answers.
PAIRS = (("c", "c"), ("c", "sync"), ("c", "aio"), ("sync", "c"), ("aio", "c"), ("sync", "aio"), ("aio", "sync"))


class Failed(Exception):
    """How a request ended: a status's name."""


def failure(text):
    """The first status that a text names."""
    return Failed(next((word for word in text.replace('"', " ").replace(":", " ").split() if word in pons.Status.__members__), text))


class CClient:
    """The library, by the command `pons`."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self.waiting = {}  # processes that wait for the end of a durable request, by its id

    def _command(self, *words, timeout_ms=20000):
        return [harness.program("pons"), "--json", "--endpoint", self.endpoint, "--timeout", str(timeout_ms), *words]

    def _begin(self, *words, **how):
        return subprocess.Popen(self._command(*words, **how), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                env={**os.environ, **harness.SANITIZERS})

    def _lines(self, *words, **how):
        done = subprocess.run(self._command(*words, **how), capture_output=True, text=True, timeout=60, check=False,
                              env={**os.environ, **harness.SANITIZERS})
        if done.returncode:
            raise failure(done.stdout + done.stderr)
        return [json.loads(line) for line in done.stdout.splitlines()]

    def ask(self, method, value, deadline_s=20):
        if len(json.dumps(value)) > 100000:
            raise ValueError("too long for a command line")
        return self._lines("call", method, json.dumps(value), timeout_ms=int(deadline_s * 1000))[0]

    def stream(self, method, value):
        *pieces, reply = self._lines("stream", method, json.dumps(value))
        return pieces, reply["end"]

    def listen(self, pattern, count, heard):
        """Puts each event into a queue: topic and value."""
        with self._begin("sub", pattern, "--count", str(count), timeout_ms=30000) as listener:
            for line in listener.stdout:
                row = json.loads(line)
                heard.put((row["topic"], row["body"]))

    def submit(self, method, value, deadline_s=20):
        """Has it kept; returns its id and on how many disks it is."""
        process = self._begin("call", "--durable", method, json.dumps(value), timeout_ms=int(deadline_s * 1000))
        line = process.stdout.readline()
        if not line:
            raise failure(process.communicate(timeout=60)[1])
        kept = json.loads(line)["kept"]
        self.waiting[kept["id"]] = process
        return kept["id"], kept["copies"]

    def result(self, id):
        """Its end, within what submit was told."""
        process = self.waiting.pop(id)
        out, said = process.stdout.read(), process.communicate(timeout=60)[1]
        if not out or "error" in (reply := json.loads(out.splitlines()[-1])):
            raise failure(out + said)
        return reply

    def set_flag(self, name, value):
        return self._lines("flags", "set", name, value)[0]["copies"]

    def unset_flag(self, name):
        return self._lines("flags", "unset", name)[0]["copies"]

    def watch_flag(self, name, count, heard):
        """Puts each version into a queue: value and version."""
        with self._begin("flags", "watch", name, timeout_ms=60000) as watcher:
            for _ in range(count):
                row = json.loads(watcher.stdout.readline())
                heard.put((None if row.get("removed") else row["value"], (row["epoch"], row["counter"])))
            watcher.terminate()

    def close(self):
        for process in self.waiting.values():
            process.kill()
            process.communicate()


class SyncClient:
    def __init__(self, endpoint):
        self.bus = pons.Client(endpoint, "conformance")
        self.bus.wait_open()

    def ask(self, method, value, deadline_s=20):
        try:
            return self.bus.ask(method, value, deadline_s=deadline_s)
        except pons.PonsError as error:
            raise Failed(error.status.name) from error

    def stream(self, method, value):
        stream = self.bus.stream(method, value)
        try:
            return list(stream), stream.reply
        except pons.PonsError as error:
            raise Failed(error.status.name) from error

    def listen(self, pattern, count, heard):
        events = self.bus.subscribe(pattern)
        for event in (events.next(30) for _ in range(count)):
            heard.put((event.topic, event.value))

    def submit(self, method, value, deadline_s=20):
        self.deadline_s = deadline_s
        kept = self.bus.submit(method, value, idempotent=True, deadline_s=deadline_s)
        return kept.id, kept.copies

    def result(self, id):
        try:
            return self.bus.result(pons.Kept(id), deadline_s=self.deadline_s)
        except pons.PonsError as error:
            raise Failed(error.status.name) from error

    def set_flag(self, name, value):
        return self.bus.set_flag(name, value)

    def unset_flag(self, name):
        return self.bus.unset_flag(name)

    def watch_flag(self, name, count, heard):
        flag = self.bus.flag(name)
        for state in (flag.next(60) for _ in range(count)):
            heard.put((state.value, state.version))

    def close(self):
        self.bus.close()


class AioClient:
    """A loop that turns while something is asked: between, the session goes without a beat."""

    def __init__(self, endpoint):
        self.loop = asyncio.new_event_loop()
        self.bus = pons.aio.Client(endpoint, "conformance")
        self.loop.run_until_complete(self._open())

    async def _open(self):
        self.bus.start()
        await self.bus.wait_open()

    def _run(self, coroutine):
        try:
            return self.loop.run_until_complete(coroutine)
        except pons.PonsError as error:
            raise Failed(error.status.name) from error

    def ask(self, method, value, deadline_s=20):
        return self._run(self.bus.ask(method, value, deadline_s=deadline_s))

    def stream(self, method, value):
        async def read():
            stream = self.bus.stream(method, value)
            return [piece async for piece in stream], stream.reply

        return self._run(read())

    def listen(self, pattern, count, heard):
        async def hear():
            async with asyncio.timeout(30):
                events = self.bus.subscribe(pattern)
                for _ in range(count):
                    event = await events.__anext__()
                    heard.put((event.topic, event.value))

        self._run(hear())

    def submit(self, method, value, deadline_s=20):
        self.deadline_s = deadline_s
        kept = self._run(self.bus.submit(method, value, idempotent=True, deadline_s=deadline_s))
        return kept.id, kept.copies

    def result(self, id):
        return self._run(self.bus.result(pons.Kept(id), deadline_s=self.deadline_s))

    def set_flag(self, name, value):
        return self._run(self.bus.set_flag(name, value))

    def unset_flag(self, name):
        return self._run(self.bus.unset_flag(name))

    def watch_flag(self, name, count, heard):
        async def watch():
            async with asyncio.timeout(60):
                flag = self.bus.flag(name)
                for _ in range(count):
                    state = await flag.__anext__()
                    heard.put((state.value, state.version))

        self._run(watch())

    def close(self):
        async def end():
            self.bus.close()

        self.loop.run_until_complete(end())
        self.loop.close()


CLIENTS = {"c": CClient, "sync": SyncClient, "aio": AioClient}


class Parts:
    """What a test of the harness gets beside it: CLIENT and AGENT say of what."""

    CLIENT = AGENT = "c"

    def start_echo(self, name="echo"):
        if self.AGENT == "c":
            return self.start_agent("echo", "--name", name)
        return self.start(PYTHON, os.path.join(HERE, "echo.py"), self.AGENT, "--endpoint", self.endpoint, "--name", name)

    def asker(self):
        made = CLIENTS[self.CLIENT](self.endpoint)
        self.addCleanup(made.close)
        return made

    def start_load(self, endpoint, method, body, *arguments):
        if self.CLIENT == "c":
            return super().start_load(endpoint, method, body, *arguments)
        options = dict(zip(arguments[::2], arguments[1::2]))
        return self.start(PYTHON, os.path.join(HERE, "load.py"), self.CLIENT, endpoint, method, body, options["--seconds"],
                          options["--outstanding"], ready=False)


def for_pairs(module, case, pairs):
    """Makes the test cases of a module: one for each pair."""
    for client, agent in pairs:
        name = f"{case.__name__}_{client}_asks_{agent}"
        module[name] = type(name, (case,), {"CLIENT": client, "AGENT": agent, "__module__": module["__name__"]})
