#!/usr/bin/python3
"""The operator's command: up, down, status, call, stream, sub, trace, config check, and the supervisor behind pons up."""

import json
import os
import re
import signal
import subprocess
import time

import harness
from harness import Peer

CONFIG = """
site: here
broker:
  listen: ["ipc://bus"]
  heartbeat: {{interval_ms: 50, timeout_ms: 500, idle_ms: 500}}
agents:
  - name: echo
    restart: {{burst: 3, within_ms: 60000, delay_ms: 10, delay_max_ms: 20}}
  - name: second
    program: pons-agent-echo
    instances: 2
    restart: {{burst: 3, within_ms: 60000, delay_ms: 10, delay_max_ms: 20}}
{agents}
profiles:
  - {{name: one, agents: [echo]}}
  - {{name: three, agents: [echo, second]}}
{profiles}
"""


class Ran:
    """What a run of the pons command did."""

    def __init__(self, done):
        self.status, self.out, self.err = done.returncode, done.stdout, done.stderr

    @property
    def json(self):
        return json.loads(self.out)

    @property
    def lines(self):
        return [json.loads(line) for line in self.out.splitlines()]

    def __repr__(self):
        return f"exit {self.status}\n{self.out}\n{self.err}"


class Command(harness.Fleet):
    BROKER = False

    def setUp(self):
        super().setUp()
        self.config = os.path.join(self.folder, "pons.yaml")
        self.configure()
        self.environment = {**os.environ, **harness.SANITIZERS, "PONS_CONFIG": self.config, "PONS_RUNTIME_DIR": self.folder,
                            "PONS_STATE_DIR": self.folder}
        self.addCleanup(self.end_fleet)

    def configure(self, agents="", profiles=""):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(agents=agents, profiles=profiles))

    def pons(self, *arguments, text=None, timeout_s=60, expect=0):
        """Runs the command and holds it to an exit status (None: any)."""
        done = subprocess.run([harness.program("pons"), *arguments], input=text, capture_output=True, text=True,
                              env=self.environment, cwd=self.folder, timeout=timeout_s, check=False)
        ran = Ran(done)
        for word in harness.FINDINGS:
            self.assertNotIn(word, ran.err)
        if expect is not None:
            self.assertEqual(ran.status, expect, ran)
        return ran

    def supervisor_pid(self):
        try:
            with open(os.path.join(self.folder, "pons.pid"), encoding="ascii") as file:
                return int(file.read().split()[0])
        except (OSError, ValueError, IndexError):
            return 0

    def end_fleet(self):
        """Stops what a failed test may have left, by the ids that it has started."""
        pid = self.supervisor_pid()
        if pid and is_alive(pid):
            self.pons("down", expect=None)
        if pid and is_alive(pid):
            os.kill(pid, signal.SIGKILL)

    def up(self, profile="one"):
        self.pons("up", "-d", "--profile", profile)

    def processes(self):
        """The supervisor's processes by name."""
        return {row["name"]: row for row in self.pons("status", "--json", expect=None).json["supervisor"]["processes"]}

    def wait_for(self, what, condition):
        """Asks `pons status` until condition(processes) holds."""
        due = time.monotonic() + harness.DEADLINE_S
        while not condition(rows := self.processes()):
            self.assertLess(time.monotonic(), due, f"{what}: {rows}")

    def bus(self):
        """A peer beside the command."""
        made = Peer(f"ipc://{self.folder}/bus", "tester").open()
        self.peers.append(made)
        return made


