#!/usr/bin/python3
"""The life of a client of the Python package: it waits, is closed, forked, interrupted, suspended and called back at awkward moments; and
nobody waits for ever."""

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time

import parts
import pons
import test_misuse
from parts import harness

LONG_S = 60


class Life(test_misuse.Bad):
    def test_an_address_that_is_none_beside_one_that_is(self):
        for endpoint in (f"tcp://no such host:1,{self.endpoint}", f"nonsense,{self.endpoint}"):
            with pons.Client(endpoint, "hopeful") as bus:
                for _ in range(3):
                    bus.wait_open(harness.DEADLINE_S)
                    self.assertEqual(bus.ask("bad.raw"), b"bytes")

    def test_many_wait_for_the_first_session(self):
        endpoint, ends = f"ipc://{self.folder}/later", []

        def wait():
            bus.wait_open(harness.DEADLINE_S)
            ends.append("open")

        with pons.Client(endpoint, "early") as bus:
            threads = [threading.Thread(target=wait) for _ in range(4)]
            for thread in threads:
                thread.start()
            with self.assertRaises(TimeoutError):
                bus.wait_open(0.05)
            self.start_broker(endpoints=[endpoint])
            for thread in threads:
                thread.join(harness.DEADLINE_S)
        self.assertEqual(ends, ["open"] * 4)

    def test_closed_while_threads_wait(self):
        """In whatever: each is told, and none waits on."""
        lonely = pons.Client(f"ipc://{self.folder}/nobody", "lonely")
        bus = self.made("closer")
        events, flag, stream = bus.subscribe("never.*"), bus.flag("never"), bus.stream("bad.forever", deadline_s=LONG_S)
        lease = bus.lease("never")  # this broker gives none
        ends = {}
        waits = {"ask": lambda: bus.ask("bad.forever", deadline_s=LONG_S), "collect": lambda: bus.collect("bad@*.forever", deadline_s=LONG_S),
                 "events": events.next, "flag": flag.next, "stream": lambda: next(stream), "lease": lease.wait_held,
                 "result": lambda: bus.result("0123456789abcdef-1", deadline_s=LONG_S), "open": lambda: lonely.wait_open(LONG_S),
                 "submit": lambda: lonely.submit("bad.raw", deadline_s=LONG_S)}

        def wait(name, fn):
            try:
                ends[name] = fn()
            except Exception as error:
                ends[name] = error

        threads = [threading.Thread(target=wait, args=row) for row in waits.items()]
        for thread in threads:
            thread.start()
        self.wait_counter(self.watcher, "REQUESTS", 4)
        closers = [threading.Thread(target=one.close) for one in (bus, lonely) * 3]
        for thread in closers:
            thread.start()
        for thread in (*closers, *threads):
            thread.join(harness.DEADLINE_S)
            self.assertFalse(thread.is_alive(), ends)
        self.assertEqual(set(ends), set(waits))
        for name, end in ends.items():
            self.assertIsInstance(end, pons.PonsError, (name, end))
        for end in (events.close, flag.close, lease.close, stream.cancel, bus.close):
            end()
        with stream:
            pass

    def test_closed_and_asked_at_the_same_time(self):
        """Whoever is quicker: it ends."""
        for _ in range(20):
            bus, ends = pons.Client(self.endpoint, "racer"), []

            def ask():
                try:
                    while True:
                        bus.ask("bad.raw", deadline_s=LONG_S)
                        ends.append("answered")
                except pons.PonsError as error:
                    ends.append(error)

            threads = [threading.Thread(target=ask) for _ in range(4)]
            for thread in threads:
                thread.start()
            bus.close()
            for thread in threads:
                thread.join(harness.DEADLINE_S)
                self.assertFalse(thread.is_alive())

    def test_after_a_fork(self):
        """The child is told, and may end as it likes; the parent goes on."""
        child = os.fork()
        if child == 0:
            status = 1
            try:
                try:
                    self.bus.ask("bad.raw", deadline_s=LONG_S)
                except pons.PonsError as error:
                    status = 0 if "fork" in str(error) else 2
                self.bus.close()
            finally:
                os._exit(status)
        due = time.monotonic() + harness.DEADLINE_S
        while os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > due:
                os.kill(child, signal.SIGKILL)
                break
            self.bus.ask("bad.raw")
        self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)
        self.assertEqual(self.bus.ask("bad.raw"), b"bytes")

    def test_another_loop_is_told(self):
        made = {}

        async def make():
            made["bus"] = pons.aio.Client(self.endpoint, "moved")
            made["bus"].start()
            await made["bus"].wait_open()
            with self.assertRaisesRegex(pons.PonsError, "started before"):
                made["bus"].start()
            await asyncio.to_thread(lambda: asyncio.run(use()))
            made["bus"].close()
            with self.assertRaises(pons.PonsError):
                await made["bus"].wait_open()

        async def use():
            for use in (made["bus"].ask("bad.raw"), made["bus"].collect("bad@*.seen"), made["bus"].result("0123456789abcdef-1")):
                with self.assertRaises(pons.PonsError):
                    await use

        asyncio.run(make())

    def test_who_is_never_closed_ends_with_its_program(self):
        code = ("import sys; sys.path.insert(0, sys.argv[2])\nimport pons\nbus = pons.Client(sys.argv[1])\n"
                "print(bus.ask('bad.raw'))\nstream = bus.stream('bad.pieces')\nnext(stream)\nbus.subscribe('>')\n")
        done = subprocess.run([parts.PYTHON, "-c", code, self.endpoint, os.path.dirname(os.path.dirname(pons.__file__))], capture_output=True, text=True,
                              timeout=60, check=False, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "b'bytes'\n", ""))

    def test_interrupted_by_a_signal(self):
        """Whatever its handler raises, the request is taken back."""
        class Alarm(Exception):
            pass

        def on_alarm(*_):
            raise Alarm

        before = signal.signal(signal.SIGALRM, on_alarm)
        self.addCleanup(signal.signal, signal.SIGALRM, before)
        for wait in (lambda: self.bus.ask("bad.forever", deadline_s=LONG_S), lambda: self.bus.collect("bad@*.forever", deadline_s=LONG_S)):
            alarm = threading.Thread(target=self.alarm_when_it_has_begun)
            alarm.start()
            with self.assertRaises(Alarm):
                wait()
            alarm.join()
        due = time.monotonic() + harness.DEADLINE_S
        while self.bus.ask("bad.seen") != ["begun", "stopped"] * 2:
            self.assertLess(time.monotonic(), due)

    def alarm_when_it_has_begun(self):
        due = time.monotonic() + harness.DEADLINE_S
        while self.watcher.ask("bad", "seen", {})[-1:] != ["begun"] and time.monotonic() < due:
            pass
        signal.pthread_kill(threading.main_thread().ident, signal.SIGALRM)


