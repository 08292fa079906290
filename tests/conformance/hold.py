#!/usr/bin/python3
"""What tests/process/singleton.c does, with a lease of the Python client: while it holds it, it appends a line to SINGLETON_LOG every
few milliseconds, "time epoch counter pid". hold.py sync|aio ENDPOINT LEASE. At SIGTERM it gives the lease back and ends."""

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "adapters", "python"))

import pons  # noqa: E402
from pons.notify import notify  # noqa: E402

EVERY_S = 0.002


def write_line(log, lease):
    now = time.monotonic_ns() // 1000
    if token := lease.token:
        os.write(log, f"{now} {token[0]} {token[1]} {os.getpid()}\n".encode())


def lost(why):
    print(f"it has lost the lease: {why}", file=sys.stderr, flush=True)


def sync(endpoint, name, log):
    end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: end.set())
    with pons.Client(endpoint, "holder") as bus:
        bus.wait_open()
        lease = bus.lease(name, on_lost=lost)
        notify("READY=1")
        while not end.wait(EVERY_S):
            write_line(log, lease)


async def aio(endpoint, name, log):
    end = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, end.set)
    async with pons.aio.Client(endpoint, "holder") as bus:
        await bus.wait_open()
        lease = bus.lease(name, on_lost=lost)
        notify("READY=1")
        while not end.is_set():
            write_line(log, lease)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(end.wait(), EVERY_S)


if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    fd = os.open(os.environ["SINGLETON_LOG"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    if kind == "sync":
        sync(*arguments, fd)
    else:
        asyncio.run(aio(*arguments, fd))
