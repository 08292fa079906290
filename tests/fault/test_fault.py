#!/usr/bin/python3
"""What the system refuses, one call at a time: test_fault.py broker|agent|up [-v].

fault.c makes the n-th call of one function fail with one errno, once. For each of CALLS n goes up from 1 until a run has no
n-th call any more, or MOST is reached. Whatever n is, the program either goes on and does its work, or ends by itself with a
status of EXITS and says on standard error what the system said. It never hangs, and never leaves anything running.
Not here: accept4, which the broker answers for itself (tests/process/test_survival.py runs it out of descriptors), and memory,
of which the house's word is abort()."""

import errno
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "process"))

import harness  # noqa: E402
from harness import Kind, method, service  # noqa: E402

SHIM = os.path.join(harness.BUILD, "tests", "pons-fault.so")
MOST = int(os.environ.get("FAULT_MOST", "10"))
ONLY = os.environ.get("FAULT_ONLY")  # one function, for who looks into it
PATIENCE_S = 20.0
CALLS = [("send", "ENOBUFS"), ("send", "EPIPE"), ("send", "EAGAIN"), ("sendmsg", "ENOBUFS"), ("sendmsg", "EPIPE"), ("recv", "ECONNRESET"), ("readv", "ECONNRESET"),
         ("write", "ENOSPC"), ("writev", "ENOSPC"),
         ("socket", "EMFILE"), ("epoll_create1", "EMFILE"), ("epoll_ctl", "ENOSPC"),
         ("eventfd", "EMFILE"), ("timerfd_create", "EMFILE"), ("timerfd_settime", "ENOMEM"), ("signalfd", "EMFILE"),
         ("pipe2", "EMFILE"), ("open", "ENOSPC"), ("pwrite", "ENOSPC")]
EXITS = (1, 2)


class Fault(harness.Fleet):
    """One program, all calls. A subclass says how it is started, used and stopped."""

    # After a failed send nothing is written on that connection any more, and it is read on: only life signs tell that it is half dead.
    ENVIRONMENT = harness.QUICK_HEARTBEATS
    BROKER = False
    PROGRAM = ""

    def environment(self, call, n, error):
        self.call = call
        self.mark = os.path.join(self.folder, f"{call}-{error}-{n}")
        return {"LD_PRELOAD": SHIM, "FAULT": f"{call}:{n}:{getattr(errno, error)}", "FAULT_PROGRAM": self.PROGRAM,
                "FAULT_MARK": self.mark, "ASAN_OPTIONS": harness.SANITIZERS["ASAN_OPTIONS"] + ":verify_asan_link_order=0"}

    def fired(self):
        return os.path.exists(self.mark)

    def says(self, text, status, error):
        """Whether the end is one that may be, and has its reason on standard error."""
        reason = os.strerror(getattr(errno, error))
        return status in EXITS and (reason in text or error in text)

    def sweep(self):
        for call, error in [row for row in CALLS if ONLY in (None, row[0])]:
            for n in range(1, MOST + 1):
                outcome = "failed"
                with self.subTest(f"{self.PROGRAM}: {call} {n} fails with {error}"):
                    outcome = self.trial(call, n, error)
                if not self.fired():
                    break
                self.outcomes.append(f"{call} {n} {error}: {outcome}")
        print(*self.outcomes, sep="\n")
        self.assertGreater(len(self.outcomes), 0 if ONLY else 20)

    def setUp(self):
        super().setUp()
        self.outcomes = []

    def finish(self, program, works, error):
        """Ends a program that is up and has been asked, or looks at how it ended by itself."""
        due = time.monotonic() + PATIENCE_S
        worked = False
        while program.alive and not worked and time.monotonic() < due:
            try:
                worked = works()
            except (TimeoutError, harness.RemoteError):
                pass
        if not program.alive:
            self.assertTrue(self.says(program.log(), program.process.returncode, error),
                            f"ended with {program.process.returncode} and says: {program.log()}")
            program.expects = (program.process.returncode,)
            return f"ends with {program.process.returncode}"
        self.assertTrue(worked, f"neither works nor ends: {program.log()}")
        program.terminate()
        try:
            status = program.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.fail(f"does not stop: {program.log()}")
        program.expects = (status,)
        if status != 0:
            self.assertTrue(self.says(program.log(), status, error), f"stopped with {status} and says: {program.log()}")
        return "goes on" if status == 0 else f"goes on, stops with {status}"

    def bury(self, program):
        """A program of a trial is over: the next may have its number."""
        program.notify.close()
        os.unlink(program.notify.path)
        self.programs.remove(program)

    def forget(self, program):
        self.bury(program)
        for peer in self.peers:
            peer.close()
        self.peers.clear()