def is_alive(pid):
    """Whether a process is there and not a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in ("Z", "X")
    except OSError:
        return False


class TwoBrokers(Command):
    def configure(self, agents="", profiles=""):
        super().configure(agents, profiles)
        with open(self.config, "a", encoding="utf-8") as file:
            file.write('other_broker: {endpoints: ["ipc://second"], run: true}\n')

    def test_both_run_and_status_shows_both(self):
        self.up("three")
        rows = self.processes()
        self.assertEqual(len(rows), 5)
        self.assertEqual(rows["broker@pc2"]["endpoints"], [f"ipc://{self.folder}/second"])
        status = self.pons("status", "--json").json
        self.assertEqual([(row["name"], row["preferred"], row["answers"], row["instances"]) for row in status["brokers"]],
                         [("here", True, True, 3), ("pc2", False, True, 3)])
        self.assertIn("broker pc2 (second) knows 3 instances", self.pons("status").out)
        asked_us = time.time() * 1e6
        ran = self.pons("--endpoint", f"ipc://{self.folder}/second", "call", "echo.say", '{"text": "hi"}', "--verbose")
        request = next(word for word in ran.err.split() if len(word.split("-")[0]) == 16 and "-" in word)
        trace = self.pons("trace", request, "--json")  # though the other one is preferred, and knows nothing of it
        self.assertEqual({step["broker"] for step in trace.json["steps"]}, {"pc2"}, trace.err)
        self.assertLess(abs(trace.json["steps"][0]["at_us"] - asked_us), 60e6)
        self.pons("down")
        self.assertFalse([row["name"] for row in rows.values() if is_alive(row["pid"])])

    def test_the_first_is_killed(self):
        """Requests go to the other one meanwhile; the supervisor brings it back, and the agents return to it."""
        self.up("three")
        killed = self.processes()["broker"]["pid"]
        os.kill(killed, signal.SIGKILL)
        self.assertEqual(self.pons("call", "echo.say", '{"text": "hi"}', "--json").json["text"], "hi")
        self.wait_for("the broker is back", lambda rows: rows["broker"]["pid"] not in (0, killed))
        due = time.monotonic() + harness.DEADLINE_S
        while not all(row["instances"] == 3 for row in self.pons("status", "--json", expect=None).json["brokers"]):
            self.assertLess(time.monotonic(), due, "the agents did not register again")
        self.pons("down")


class Fleet(Command):
    def test_up_status_call_down(self):
        self.up("three")
        status = self.pons("status", "--json").json
        rows = {row["name"]: row for row in status["supervisor"]["processes"]}
        self.assertEqual(status["supervisor"]["state"], "ready")
        self.assertEqual(len(rows), 4)
        self.assertTrue(all(row["state"] == "ready" and is_alive(row["pid"]) for row in rows.values()))
        self.assertEqual(len(status["registry"]["instances"]), 3)
        self.assertIn("echo", self.pons("status").out)
        self.assertEqual(self.pons("call", "echo.say", '{"text": "hi"}', "--json").json["text"], "hi")
        self.pons("down")
        self.assertFalse([row["name"] for row in rows.values() if is_alive(row["pid"])])
        self.assertEqual(self.pons("status", expect=2).status, 2)
        self.pons("call", "echo.say", '{"text": "hi"}', "--timeout", "300", expect=3)
        self.pons("down", expect=3)

    def test_up_twice(self):
        self.up()
        again = self.pons("up", "-d", "--profile", "one", expect=None)
        self.assertNotEqual(again.status, 0)
        self.assertIn("pons", again.err)
        self.assertEqual(self.pons("call", "echo.say", '{"text": "still"}', "--json").json["text"], "still")

    def test_up_after_down(self):
        self.up()
        self.pons("down")
        self.up()
        self.pons("call", "echo.say", '{"text": "hi"}')

    def test_unknown_profile(self):
        ran = self.pons("up", "-d", "--profile", "nonesuch", expect=2)
        self.assertIn("nonesuch", ran.err)

    def test_foreground(self):
        """Prints what the agents say behind their names, and SIGTERM ends all of it in order."""
        up = subprocess.Popen([harness.program("pons"), "up", "--profile", "one"], env=self.environment, cwd=self.folder,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(up.stdout.close)
        self.addCleanup(lambda: up.poll() is None and up.kill())
        lines = []
        for line in up.stdout:
            lines.append(line)
            if "all 2 ready" in line:
                break
        self.assertTrue(any("all 2 ready" in line for line in lines), lines)
        for name, words in (("broker", "PONS-BROKER-READY"), ("echo", "PONS-AGENT-OPEN")):
            said = [line for line in lines if words in line]
            self.assertTrue(said and all(re.match(rf"{name} *\| ", line) for line in said), lines)
        pids = [row["pid"] for row in self.processes().values()]
        up.send_signal(signal.SIGTERM)
        rest, _ = up.communicate(timeout=60)
        self.assertEqual(up.returncode, 0, rest)
        self.assertFalse([pid for pid in pids if is_alive(pid)])

    def test_supervisor_killed(self):
        """Its children end when it ends, however it ends."""
        self.up("three")
        pids = [row["pid"] for row in self.processes().values()]
        os.kill(self.supervisor_pid(), signal.SIGKILL)
        due = time.monotonic() + harness.DEADLINE_S
        while [pid for pid in pids if is_alive(pid)]:
            self.assertLess(time.monotonic(), due, "children outlive their supervisor")
        self.up("three")

    def test_agent_killed_is_restarted(self):
        self.up()
        pid = self.processes()["echo"]["pid"]
        os.kill(pid, signal.SIGKILL)
        self.wait_for("restarted", lambda rows: rows["echo"]["state"] == "ready" and rows["echo"]["pid"] not in (0, pid))
        self.assertEqual(self.processes()["echo"]["restarts"], 1)
        self.assertEqual(self.pons("call", "echo.say", '{"text": "again"}', "--json").json["text"], "again")

    def test_broker_killed_is_restarted(self):
        self.up()
        os.kill(self.processes()["broker"]["pid"], signal.SIGKILL)
        self.wait_for("restarted", lambda rows: rows["broker"]["state"] == "ready" and rows["broker"]["restarts"] == 1)
        self.wait_for("registered", lambda rows: rows["echo"]["instance"])
        self.assertEqual(self.pons("call", "echo.say", '{"text": "again"}', "--json").json["text"], "again")

    def test_agent_that_keeps_dying_is_degraded(self):
        """The budget ends the loop; the rest goes on, and status says so."""
        self.up()
        for _ in range(4):
            pid = self.processes()["echo"]["pid"]
            os.kill(pid, signal.SIGKILL)
            self.wait_for("gone", lambda rows, old=pid: rows["echo"]["state"] in ("ready", "degraded") and rows["echo"]["pid"] != old)
        self.wait_for("degraded", lambda rows: rows["echo"]["state"] == "degraded")
        ran = self.pons("status", expect=1)
        self.assertIn("degraded", ran.out + ran.err)

    def test_a_group_that_keeps_dying_is_degraded(self):
        """Each agent is within its own budget; together they spend their group's."""
        restart = "restart: {burst: 100, within_ms: 60000, delay_ms: 1, delay_max_ms: 2}"
        self.configure(agents="".join(f"  - {{name: {name}, program: /bin/false, group: weak, {restart}}}\n" for name in ("a", "b")) +
                              "groups:\n  - {name: weak, burst: 4, within_ms: 60000}\n",
                       profiles="  - {name: bad, agents: [echo, a, b]}")
        self.pons("up", "-d", "--profile", "bad", expect=1)
        rows = self.processes()
        self.assertEqual([rows[name]["state"] for name in ("a", "b", "echo")], ["degraded", "degraded", "ready"])
        self.assertLessEqual(rows["a"]["restarts"] + rows["b"]["restarts"], 4)

    def test_json(self):
        """What up, status, agents and down print with --json."""
        up = self.pons("up", "-d", "--profile", "three", "--json").json
        self.assertEqual((up["state"], up["profile"], len(up["processes"])), ("ready", "three", 4))
        self.assertEqual(self.pons("status", "--json").json["supervisor"]["pid"], up["pid"])
        second = next(row for row in self.pons("agents", "--json").json if row["name"] == "second")
        self.assertEqual((second["instances"], second["program"]), (2, "pons-agent-echo"))
        self.assertIn("three", second["profiles"])
        self.assertEqual(self.pons("down", "--json").json, {"state": "stopped", "pid": up["pid"]})
        self.assertEqual(self.pons("status", "--json", expect=2).json, {"supervisor": None, "registry": None, "brokers": []})

    def test_a_secret_is_nowhere(self):
        """An agent gets its secret; no output, log, status or command line has it."""
        with open(os.path.join(self.folder, "key"), "w", encoding="utf-8") as file:
            file.write("hunter2-very-secret\n")
        os.chmod(os.path.join(self.folder, "key"), 0o600)
        self.configure(agents="  - {name: paid, program: pons-agent-echo, environment: [{name: API_KEY, secret: {file: key}}]}",
                       profiles="  - {name: paid, agents: [paid]}")
        seen = repr(self.pons("up", "-d", "--profile", "paid", "--verbose"))
        pids = {name: row["pid"] for name, row in self.processes().items()}
        with open(f"/proc/{pids['paid']}/environ", encoding="utf-8") as file:
            self.assertIn("API_KEY=hunter2-very-secret", file.read().split("\0"))
        for pid in (*pids.values(), self.supervisor_pid()):
            with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
                seen += file.read()
        with open(f"/proc/{pids['broker']}/environ", encoding="utf-8") as file:
            seen += file.read()
        seen += repr(self.pons("status")) + repr(self.pons("status", "--json")) + repr(self.pons("config", "check", "--show", "--json"))
        self.pons("down")
        with open(os.path.join(self.folder, "pons.log"), encoding="utf-8") as file:
            seen += file.read()
        self.assertIn("paid", seen)
        self.assertNotIn("hunter2", seen)

    def test_agent_that_can_not_start(self):
        self.configure(agents="  - {name: broken, program: /bin/false, restart: {burst: 2, within_ms: 60000, delay_ms: 1, delay_max_ms: 2}}",
                       profiles="  - {name: bad, agents: [echo, broken]}")
        ran = self.pons("up", "-d", "--profile", "bad", expect=1)
        self.assertIn("broken", ran.out + ran.err)
        rows = self.processes()
        self.assertEqual((rows["broken"]["state"], rows["echo"]["state"]), ("degraded", "ready"))

    def test_agent_that_never_becomes_ready(self):
        self.configure(agents="  - {name: mute, program: /bin/cat, start_timeout_ms: 200, restart: {burst: 0, within_ms: 60000}}",
                       profiles="  - {name: bad, agents: [mute]}")
        ran = self.pons("up", "-d", "--profile", "bad", expect=1)
        self.assertIn("mute", ran.out + ran.err)

    def test_down_lets_work_end(self):
        self.up()
        bus = self.bus()
        request = bus.request("echo", "work", {"wait_ms": 700})
        bus.flush()
        self.pons("down")
        self.assertEqual(bus.answer(request).data["done"], 1)


