#!/usr/bin/python3
"""An agent that does wrong whatever a handler can: bad.py [OPTIONS]. test_misuse.py and test_life.py ask it."""

import asyncio
import math
import os
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "adapters", "python"))

import pons  # noqa: E402

PLACES = 3


def nested(depth):
    value = 1
    for _ in range(depth):
        value = [value]
    return value


class Mine(pons.Refused):
    """A program's own kind of refusal, made in its own way."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")


class Broken(pons.Refused):
    def __init__(self):
        pass  # and nothing of what it is


def the_agent():
    agent = pons.Agent("bad", concurrency=PLACES)
    seen = []

    def raises(error):
        def handler(call, request):
            raise error() if callable(error) else error

        return handler

    def gives(make):
        return lambda call, request: make()

    for name, handler in {
        "cause": raises(pons.Refused(ValueError("the cause"))),
        "surrogate": raises(pons.Refused("\ud800", path="\ud800", code="\ud800")),
        "later": raises(pons.Overloaded("later", retry_after_s=math.inf)),
        "never": raises(pons.Overloaded("later", retry_after_s=math.nan)),
        "mine": raises(Mine("a", "b")),
        "broken": raises(Broken),
        "exits": raises(SystemExit(3)),
        "interrupt": raises(KeyboardInterrupt),
        "no_target": gives(lambda: pons.Forward(5)),
        "no_name": gives(lambda: pons.Forward("no name.x")),
        "many_targets": gives(lambda: pons.Forward(*["a.b"] * 5)),
        "long": gives(lambda: pons.Forward("a.b", annotations={"x": "y" * 3000})),
        "unsayable": gives(lambda: pons.Forward("a.b", annotations={"x": object()})),
        "text": gives(lambda: pons.Raw("a text")),
        "long_type": gives(lambda: pons.Raw(b"", "x" * 65)),
        "deep": gives(lambda: nested(600)),
        "half": gives(lambda: "\ud800"),
    }.items():
        agent.method(f"bad.{name}")(handler)

    @agent.method("bad.raw")
    def raw(call, request):
        return pons.Raw(memoryview(bytearray(b"bytes")))

    @agent.method("bad.exits_aio")
    async def exits_aio(call, request):
        sys.exit(3)

    @agent.method("bad.stopped_itself")
    async def stopped_itself(call, request):
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    @agent.method("bad.waits_in_the_loop")
    async def waits_in_the_loop(call, request):
        {"ask": lambda: call.ask("bad.seen"), "submit": lambda: call.submit("bad.seen"), "send": lambda: call.send(1),
         "wait": lambda: call.wait(60)}[request]()

    @agent.method("bad.seen", idempotent=True)
    async def seen_so_far(call, request):
        return seen

    @agent.method("bad.forever")
    async def forever(call, request):
        seen.append("begun")
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            seen.append("stopped")

    @agent.method("bad.through")
    def through(call, request):
        try:
            return call.ask("bad.forever")
        finally:
            seen.append("taken back")

    @agent.method("bad.pieces")
    def pieces(call, request):
        try:
            while True:
                yield {"pad": bytes(1000)}
        finally:
            seen.append("closed")

    @agent.method("bad.tidies")
    async def tidies(call, request):
        try:
            while True:
                await call.asend({"pad": bytes(1000)})
        except asyncio.CancelledError:
            await asyncio.to_thread(int)  # which takes its time
            seen.append("tidied")
            raise pons.Refused("as I like") from None

    @agent.method("bad.blocks")
    def blocks(call, request):
        print("it blocks", file=sys.stderr, flush=True)
        threading.Event().wait()

    @agent.method("bad.swallows")
    async def swallows(call, request):
        print("it swallows", file=sys.stderr, flush=True)
        while True:
            try:
                await asyncio.get_running_loop().create_future()
            except asyncio.CancelledError:
                pass

    agent.run()


if __name__ == "__main__":
    the_agent()