class Broker(Fault):
    PROGRAM = "pons-broker"
    ECHO = service("Echo", method("echo", "idempotent"))

    def works(self):
        """A request goes through to an instance and back, with new connections."""
        worker = self.peer("worker", self.at)
        worker.hello([self.ECHO])
        worker.session = worker.expect(Kind.WELCOME, timeout_s=1).session
        worker.credit(1)
        worker.flush(1)
        asker = self.peer("asker", self.at)
        asker.hello()
        asker.expect(Kind.WELCOME, timeout_s=1)
        request = asker.request("Echo@" + worker.instance, "echo", "hi", deadline_s=1)
        worker.reply(worker.take(timeout_s=1), "hi")
        return asker.answer(request, timeout_s=1).data == "hi"

    def trial(self, call, n, error):
        self.at = f"ipc://{self.folder}/b{len(self.outcomes)}"
        program = self.start_broker(endpoints=[self.at], environment=self.environment(call, n, error), ready=False)
        try:
            return self.finish(program, self.works, error)
        finally:
            program.end()
            self.forget(program)

    def test_broker(self):
        self.sweep()


class Agent(Fault):
    BROKER = True
    PROGRAM = "pons-agent-echo"

    def trial(self, call, n, error):
        name = f"e{len(self.outcomes)}"
        program = self.start_agent("echo", "--name", name, environment=self.environment(call, n, error), ready=False)

        def works():
            with harness.Peer(self.endpoint, "asker") as asker:
                request = asker.open().request("echo@" + name, "say", {"text": "hi"}, deadline_s=1)
                return asker.answer(request, timeout_s=2).data["text"] == "hi"

        try:
            return self.finish(program, works, error)
        finally:
            program.end()
            self.bury(program)

    def test_agent(self):
        self.sweep()


class Up(Fault):
    """`pons up -d`: the caller and the supervisor that it leaves behind, each with a count of its own."""

    PROGRAM = "pons"

    def run_pons(self, *words, environment=None):
        """Exit status, and what was said. To a file: a supervisor that kept the caller's pipe would hold us."""
        own = {**os.environ, **harness.SANITIZERS, "PONS_RUNTIME_DIR": self.here, "PONS_STATE_DIR": self.here,
               "PONS_CONFIG": os.path.join(self.here, "pons.yaml"), **(environment or {})}
        with open(os.path.join(self.here, "said"), "w+", encoding="utf-8") as said:
            try:
                status = subprocess.run([harness.program("pons"), *words], env=own, cwd=self.here, stdout=said, stderr=said,
                                        timeout=PATIENCE_S * 2, check=False, stdin=subprocess.DEVNULL).returncode
            except subprocess.TimeoutExpired:
                status = None
            said.seek(0)
            return status, said.read()

    def left(self):
        """Processes that have the folder in their environment."""
        found = []
        for pid in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{pid}/environ", "rb") as file:
                    if f"PONS_RUNTIME_DIR={self.here}".encode() in file.read().split(b"\0"):
                        found.append(int(pid))
            except OSError:
                continue
        return found

    def end_all(self):
        """`pons down`; what it can't reach, for want of a pid file, is ended by its pid."""
        status, said = self.run_pons("down")
        due = time.monotonic() + PATIENCE_S
        while (left := self.left()) and time.monotonic() < due:
            os.sched_yield()
        for pid in left:
            os.kill(pid, harness.signal.SIGKILL)
        self.assertEqual(left, [], f"processes are left; down ended with {status}: {said}")

    def trial(self, call, n, error):
        self.here = os.path.join(self.folder, str(len(os.listdir(self.folder))))
        os.mkdir(self.here, 0o700)
        with open(os.path.join(self.here, "pons.yaml"), "w", encoding="utf-8") as file:
            file.write('broker: {listen: ["ipc://bus"]}\nagents: [{name: echo}]\nprofiles: [{name: one, agents: [echo]}]\n')
        environment = self.environment(call, n, error)
        status, said = self.run_pons("up", "-d", "--profile", "one", environment=environment)
        try:
            if status == 0:
                asked, answer = self.run_pons("call", "echo.say", '{"text":"hi"}')
                self.assertEqual(asked, 0, answer)
            else:
                said += self.supervisor_log()
                self.assertTrue(self.says(said, status, error), f"ended with {status} and says: {said}")
        finally:
            self.end_all()
        return "goes on" if status == 0 else f"ends with {status}"

    def says(self, text, status, error):
        """A supervisor whose report can't be written to its caller's pipe has nobody to say it to; the caller says what it
        has not heard."""
        return super().says(text, status, error) or (self.call == "write" and status in EXITS and "the fleet is not up" in text)

    def supervisor_log(self):
        texts = []
        for name in os.listdir(self.here):
            if name.endswith(".log"):
                with open(os.path.join(self.here, name), encoding="utf-8", errors="replace") as file:
                    texts.append(file.read())
        return "\n".join(texts)

    def test_up(self):
        self.sweep()


if __name__ == "__main__":
    which = {"broker": "Broker", "agent": "Agent", "up": "Up"}[sys.argv.pop(1)]
    harness.unittest.main(module="__main__", defaultTest=which)