class Asking(Command):
    def setUp(self):
        super().setUp()
        self.up("three")

    def test_call_forms(self):
        self.assertEqual(self.pons("call", "echo.say", "-", "--json", text='{"text": "from stdin"}').json["text"], "from stdin")
        self.assertTrue(self.pons("call", "pons.ping", "--json").json["broker"])
        rows = self.pons("call", "echo@*.say", '{"text": "all"}', "--json").lines
        self.assertEqual(rows[-1], {"asked": 3, "answered": 3})
        self.assertEqual({row["body"]["text"] for row in rows[:-1]}, {"all"})

    def test_call_refusals(self):
        cases = ((("nobody.say", "{}"), "NO_SERVICE"), (("echo.sing", "{}"), "NO_METHOD"),
                 (("echo.fail", '{"status": 19, "message": "no"}'), "DENIED"),
                 (("echo.say", '{"text": "long", "repeat": 1000}'), "OK"))
        for arguments, status in cases:
            with self.subTest(arguments):
                ran = self.pons("call", *arguments, "--json", expect=0 if status == "OK" else 1)
                self.assertEqual(ran.json.get("error", {}).get("status", "OK"), status)
                if status != "OK":
                    self.assertIn(status, self.pons("call", *arguments, expect=1).err)

    def test_refused_before_it_is_sent(self):
        """What does not fit the contract does not leave the command."""
        for body, path in (('{"text": 5}', "text"), ('{"text": "a", "wrong": 1}', "wrong"), ("{}", "text")):
            with self.subTest(body):
                ran = self.pons("call", "echo.say", body, expect=1)
                self.assertIn(f"INVALID: {path}", ran.err)
                error = self.pons("call", "echo.say", body, "--json", expect=1).json["error"]
                self.assertEqual((error["status"], error["path"]), ("INVALID", path))

    def test_deadline(self):
        error = self.pons("call", "echo.work", '{"wait_ms": 60000}', "--timeout", "200", "--json", expect=1).json["error"]
        self.assertEqual(error["status"], "DEADLINE")

    def test_usage(self):
        for arguments in (("call",), ("call", "echo"), ("call", "echo.say", "{not json"), ("frobnicate",), ("--frob",), ("sub",),
                          ("status", "--count", "3"), ("call", "echo.say", "{}", "--timeout", "soon")):
            with self.subTest(arguments):
                ran = self.pons(*arguments, expect=2)
                self.assertTrue(ran.err.startswith("pons: "), ran)

    def test_stream(self):
        ran = self.pons("stream", "echo.stream", '{"text": "la ", "pieces": 4, "delay_ms": 5}')
        self.assertEqual(ran.out.strip(), "la la la la")
        rows = self.pons("stream", "echo.stream", '{"text": "la", "pieces": 3}', "--json").lines
        self.assertEqual(rows, [{"piece": "la"}] * 3 + [{"end": {"pieces": 3}}])

    def test_sub(self):
        bus = self.bus()
        bus.publish("test.a", {"n": 1}, sequence=1, retain=True)
        bus.publish("test.b", {"n": 2}, sequence=1, retain=True)
        bus.flush()
        rows = self.pons("sub", "test.*", "--count", "2", "--json").lines
        self.assertEqual({row["topic"]: row["body"] for row in rows}, {"test.a": {"n": 1}, "test.b": {"n": 2}})
        self.assertTrue(all(row["retained"] for row in rows))
        self.assertIn("test.a", self.pons("sub", "test.a", "--count", "1").out)
        self.pons("sub", "test.never", "--count", "1", "--timeout", "200", expect=1)

    def test_what_this_broker_has_not(self):
        for command in (["flags", "list"], ["lease", "list"], ["deadletter", "list"], ["lead"], ["call", "echo.say", '{"text": "x"}', "--durable"]):
            self.assertIn("authority.node is none", self.pons(*command, expect=1).err)

    def test_a_stream_of_what_streams_nothing(self):
        self.assertEqual(json.loads(self.pons("stream", "echo.say", '{"text": "hi"}').out)["text"], "hi")
        self.assertEqual(self.pons("stream", "echo.stream", '{"text": "la", "pieces": 2}').out.strip(), "lala")

    def test_pub(self):
        bus = self.bus()
        bus.subscribe("test.*")
        self.assertEqual(self.pons("pub", "test.a", '{"n": 7}', "--retain", "--json").json, {"topic": "test.a", "bytes": 4})
        event = bus.expect(harness.Kind.EVENT)
        self.assertEqual((event.service, event.data), ("test.a", {"n": 7}))
        self.assertIn('test.a {"n":7}', self.pons("sub", "test.a", "--count", "1").out)
        self.assertEqual(self.pons("pub", "test.b", "-", text='"words"').out, "")
        self.assertEqual(bus.expect(harness.Kind.EVENT).data, "words")
        self.pons("pub", "test.a", "--retain")
        self.pons("sub", "test.a", "--count", "1", "--timeout", "200", expect=1)
        self.assertIn("no topic", self.pons("pub", "test.*", expect=2).err)
        self.assertIn("no JSON", self.pons("pub", "test.a", "{", expect=2).err)
        self.assertIn("BAD_NAME", self.pons("pub", "pons.flags.x", expect=1).err)

    def test_who_stops_reading_ends_it(self):
        bus = self.bus()
        bus.publish("test.a", {"n": 1}, sequence=1, retain=True)
        bus.flush()
        for arguments, goes_on in ((["sub", "test.a"], lambda n: bus.publish("test.a", {"n": n}, sequence=n, retain=True)),
                                   (["stream", "echo.stream", '{"text": "la\\n", "pieces": 1000, "delay_ms": 50}'], lambda n: None)):
            with self.subTest(arguments[0]):
                process = subprocess.Popen([harness.program("pons"), *arguments], env=self.environment, cwd=self.folder,
                                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
                self.addCleanup(lambda process=process: process.poll() is None and process.kill())
                self.assertTrue(process.stdout.readline())
                process.stdout.close()
                due = time.monotonic() + harness.DEADLINE_S
                for n in range(2, 100000):
                    goes_on(n)
                    bus.flush()
                    try:
                        process.wait(timeout=0.05)
                        break
                    except subprocess.TimeoutExpired:
                        self.assertLess(time.monotonic(), due)

    def test_trace(self):
        ran = self.pons("call", "echo.say", '{"text": "hi"}', "--verbose")
        request = next(word for word in ran.err.split() if len(word.split("-")[0]) == 16 and "-" in word)
        trace = self.pons("trace", request, "--json").json
        steps = [step["step"].upper() for step in trace["steps"]]
        self.assertEqual((steps[0], steps[-1]), ("RECEIVED", "REPLIED"))
        self.assertIn("REPLIED", self.pons("trace", request).out)

    def test_contract(self):
        rows = self.pons("contract", "show", "echo.say", "--json").json
        self.assertEqual(rows[0]["request"]["required"], ["text"])
        self.assertIn("echo", self.pons("contract", "list").out)

    def test_bench(self):
        row = self.pons("bench", "--seconds", "1", "--json").json
        row = row[0] if isinstance(row, list) else row
        self.assertGreater(row["ok"], 0)
        self.assertFalse(row["errors"])


class Foreign(Command):
    """The command and a peer in Python, written from the document, understand each other."""

    def setUp(self):
        super().setUp()
        self.up()

    def start_pons(self, *arguments):
        """The command beside the test, which answers it."""
        process = subprocess.Popen([harness.program("pons"), *arguments], env=self.environment, cwd=self.folder,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        return process

    def agent(self, *services, **more):
        made = Peer(f"ipc://{self.folder}/bus", "python")
        self.peers.append(made)
        return made.open(*services, **more)

    def finish(self, process):
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, err)
        return out

    def test_call(self):
        worker = self.agent(harness.service("Py", harness.method("add", "idempotent")))
        process = self.start_pons("call", "Py.add", '{"a": 1, "b": [2, null, -3.5, "ü"]}', "--json")
        message = worker.take()
        self.assertEqual(message.data, {"a": 1, "b": [2, None, -3.5, "ü"]})
        worker.reply(message, {"sum": 2**63, "text": "ja"})
        self.assertEqual(json.loads(self.finish(process)), {"sum": 2**63, "text": "ja"})

    def test_stream(self):
        worker = self.agent(harness.service("Py", harness.method("say", "idempotent", "streaming")))
        process = self.start_pons("stream", "Py.say", "{}")
        message = worker.take()
        self.assertTrue(message.flags & harness.Flag.STREAM)
        for n, word in enumerate(("one ", "two ", "three")):
            worker.chunk(message, n, harness.packed(word))
        worker.reply(message, None, number=3)
        self.assertEqual(self.finish(process).strip(), "one two three")

    def test_lost(self):
        worker = self.agent(harness.service("Py", harness.method("do", "once")))
        process = self.start_pons("call", "Py.do", "{}", "--json")
        worker.take()
        worker.close()
        out, _ = process.communicate(timeout=60)
        self.assertEqual((process.returncode, json.loads(out)["error"]["status"]), (1, "WORKER_LOST"))

    def test_mismatch_is_shown(self):
        """An agent that was built from another contract."""
        self.agent(calls=[{"service": "echo", "method": "say", "hash": 4711}])
        ran = self.pons("status", expect=1)
        self.assertIn("CONTRACT MISMATCH", ran.out + ran.err)
        rows = self.pons("status", "--json", expect=1).json["registry"]["mismatches"]
        self.assertEqual([(row["caller"].split(":")[0], row["service"], row["method"]) for row in rows], [("python", "echo", "say")])


class Manual(Command):
    """docs/pons.1.md has the commands and options of the program, and no others."""

    def setUp(self):
        super().setUp()
        with open(os.path.join(os.path.dirname(__file__), "../../docs/pons.1.md"), encoding="utf-8") as file:
            self.manual = file.read()

    def test_commands(self):
        commands = re.findall(r"^  ([a-z]+) ", self.pons("--help").out, re.M)
        sections = re.findall(r"^### (.*)$", self.manual, re.M)
        self.assertEqual(sorted(commands), sorted(name for section in sections for name in section.split(", ")))
        self.assertGreater(len(commands), 10)

    def test_options(self):
        options = set()
        for command in re.findall(r"^  ([a-z]+) ", self.pons("--help").out, re.M):
            options |= set(re.findall(r"--[a-z]+", self.pons("help", command).out))
        named = set(re.findall(r"--[a-z]+", self.manual)) - {"--name"}
        self.assertEqual(options, named)


class Output(Command):
    def test_what_can_not_be_written_is_no_success(self):
        for arguments in (["version"], ["help", "up"], ["agents", "--json"], ["contract", "list"]):
            with self.subTest(arguments), open("/dev/full", "w", encoding="ascii") as full:
                done = subprocess.run([harness.program("pons"), *arguments], stdout=full, stderr=subprocess.PIPE, text=True,
                                      env=self.environment, cwd=self.folder, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertIn("No space left", done.stderr)

    def test_help_as_json(self):
        self.assertIn("usage: pons up", self.pons("help", "up", "--json").json["text"])
        self.assertEqual(self.pons("--help", "--json").json["command"], "")


class Crash(Command):
    def test_records_are_listed_and_shown(self):
        record = os.path.join(self.folder, "crash-echo.old")
        with open(record, "w", encoding="ascii") as file:
            file.write("pons-crash 1\nprogram echo\ntime_us 1700000000000000\nsignal 11 SIGSEGV\nframe 0 0x10\nend\n")
        running = os.path.join(self.folder, "crash-broker")
        with open(running, "w", encoding="ascii"):
            pass
        self.assertEqual(self.pons("crash", "--json").json,
                         [{"time_us": 1700000000000000, "program": "echo", "signal": "SIGSEGV", "record": record}])
        self.assertRegex(self.pons("crash").out, f"echo +SIGSEGV +{record}")
        self.assertIn("frame 0 0x10", self.pons("crash", record).out)
        self.assertEqual(self.pons("crash", record, "--json").json["record"], record)
        self.assertIn("is no crash record", self.pons("crash", running, expect=1).err)
        self.assertIn("No such file", self.pons("crash", "nowhere", expect=1).err)
        os.remove(record)
        self.assertIn("no process has left", self.pons("crash").err)

    def test_each_process_of_the_fleet_leaves_one(self):
        if harness.sanitized():
            self.skipTest("the sanitizer takes crashes for itself")
        self.up()
        for name in ("echo", "broker"):
            with self.subTest(name):
                os.kill(self.processes()[name]["pid"], signal.SIGSEGV)
                self.wait_for(f"{name} is back", lambda rows: rows[name]["restarts"] == 1 and rows[name]["state"] == "ready")
        records = {os.path.basename(row["record"]): row["signal"] for row in self.pons("crash", "--json").json}
        self.assertEqual(records, {"crash-echo.old": "SIGSEGV", "crash-broker.old": "SIGSEGV"})
        self.pons("down")
        self.assertEqual(sorted(name for name in os.listdir(self.folder) if name.startswith("crash-")), sorted(records))


class Configuration(Command):
    def test_good(self):
        self.assertTrue(self.pons("config", "check", "--json").json["ok"])
        self.assertIn("listen", self.pons("config", "check", "--show").out)

    def test_errors_say_where(self):
        with open(self.config, "w", encoding="utf-8") as file:
            file.write("site: here\nbroker:\n  limits:\n    session: 5\nlog: {level: loud}\n")
        ran = self.pons("config", "check", expect=2)
        self.assertIn("pons.yaml:4:", ran.err + ran.out)
        self.assertIn("pons.yaml:5:", ran.err + ran.out)
        self.assertIn("sessions", ran.err + ran.out)
        found = self.pons("config", "check", "--json", expect=2).json
        self.assertEqual((found["ok"], re.findall(r"pons.yaml:(\d+):", " ".join(found["findings"]))), (False, ["4", "5"]))
        self.pons("up", "-d", expect=2)

    def test_secrets_are_not_printed(self):
        secret = os.path.join(self.folder, "key")
        with open(secret, "w", encoding="utf-8") as file:
            file.write("hunter2-very-secret\n")
        os.chmod(secret, 0o600)
        self.configure(agents="  - {name: paid, program: pons-agent-echo, environment: [{name: API_KEY, secret: {file: key}}]}")
        shown = self.pons("config", "check", "--show")
        self.assertNotIn("hunter2", shown.out + shown.err)
        os.remove(secret)
        missing = self.pons("config", "check", expect=2)
        self.assertIn("key", missing.err + missing.out)

    def test_keys_that_nobody_has_made_are_said_once(self):
        with open(self.config, "a", encoding="utf-8") as file:
            file.write("keys: {dir: keys}\n")
        for command in (["up", "-d"], ["call", "pons.ping"], ["config", "check"]):
            self.assertEqual(self.pons(*command, expect=2).err.count("`pons keys init` makes them"), 1, command)

    def test_keys_of_those_it_talks_with(self):
        """Said before anything is started: brokers would give up one after the other."""
        with open(self.config, "a", encoding="utf-8") as file:
            file.write("keys: {dir: keys}\nother_broker: {name: there, endpoints: [\"tcp://192.0.2.1:7100\"]}\n"
                       "authority: {node: a, peer: \"tcp://192.0.2.1:7102\", witness: \"tcp://192.0.2.2:7103\"}\n")
        self.pons("keys", "init")
        for command in (["up", "-d"], ["config", "check"]):
            said = self.pons(*command, expect=2).err
            self.assertIn("has no key broker.there (other_broker.name), with whom this broker is to talk; `pons keys init` on its machine", said)
            self.assertIn("has no key witness, with whom this broker is to talk; `pons keys add witness --role witness` where it runs", said)
        self.pons("keys", "add", "witness", "--role", "witness")
        self.pons("keys", "add", "broker.there", "--role", "broker")
        self.assertIn("is good", self.pons("config", "check").out)
        self.pons("keys", "revoke", "witness")
        self.assertIn("has no key witness", self.pons("config", "check", expect=2).err)

    def test_environment_over_file(self):
        self.environment["PONS_BROKER_LIMITS_SESSIONS"] = "77"
        self.assertIn("sessions: 77", self.pons("config", "check", "--show").out)
        self.environment["PONS_BROKER_LIMITS_SESSIONS"] = "many"
        self.assertIn("PONS_BROKER_LIMITS_SESSIONS", self.pons("config", "check", expect=2).err)


if __name__ == "__main__":
    harness.main()
