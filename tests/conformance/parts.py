"""The parts that the suite puts together: a client and an agent, each from C or from Python, sync or asyncio. Beside tests/process's
harness."""

import asyncio
import json
import os
import subprocess
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [os.path.join(ROOT, "tests", "process"), os.path.join(ROOT, "adapters", "python")]

import harness  # noqa: E402
import pons  # noqa: E402

PYTHON = "/usr/bin/python3"
# Who asks, who answers.
PAIRS = (("c", "c"), ("c", "sync"), ("c", "aio"), ("sync", "c"), ("aio", "c"), ("sync", "aio"), ("aio", "sync"))


class Failed(Exception):
    """How a request ended: a status's name."""


class CClient:
    """The library, by the command `pons`."""

    def __init__(self, endpoint):
        self.endpoint = endpoint

    def _run(self, *words, timeout_ms=20000):
        command = [harness.program("pons"), "--json", "--endpoint", self.endpoint, "--timeout", str(timeout_ms), *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={**os.environ, **harness.SANITIZERS})

    def _lines(self, *words, **how):
        done = self._run(*words, **how)
        if done.returncode:
            raise Failed(next((word for word in pons.Status.__members__ if word in (done.stdout + done.stderr).replace('"', " ").replace(":", " ").split()),
                              done.stdout + done.stderr))
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
        command = [harness.program("pons"), "--json", "--endpoint", self.endpoint, "--timeout", "30000", "sub", pattern, "--count", str(count)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **harness.SANITIZERS}) as listener:
            for line in listener.stdout:
                row = json.loads(line)
                heard.put((row["topic"], row["body"]))

    def close(self):
        pass


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
