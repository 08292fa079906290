#!/usr/bin/python3
"""The agent `echo` of agents/echo.c in Python, of the same contract: echo.py sync|aio [OPTIONS]. Its handlers run in threads, or in
the loop. echo.py relay is an agent that hands on to it all that it is asked."""

import asyncio
import contextlib
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(ROOT, "adapters", "python"))

import pons  # noqa: E402

ECHO = os.path.join(ROOT, "agents", "contracts", "echo.def")
MOST = 16 * 1024 * 1024
done = 0


def text_of(request):
    if len(request["text"].encode()) * request.get("repeat", 1) > MOST:
        raise pons.Invalid("all together must have at most 16 MiB", path="repeat")
    return request["text"] * request.get("repeat", 1)


def count(call):
    global done
    done += 1
    return {"instance": call.instance, "done": done}


async def pause(seconds):
    """Until somebody cancels, or so long."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().create_future()


def fail(request):
    status = pons.Status.of(request.get("status", pons.Status.INTERNAL))
    raise pons.PonsError.of(status)(request.get("message", ""))


def threads():
    agent = pons.Agent("echo", contracts=ECHO)

    @agent.method("echo.say")
    def say(call, request):
        return {"text": text_of(request), "instance": call.instance}

    @agent.method("echo.stream")
    def stream(call, request):
        pieces = 0
        while pieces < request.get("pieces", 1) and call.wait(request.get("delay_ms", 0) / 1000):
            yield {"piece": request["text"]}
            pieces += 1
        return {"pieces": pieces}

    @agent.method("echo.work")
    def work(call, request):
        call.wait(request.get("wait_ms", 0) / 1000)
        return count(call)

    @agent.method("echo.fail")
    def failing(call, request):
        fail(request)

    return agent


def loop():
    agent = pons.Agent("echo", contracts=ECHO, concurrency=64)

    @agent.method("echo.say")
    async def say(call, request):
        return {"text": text_of(request), "instance": call.instance}

    @agent.method("echo.stream")
    async def stream(call, request):
        pieces = request.get("pieces", 1)
        for _ in range(pieces):
            if request.get("delay_ms"):
                await pause(request["delay_ms"] / 1000)
            await call.asend({"piece": request["text"]})
        return {"pieces": pieces}

    @agent.method("echo.work")
    async def work(call, request):
        if request.get("wait_ms"):
            await pause(request["wait_ms"] / 1000)
        return count(call)

    @agent.method("echo.fail")
    async def failing(call, request):
        fail(request)

    return agent


def relay():
    agent = pons.Agent("relay")

    @agent.method("relay.work")
    def work(call, request):
        return pons.Forward("echo.work")

    @agent.method("relay.stream", streaming=True)
    async def stream(call, request):
        return pons.Forward("echo.stream")

    return agent


if __name__ == "__main__":
    {"sync": threads, "aio": loop, "relay": relay}[sys.argv[1]]().run(sys.argv[2:])
