#!/usr/bin/python3
"""Short of descriptors, flooded with connections, talked to by peers that never read: those who are there are served."""

import os
import resource
import socket

import harness
from harness import Kind, method, service

ECHO = service("Echo", method("echo", "idempotent"))


class Hardship(harness.Fleet):
    def echo(self, client, worker, what="x"):
        """One request there and back."""
        request = client.request("Echo", "echo", what)
        worker.reply(worker.take(id=request), what)
        self.assertEqual(client.answer(request).data, what)


    def plain_sockets(self, n):
        """So many connections that say nothing, or as many as the broker takes."""
        crowd = []
        for _ in range(n):
            plain = socket.socket(socket.AF_UNIX)
            self.addCleanup(plain.close)
            plain.settimeout(10)
            try:
                plain.connect(f"{self.folder}/bus")
            except OSError:
                plain.close()
                continue
            crowd.append(plain)
        return crowd


class Descriptors(Hardship):
    BROKER = False

    def test_runs_out_of_them(self):
        """With 96 descriptors and 200 who want in: who is there is served, and when some leave others get in."""
        self.broker = self.start_broker(nofile=96)
        worker, client = self.worker(ECHO), self.client()
        crowd = self.plain_sockets(200)
        for n in range(20):
            self.echo(client, worker, n)
        self.assertTrue(self.broker.alive)
        for plain in crowd:
            plain.close()
        for n in range(20):
            late = self.late_client()
            self.echo(late, worker, n)
            late.close()

    def test_sessions_too(self):
        """As above with whole peers, more than descriptors."""
        self.broker = self.start_broker(nofile=96)
        worker, client = self.worker(ECHO), self.client()
        crowd = [self.peer(f"p{n}") for n in range(120)]
        for peer in crowd:
            peer.hello()
        for n in range(20):
            self.echo(client, worker, n)
        welcome = sum(bool(peer.socket.poll(50)) for peer in crowd)
        self.assertTrue(20 < welcome < 96, welcome)
        for peer in crowd:
            peer.close()
        self.echo(self.late_client(), worker)

    def late_client(self):
        """A client that tries until it is let in."""
        for _ in range(50):
            peer = self.peer("late")
            peer.hello()
            if peer.socket.poll(500):
                peer.session = peer.expect(Kind.WELCOME).session
                return peer
            peer.close()
        return self.fail("never let in again")


class Crowds(Hardship):
    @staticmethod
    def many_sockets():
        """A context of this process that takes more than libzmq's 1,023 sockets; each peer has three."""
        _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 65536), most))
        context = harness.zmq.Context()
        context.set(harness.zmq.MAX_SOCKETS, 8192)
        harness.zmq.Context._instance = context

    def test_1000_connects_at_once(self):
        """A thousand peers say HELLO together; all are let in."""
        worker = self.worker(ECHO)
        self.many_sockets()
        crowd = [self.peer(f"p{n}") for n in range(1000)]
        for peer in crowd:
            peer.hello()
        sessions = {peer.expect(Kind.WELCOME, timeout_s=60).session for peer in crowd}
        self.assertEqual(len(sessions), 1000)
        client = self.client()
        self.echo(client, worker)
        self.assertEqual(client.ask("pons", "connections", {"limit": 1000})["total"], 1002)
        for peer in crowd:
            peer.close()
        self.wait_counter(client, "SESSIONS_LOST", 1000)
        self.echo(client, worker)

    def test_1000_that_say_nothing(self):
        """Sockets that are opened and never speak."""
        worker, client = self.worker(ECHO), self.client()
        crowd = self.plain_sockets(1000)
        self.assertEqual(len(crowd), 1000)
        self.echo(client, worker)
        for plain in crowd:
            plain.close()
        self.echo(self.client(), worker)

    def test_come_and_go(self):
        """Two thousand sessions one after the other leave nothing behind."""
        worker, client = self.worker(ECHO), self.client()

        def descriptors():
            return len(os.listdir(f"/proc/{self.broker.pid}/fd"))

        self.client().close()
        self.wait_counter(client, "SESSIONS_LOST", 1)
        before = descriptors()
        for n in range(2000):
            peer = self.peer("guest").open()
            if n % 2:
                peer.bye()
            self.peers.remove(peer)
            peer.close()
        self.echo(client, worker)
        self.wait_connections(client, 2)
        self.assertLessEqual(descriptors(), before + 5)

    def wait_connections(self, client, n):
        due = harness.time.monotonic() + harness.DEADLINE_S
        while client.ask("pons", "connections", {})["total"] > n:
            self.assertLess(harness.time.monotonic(), due)


class NeverReads(Hardship):
    def rss_kib(self):
        with open(f"/proc/{self.broker.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * 4

    def test_a_client_that_never_reads(self):
        """It asks for 200 KiB again and again and reads nothing: at 16 MiB it is hung up on, and nobody else waits."""
        worker, client = self.worker(ECHO, credit=100), self.client()
        deaf = self.client("deaf", receive_queue=1)
        asked = 0
        while self.counters(client)["SLOW_PEERS"] == 0:
            asked += 20
            self.assertLess(asked, 2000, "it was never hung up on")
            for n in range(20):
                deaf.request("Echo", "echo", n)
            for _ in range(20):
                try:
                    worker.reply(worker.take(timeout_s=2), b"x" * 200000)
                except TimeoutError:
                    break
            client.flush()
        self.echo(client, worker)
        self.assertTrue(deaf.wait_gone())

    def test_a_worker_that_never_reads(self):
        """Its credit bounds what is under way; others are served."""
        deaf = self.worker(ECHO, agent="deaf", credit=1000)
        worker, client = self.worker(service("Other", "do"), agent="other", credit=100), self.client()
        for _ in range(100):
            client.request("Echo", "echo", b"x" * 200000)
        request = client.request("Other", "do")
        worker.reply(worker.take(), "done")
        self.assertEqual(client.answer(request).data, "done")
        self.assertTrue(self.broker.alive)
        deaf.close()

    def test_requests_and_never_an_answer(self):
        """Work that its client does not wait for ends at its deadline, and memory with it."""
        self.worker(ECHO, credit=0)
        client = self.client()
        for _ in range(100):
            client.request("Echo", "echo", b"x" * 200000, deadline_s=0.2)
        watcher = self.client()
        self.wait_counter(watcher, "EXPIRED", 100)
        self.assertEqual(watcher.ask("pons", "requests", {})["requests"], [])


class Tcp(Hardship):
    BROKER = False

    def test_everything_over_tcp(self):
        port = harness.free_port()
        self.endpoint = f"tcp://127.0.0.1:{port}"
        self.broker = self.start_broker()
        worker, client = self.worker(ECHO, credit=10), self.client()
        for n in range(200):
            self.echo(client, worker, n)
        request = client.request("Echo", "echo", b"x" * 250000)
        message = worker.take()
        worker.reply(message, message.body)
        self.assertEqual(client.answer(request).body, b"x" * 250000)
        worker.close()
        self.wait_counter(client, "SESSIONS_LOST", 1)
        self.ends("NO_SERVICE", client, client.request("Echo", "echo"))


if __name__ == "__main__":
    harness.main()
