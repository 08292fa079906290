#!/usr/bin/python3
"""CURVE beside libzmq's, in both directions: our ROUTER and pyzmq's DEALER, pyzmq's ROUTER and our DEALER; with the right keys and
with wrong ones. argv[1] is tests/curve_peer of the build."""

import os
import subprocess
import sys
import tempfile
import threading
import unittest

import zmq
from zmq.auth.thread import ThreadAuthenticator
from zmq.utils.monitor import recv_monitor_message

PEER = sys.argv.pop(1)
WAIT_MS = 20000
SIZES = (0, 1, 100, 222, 223, 255, 256, 4096, 8192, 65536, 262144)


class Keys:
    """A key pair, the secret half also as the file that ours reads."""

    def __init__(self, folder, name):
        self.public, self.secret = zmq.curve_keypair()
        self.path = os.path.join(folder, name)
        with open(os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as file:
            file.write(self.secret + b"\n")


class CurveTest(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="pons-curve-")
        self.server, self.client, self.foreign = (Keys(self.folder.name, name) for name in ("s", "c", "f"))
        self.context = zmq.Context()

    def tearDown(self):
        self.context.destroy(linger=0)
        self.folder.cleanup()

    def serve(self):
        """Our ROUTER; returns its endpoint."""
        process = subprocess.Popen([PEER, "serve", self.server.path, self.client.public.decode()], stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, text=True)

        def end():
            process.stdin.close()
            self.assertEqual(process.wait(30), 0)
            process.stdout.close()
        self.addCleanup(end)
        public, endpoint = process.stdout.readline().split()
        self.assertEqual(public, self.server.public.decode())
        return endpoint

    def dealer(self, keys, server):
        dealer = self.context.socket(zmq.DEALER)
        if keys:
            dealer.curve_publickey, dealer.curve_secretkey = keys.public, keys.secret
            dealer.curve_serverkey = server.public
        return dealer

    def test_libzmq_talks_to_our_server(self):
        dealer = self.dealer(self.client, self.server)
        dealer.heartbeat_ivl = 20  # PING and PONG pass sealed, too
        dealer.heartbeat_timeout = WAIT_MS
        dealer.connect(self.serve())
        for size in SIZES:
            for frames in ([b"h", os.urandom(size)], [os.urandom(min(size, 16000))]):
                frames = [frame for frame in frames if frame] or [b"x"]
                dealer.send_multipart(frames)
                self.assertTrue(dealer.poll(WAIT_MS), f"no answer to {size} bytes")
                self.assertEqual(dealer.recv_multipart(), frames)

    def test_many_at_once(self):
        dealer = self.dealer(self.client, self.server)
        dealer.sndhwm = dealer.rcvhwm = 0
        dealer.connect(self.serve())
        sent = [[b"h%d" % i, bytes(i % 700)] if i % 700 else [b"h%d" % i] for i in range(3000)]
        for frames in sent:
            dealer.send_multipart(frames)
        for frames in sent:
            self.assertTrue(dealer.poll(WAIT_MS))
            self.assertEqual(dealer.recv_multipart(), frames)

    def failure(self, dealer, endpoint):
        """The event with which libzmq says that a handshake failed, and its value."""
        monitor = dealer.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_AUTH | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL |
                                            zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | zmq.EVENT_HANDSHAKE_SUCCEEDED)
        dealer.connect(endpoint)
        self.assertTrue(monitor.poll(WAIT_MS))
        event = recv_monitor_message(monitor)
        dealer.disable_monitor()
        return event["event"], event["value"]

    def test_our_server_refuses_a_foreign_key(self):
        endpoint = self.serve()
        self.assertEqual(self.failure(self.dealer(self.foreign, self.server), endpoint), (zmq.EVENT_HANDSHAKE_FAILED_AUTH, 400))

    def test_our_server_refuses_who_means_another(self):
        endpoint = self.serve()
        self.assertNotEqual(self.failure(self.dealer(self.client, self.foreign), endpoint)[0], zmq.EVENT_HANDSHAKE_SUCCEEDED)

    def test_our_server_refuses_who_has_no_key(self):
        endpoint = self.serve()
        self.assertNotEqual(self.failure(self.dealer(None, None), endpoint)[0], zmq.EVENT_HANDSHAKE_SUCCEEDED)

    def ask(self, keys, server):
        """Our DEALER at a ROUTER of libzmq's that admits the client alone; returns what it says."""
        auth = ThreadAuthenticator(self.context)
        auth.start()
        folder = os.path.join(self.folder.name, "admitted")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "c.key"), "w") as file:
            file.write(f'metadata\ncurve\n    public-key = "{self.client.public.decode()}"\n')
        auth.configure_curve(domain="*", location=folder)
        router = self.context.socket(zmq.ROUTER)
        router.curve_server = True
        router.curve_publickey, router.curve_secretkey = self.server.public, self.server.secret
        port = router.bind_to_random_port("tcp://127.0.0.1")
        over = threading.Event()

        def echo():
            while not over.is_set():
                if router.poll(20):
                    router.send_multipart(router.recv_multipart())
            router.close(0)
        thread = threading.Thread(target=echo)
        thread.start()
        try:
            return subprocess.run([PEER, "ask", keys.path, server.public.decode(), f"tcp://127.0.0.1:{port}"], timeout=60,
                                  capture_output=True, text=True).stdout.strip()
        finally:
            over.set()
            thread.join()
            auth.stop()

    def test_our_client_talks_to_libzmq(self):
        self.assertEqual(self.ask(self.client, self.server), "ok")

    def test_our_client_hears_that_it_is_refused(self):
        self.assertEqual(self.ask(self.foreign, self.server), "Key was rejected by service")

    def test_our_client_notices_another_server(self):
        self.assertEqual(self.ask(self.client, self.foreign), "Connection reset by peer")


if __name__ == "__main__":
    unittest.main()
