#!/usr/bin/python3
"""The programs as services: readiness, watchdog, crash record, descriptors and memory that do not grow."""

import os
import signal

import harness
from harness import Kind, method, service

ECHO = service("Echo", method("echo", "idempotent"))


class Notify(harness.Fleet):
    BROKER = False

    def test_ready_is_true(self):
        """When READY=1 is there, a connect and a HELLO work at once; STATUS is a line for people."""
        for n in range(10):
            broker = self.start_broker(endpoints=[f"ipc://{self.folder}/b{n}"])
            self.client(endpoint=f"ipc://{self.folder}/b{n}").ask("pons", "ping", {})
            self.assertTrue(any(line.startswith("STATUS=") for line in broker.notify.lines), broker.notify.lines)

    def test_stopping(self):
        broker = self.start_broker()
        broker.terminate()
        self.assertEqual(broker.wait(), 0)
        self.assertTrue(broker.notify.wait("STOPPING=1", broker.process))

    def test_watchdog_comes_from_the_loop(self):
        """A frozen broker sends no WATCHDOG=1, a running one does again and again."""
        broker = self.start_broker(environment={"WATCHDOG_USEC": "300000"})
        for _ in range(4):
            broker.notify.lines.clear()
            self.assertTrue(broker.notify.wait("WATCHDOG=1", broker.process))

    def test_no_notify_socket(self):
        """Started by hand it needs no one to tell."""
        broker = self.start_broker(environment={"NOTIFY_SOCKET": ""}, ready=False)
        peer = self.peer()
        for _ in range(100):
            peer.hello()
            if peer.socket.poll(200):
                break
            peer = self.peer()
        self.assertTrue(peer.expect(Kind.WELCOME).session)
        self.assertTrue(broker.alive)


class Crash(harness.Fleet):
    BROKER = False

    def crash(self, number):
        """A broker with work under way that gets this signal, and the record that it leaves."""
        record = os.path.join(self.folder, "crash")
        broker = self.start_broker("--crash-record", record)
        worker, client = self.worker(ECHO), self.client()
        client.request("Echo", "echo")
        worker.take()
        broker.expects = (-number, 99)
        broker.signal(number)
        self.assertTrue(client.wait_gone())
        self.assertTrue(worker.wait_gone())
        self.assertEqual(broker.wait(), -number)
        with open(record, encoding="utf-8") as file:
            return file.read().splitlines()

    def test_leaves_a_record(self):
        if harness.sanitized():
            self.skipTest("the sanitizer takes crashes for itself")
        for number, name in ((signal.SIGSEGV, "SIGSEGV"), (signal.SIGABRT, "SIGABRT")):
            with self.subTest(name):
                lines = self.crash(number)
                self.assertEqual((lines[0], lines[-1]), ("pons-crash 1", "end"))
                self.assertIn("program pons-broker", lines)
                self.assertTrue(any(line.startswith("signal") and name in line for line in lines), lines)
                self.assertTrue(any(line.startswith("frame 0 ") for line in lines))

    def test_no_record_without_a_crash(self):
        record = os.path.join(self.folder, "crash")
        broker = self.start_broker("--crash-record", record)
        broker.terminate()
        self.assertEqual(broker.wait(), 0)
        self.assertFalse(os.path.exists(record))


class Steady(harness.Fleet):
    """Work that has ended leaves nothing: the broker's own figures and those of the kernel."""

    def rss_kib(self):
        with open(f"/proc/{self.broker.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4

    def mixed(self, worker, client, n):
        """Requests that are answered, refused, cancelled, expired, streamed and forwarded."""
        for i in range(n):
            request = client.request("Echo", "echo", b"x" * 2000, flags=harness.Flag.STREAM, window=5000)
            message = worker.take(id=request)
            worker.chunk(message, 0, b"y" * 500)
            if i % 4 == 0:
                client.send(Kind.CANCEL, id=request)
            worker.reply(message, "done")
            if i % 4:
                client.answer(request)
            client.refusal(client.request("Nobody", "echo"))
            client.publish("a.b", i, sequence=i + 1, retain=True)
        client.flush()
        client.inbox.clear()
        worker.flush()
        worker.inbox.clear()

    def test_nothing_is_left_behind(self):
        worker, client = self.worker(ECHO, credit=10), self.client()
        self.mixed(worker, client, 200)
        before = self.rss_kib()
        self.mixed(worker, client, 600)
        self.assertEqual(client.ask("pons", "requests", {})["total"], 0)
        figures = self.counters(client)
        self.assertEqual(figures["EXPIRED"], 0)
        if not harness.sanitized():
            self.assertLess(self.rss_kib() - before, 1024, "the broker grows")


if __name__ == "__main__":
    harness.main()
