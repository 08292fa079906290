#!/usr/bin/python3
"""Asks without pause with the Python client, and prints what `pons --json bench` prints: load.py sync|aio ENDPOINT METHOD BODY
SECONDS OUTSTANDING."""

import asyncio
import collections
import json
import os
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "adapters", "python"))

import pons  # noqa: E402

TIMEOUT_S = 20.0
PREFERRED, PATIENCE_S = "a", 10.0  # whoever asks without pause stays with the broker that was there first


def report(counts):
    """counts: how often each status was the end."""
    asked, ok = sum(counts.values()), counts.pop("OK", 0)
    print(json.dumps({"asked": asked, "ok": ok, "errors": dict(counts)}), flush=True)


def sync(endpoint, method, body, seconds, outstanding):
    counts, lock = collections.Counter(), threading.Lock()

    def ask():
        while time.monotonic() < until:
            status = bus.request(method, body, deadline_s=TIMEOUT_S).status.name
            with lock:
                counts[status] += 1

    with pons.Client(endpoint, "load") as bus:
        bus.wait_open()
        until = time.monotonic() + PATIENCE_S
        while bus.ask("pons.ping", {})["broker"] != PREFERRED and time.monotonic() < until:
            pass
        until = time.monotonic() + seconds
        threads = [threading.Thread(target=ask) for _ in range(outstanding)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    report(counts)


async def aio(endpoint, method, body, seconds, outstanding):
    counts = collections.Counter()

    async def ask():
        while time.monotonic() < until:
            counts[(await bus.request(method, body, deadline_s=TIMEOUT_S)).status.name] += 1

    async with pons.aio.Client(endpoint, "load") as bus:
        await bus.wait_open()
        until = time.monotonic() + PATIENCE_S
        while (await bus.ask("pons.ping", {}))["broker"] != PREFERRED and time.monotonic() < until:
            pass
        until = time.monotonic() + seconds
        await asyncio.gather(*(ask() for _ in range(outstanding)))
    report(counts)


if __name__ == "__main__":
    kind, endpoint, method, body, seconds, outstanding = sys.argv[1:]
    arguments = (endpoint, method, json.loads(body), float(seconds), int(outstanding))
    if kind == "sync":
        sync(*arguments)
    else:
        asyncio.run(aio(*arguments))
