#!/usr/bin/python3
"""A broker that crashes under load: its record, which takes as long as it takes, does not delay who has to notice. Here nobody reads
what the handler writes, so that it stands still in the middle of its record; by then everybody has moved."""

import fcntl
import os
import select
import signal
import subprocess

import harness
import test_two_brokers as two

PIPE_BYTES = 4096
FILLER = b"~"


class Crash(two.Pair):
    """No life sign is looked for in the time of this test: only the end of a connection tells."""

    ENVIRONMENT = harness.SLOW_HEARTBEATS

    def setUp(self):
        if harness.sanitized():
            self.skipTest("the sanitizer takes crashes for itself")
        self.pipes = []
        super().setUp()

    def start_one(self, number):
        return self.start_deaf() if number == 0 else super().start_one(number)

    def start_deaf(self):
        """Broker a with a pipe for its record."""
        self.record, self.writing = os.pipe()
        self.pipes.append(self.record)
        for end in (self.record, self.writing):
            self.addCleanup(os.close, end)
        os.set_blocking(self.record, False)
        fcntl.fcntl(self.writing, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        arguments = [harness.program("pons-broker"), "--name", "a", "--listen", self.ends[0], "--log-level", "error"]
        notify = harness.NotifySocket(os.path.join(self.folder, f"crash{len(self.pipes)}.sock"))
        self.addCleanup(notify.close)
        own = {"PONS_RUNTIME_DIR": self.folder, "PONS_STATE_DIR": self.folder, "NOTIFY_SOCKET": notify.path}
        process = subprocess.Popen(arguments, stderr=self.writing, env={**os.environ, **self.ENVIRONMENT, **own}, cwd=self.folder)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.assertTrue(notify.wait("READY=1", process))
        return process

    def crash(self, number):
        """With a pipe that is full."""
        os.set_blocking(self.writing, False)  # of this end; whoever crashes has the same one
        self.fill()
        os.set_blocking(self.writing, True)
        self.brokers[0].send_signal(number)

    def fill(self):
        while True:
            try:
                os.write(self.writing, FILLER)
            except BlockingIOError:
                return

    def read_record(self, ends_with="end\n"):
        """What the handler says once somebody reads, up to its end."""
        text, due = "", harness.time.monotonic() + harness.DEADLINE_S
        while not text.endswith(ends_with) and harness.time.monotonic() < due:
            if select.select([self.record], [], [], 0.1)[0]:
                text += os.read(self.record, 65536).decode()
            elif self.brokers[0].poll() is not None:
                break
        return text.lstrip(FILLER.decode())

    def wait_moved(self):
        """Until an agent has answered by broker b, which nobody prefers."""
        due = harness.time.monotonic() + harness.DEADLINE_S
        while not any(row["latency_us"] for row in self.askers[1].ask("pons", "registry", {"service": "echo"})["instances"]):
            self.assertLess(harness.time.monotonic(), due, "nobody has moved")

    def test_the_record_comes_after_the_move(self):
        load = self.load("echo.say", '{"text": "x"}', seconds=3, outstanding=100)
        self.wait_work(0, 1000)
        self.askers[0].close()
        broker = self.brokers[0]
        self.crash(signal.SIGSEGV)
        self.wait_moved()
        self.assertIsNone(broker.poll(), "the handler did not stand still: nothing is shown")
        record = self.read_record()
        self.assertIn("pons-crash 1\n", record)
        self.assertIn("signal 11 SIGSEGV", record)
        self.assertIn(broker.wait(harness.DEADLINE_S), (-signal.SIGSEGV, -signal.SIGALRM))
        self.expect_all(self.load_result(load), 1000)

    def test_as_short_as_a_kill(self):
        """Both pauses, for who reads the log; a bound would judge the machine."""
        worst = {}
        for number in (signal.SIGSEGV, signal.SIGKILL):
            load = self.load("echo.say", '{"text": "x"}', seconds=2, outstanding=100)
            self.wait_work(0, 1000)
            self.askers[0].close()
            self.crash(number)
            self.wait_moved()
            self.read_record()
            result = self.load_result(load)
            self.expect_all(result, 1000)
            worst[number.name] = result["max_us"]
            if number == signal.SIGSEGV:
                self.restart()
        print(f"worst latency of a request, in us: {worst}")

    def restart(self):
        """Both brokers anew, so that the second load finds what the first did."""
        self.brokers[0].wait(harness.DEADLINE_S)
        self.kill(1)
        self.brokers = [self.start_one(0), self.start_one(1)]
        self.askers = [self.client(endpoint=end) for end in self.ends]
        for asker in self.askers:
            self.wait_service(asker, "echo", self.AGENTS)


if __name__ == "__main__":
    harness.main()