class Callbacks(harness.Fleet):
    """What a lease calls may do what it likes."""

    BROKER = False

    def setUp(self):
        super().setUp()
        self.start_broker(environment=parts.LEADS)
        self.bus = pons.Client(self.endpoint, "holder")
        self.addCleanup(self.bus.close)
        self.bus.wait_open()
        parts.wait_leader(self, self.bus)

    def test_one_that_asks_raises_or_exits(self):
        told = []

        def asks(token):
            for wait in (lambda: self.bus.ask("pons.ping", {}), self.bus.wait_open, self.bus.close):
                try:
                    wait()
                except pons.PonsError as error:
                    told.append("own thread" in str(error))
            self.bus.publish("news.held", list(token), retain=True)

        def breaks(token):
            raise RuntimeError("of a callback")

        def leaves(token):
            sys.exit("of a callback")

        with self.assertLogs("asyncio") as logs:
            for name, on_held in (("asks", asks), ("breaks", breaks), ("leaves", leaves), ("last", None)):
                self.bus.lease(name, on_held=on_held).wait_held(harness.DEADLINE_S)
            event = self.bus.subscribe("news.held").next(harness.DEADLINE_S)
        self.assertEqual((told, len(event.value)), ([True] * 3, 2))
        self.assertEqual(len([line for line in logs.output if "of a callback" in line]), 2)
        self.assertTrue(self.bus.ask("pons.ping", {})["broker"])

    def test_a_machine_that_was_suspended(self):
        """The clock of the loop stands still, and the lease does not: it is over at once, and is asked for anew."""
        why, held = [], []
        lease = self.bus.lease("one", on_held=held.append, on_lost=why.append)
        first = lease.wait_held(harness.DEADLINE_S)
        real = pons.driver.boot_us
        slept_us = 3_000_000
        for module in (pons.driver, pons.watch):
            module.boot_us = lambda: real() + slept_us
            self.addCleanup(setattr, module, "boot_us", real)
        self.assertIsNone(lease.token)
        due = time.monotonic() + harness.DEADLINE_S
        while len(held) < 2:
            self.assertLess(time.monotonic(), due, why)
            self.bus.ask("pons.ping", {})
        self.assertIn("before it could be renewed", why[0])
        self.assertGreater(lease.wait_held(harness.DEADLINE_S), first)


if __name__ == "__main__":
    harness.main()
