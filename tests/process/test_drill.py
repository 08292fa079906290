#!/usr/bin/python3
"""`pons drill`, shortened: whatever is killed, frozen or cut, nothing is lost, UNKNOWN, failed or done twice. How long it took is
printed, for a person: this machine has other work. Labs need root; the rest runs anywhere."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import xml.etree.ElementTree

import harness

TIMES = os.environ.get("PONS_DRILL_TIMES", "1")
QUICK = ("--rate", "200", "--seconds", "3" if TIMES == "1" else "2", "--no-time-bounds")
LASTING_S = 120
MOVES = ("the holder is killed", "holder and leading broker are killed", "the leading broker stands still",
         "the holder is killed while the leading broker stands still")


def can_lab():
    """Whether network namespaces can be made here."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "--net", "ip", "link"], capture_output=True, check=False).returncode == 0


def can_chat():
    return all(harness.has(f"pons-agent-{name}") for name in ("request_coordinator", "model_manager_suite", "tiny_llama_service_enhanced",
                                                              "remote_api_adapter")) and harness.has("../tests/mock-provider")


def lab_processes(pid):
    """What runs for the lab of a drill: its folder has the drill's process id in its name."""
    mark, found = f"pons-drill-{pid}-".encode(), []
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{entry}/environ", "rb") as environment, open(f"/proc/{entry}/cmdline", "rb") as words:
                if mark in environment.read() + words.read():
                    found.append(int(entry))
        except OSError:
            continue  # it has just ended
    return found


def lab_folders(pid):
    folder = tempfile.gettempdir()
    return [os.path.join(folder, name) for name in os.listdir(folder) if name.startswith(f"pons-drill-{pid}-")]


def a_turn(drill):
    """A turn for the others, or the drill's end."""
    try:
        drill.process.wait(0.02)
    except subprocess.TimeoutExpired:
        pass


class Drills(harness.Fleet):
    BROKER = False

    def begin(self, *arguments):
        drill = self.start("pons", "--json", "drill", *arguments, ready=False)
        drill.expects = (0, 1, 2, 130)
        return drill

    def drill(self, *arguments):
        """The exit status, the report (None = there is none), and all that it said."""
        drill = self.begin(*arguments)
        status = drill.wait(LASTING_S * int(TIMES) + LASTING_S)
        lines = [line for line in drill.log().splitlines() if line.startswith("{")]
        self.assertEqual((lab_processes(drill.pid), lab_folders(drill.pid)), ([], []))
        return status, json.loads(lines[-1]) if lines else None, drill.log()

    def expect_passed(self, name, *arguments):
        status, report, log = self.drill(name, *QUICK, "--times", TIMES, *arguments)
        self.assertEqual(status, 0, log)
        self.assertTrue(report["passed"])
        self.assertGreaterEqual(len(report["runs"]), int(TIMES))
        for run in report["runs"]:
            for load in run["loads"]:
                self.assertGreater(load["sent"], 0)
                self.assertEqual((load["answered"], load["unknown"], load["lost"], load["failed"], load.get("twice", 0), load["errors"]),
                                 (load["sent"], 0, 0, 0, 0, {}))
                self.assertEqual(load.get("done", load["sent"]), load["sent"])
                print(f"{name} run {run['run']} from {load['from']}: pause {load['pause_us'] / 1000:.1f} ms, "
                      f"before the event {load['pause_calm_us'] / 1000:.1f} ms")
        return report


@unittest.skipUnless(can_lab(), "network namespaces can't be made here")
class InALab(Drills):
    LAB = ("--lab", "--agents", "4", "--silence", "600")  # who merely waits for its processor is not taken for dead

    def test_broker_kill(self):
        report = self.expect_passed("broker-kill", *self.LAB)
        led = {lead["broker"] for lead in report["runs"][0]["leads"] if lead["leads"]}
        self.assertEqual(led, {0, 1})

    def test_broker_freeze(self):
        self.expect_passed("broker-freeze", *self.LAB)

    def test_handover(self):
        self.expect_passed("handover", *self.LAB)

    def test_upgrade(self):
        self.expect_passed("upgrade", *self.LAB, "--seconds", "60")

    def test_link_cut(self):
        report = self.expect_passed("link-cut", *self.LAB)
        self.assertEqual({(load["from"], load["method"]) for load in report["runs"][0]["loads"]},
                         {("mainpc", "once"), ("pc2", "idempotent")})

    def test_link_cut_oneway(self):
        self.expect_passed("link-cut-oneway", *self.LAB)

    @unittest.skipUnless(can_chat(), "the chain of a chat is not built")
    def test_worker(self):
        report = self.expect_passed("worker", *self.LAB, "--rate", "1000", "--seconds", "8")
        load = report["runs"][0]["loads"][0]
        self.assertEqual((load["from"], load["method"], load["rate"]), ("mainpc", "chat", 20))
        self.assertLess(load["during"]["bus_us"], load["during"]["max_us"])  # the model says how long it took itself

    @unittest.skipUnless(can_chat(), "the chain of a chat is not built")
    def test_provider(self):
        self.expect_passed("provider", *self.LAB, "--rate", "1000")

    def expect_moves(self, *arguments):
        report = self.expect_passed("singleton", *self.LAB, *arguments)  # the load goes on for as long as the lease moves
        for run in report["runs"]:
            self.assertEqual([(move["what"], move["twice"]) for move in run["moves"]], [(what, False) for what in MOVES])
            for move in run["moves"]:
                self.assertEqual(move["bound_us"], 2100000)
                print(f"singleton run {run['run']}: {move['what']}: nobody for {move['away_us'] / 1000:.1f} ms")

    def test_singleton(self):
        self.expect_moves()

    def test_singleton_with_one_broker(self):
        """Nobody leads in its place: the holder alone is killed."""
        report = self.expect_passed("singleton", *self.LAB, "--one-broker")
        self.assertEqual([move["what"] for move in report["runs"][0]["moves"]], [MOVES[0]])

    def test_what_is_lost_is_said(self):
        """One broker that stands still for longer than a caller waits: the same drill fails, with figures that add up."""
        status, report, log = self.drill("broker-freeze", *QUICK, *self.LAB, "--one-broker", "--timeout", "500")
        self.assertEqual(status, 1, log)
        load = report["runs"][0]["loads"][0]
        self.assertEqual(load["sent"], load["answered"] + load["unknown"] + load["lost"] + load["failed"])
        self.assertGreater(load["unknown"] + load["lost"] + load["failed"], 0)
        self.assertEqual(load["unknown"], load["errors"].get("UNKNOWN", 0))
        self.assertTrue(report["runs"][0]["findings"])
        self.assertGreater(load["pause_us"], 500000)  # it is the event that lasted so long

    def test_nothing_is_left_when_it_is_stopped(self):
        """SIGTERM while the cable is cut: processes and folder are gone, and the namespaces with them, which have no name and no
        other holder. With SIGKILL the folder alone stays."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            drill = self.begin("link-cut", *QUICK, *self.LAB, "--verbose")
            due = time.monotonic() + harness.DEADLINE_S
            while "the cable is cut" not in drill.log():
                self.assertLess(time.monotonic(), due, drill.log())
                a_turn(drill)
            self.assertGreater(len(lab_processes(drill.pid)), 4)
            drill.signal(number)
            if number == signal.SIGTERM:
                self.assertEqual(drill.wait(), 130)
                self.assertEqual(lab_folders(drill.pid), [])
            else:
                drill.expects = (-number,)
                drill.wait()
                for folder in lab_folders(drill.pid):
                    shutil.rmtree(folder)
            while lab_processes(drill.pid):
                self.assertLess(time.monotonic(), due)



@unittest.skipUnless(can_lab(), "network namespaces can't be made here")
class InALabWithoutWitness(InALab):
    """The same; that one who only takes care leads nobody is a matter of authority, and none of requests."""

    LAB = (*InALab.LAB, "--no-witness")
    test_what_is_lost_is_said = test_nothing_is_left_when_it_is_stopped = test_singleton_with_one_broker = None
    if TIMES == "1":  # what a witness has no part in is done with one
        test_broker_freeze = test_handover = test_upgrade = test_link_cut = test_link_cut_oneway = test_worker = test_provider = None

    def test_broker_kill(self):
        self.expect_passed("broker-kill", *self.LAB)


class AtALiveFleet(Drills):
    """`pons up` with both brokers of a pair on this machine."""

    KEYS = ""
    AUTHORITY = False

    def setUp(self):
        super().setUp()
        self.config = os.path.join(self.folder, "pons.yaml")
        ports = [harness.free_port() for _ in range(4)]
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f'broker: {{listen: ["tcp://127.0.0.1:{ports[0]}", "ipc://broker.sock"]}}\n'
                       "profile: drill\nprofiles:\n  - {name: drill, agents: [echo]}\n" + self.KEYS + self.describe(*ports[1:]))
        if self.KEYS:
            self.pons("keys", "init")
        self.pons("up", "--detach")
        self.addCleanup(self.pons, "down")

    def describe(self, second, listen, peer):
        authority = f'authority: {{node: a, listen: "tcp://127.0.0.1:{listen}", peer: "tcp://127.0.0.1:{peer}"}}\n' if self.AUTHORITY else ""
        return f'other_broker: {{endpoints: ["tcp://127.0.0.1:{second}"], run: true}}\n{authority}'

    def pons(self, *arguments):
        command = self.start("pons", "--config", self.config, *arguments, environment=harness.PATIENT_HEARTBEATS, ready=False)
        self.assertEqual(command.wait(), 0, command.log())

    def test_broker_freeze(self):
        self.expect_passed("broker-freeze", "--config", self.config)

    def test_broker_kill(self):
        """And its timeline."""
        path = os.path.join(self.folder, "drill.svg")
        self.expect_passed("broker-kill", "--config", self.config, "--svg", path)
        texts = [element.text for element in xml.etree.ElementTree.parse(path).getroot().iter() if element.text]
        self.assertIn("kill -9 of the preferred broker", texts)

    def test_upgrade(self):
        self.expect_passed("upgrade", "--config", self.config, "--seconds", "30")


@unittest.skipUnless(can_lab() and shutil.which("nft"), "network namespaces can't be made here, or there is no nft")
class AtTwoMachines(Drills):
    """A fleet on two machines, to which the drill is a stranger that has its pons.yaml: what it cuts is their cable."""

    MACHINES = ("mainpc", "pc2")

    def setUp(self):
        super().setUp()
        own = os.readlink("/proc/self/ns/net")
        self.boxes = [self.start("/usr/bin/unshare", "--net", "sleep", "infinity", ready=False) for _ in self.MACHINES]
        due = time.monotonic() + harness.DEADLINE_S
        for box in self.boxes:
            box.expects = (-signal.SIGTERM,)
            while os.readlink(f"/proc/{box.pid}/ns/net") == own:
                self.assertLess(time.monotonic(), due)
        self.do(0, "ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", str(self.boxes[1].pid))
        for number, name in enumerate(self.MACHINES):
            self.do(number, "ip", "link", "set", "lo", "up")
            self.do(number, "ip", "address", "add", f"10.78.0.{number + 1}/30", "dev", "cable")
            self.do(number, "ip", "link", "set", "cable", "up")
            os.mkdir(os.path.join(self.folder, name))
            with open(self.config(number), "w", encoding="utf-8") as file:
                file.write(self.describe(number))
        self.fleets = [self.inside(number, harness.program("pons"), "--config", self.config(number), "up") for number in range(2)]

    def config(self, number):
        return os.path.join(self.folder, self.MACHINES[number] + ".yaml")

    def describe(self, number):
        name, here, there = self.MACHINES[number], f"10.78.0.{number + 1}", f"10.78.0.{2 - number}"
        return f"""site: {name}
broker:
  name: {name}
  insecure: true
  listen: ["tcp://{here}:7100", "ipc://broker.sock"]
  heartbeat: {{interval_ms: 200, timeout_ms: 600, idle_ms: 6000}}
other_broker: {{endpoints: ["tcp://{there}:7100"], preferred: {"true" if number else "false"}}}
authority: {{node: {"ab"[number]}, listen: "tcp://{here}:7102", peer: "tcp://{there}:7102"}}
profile: two
profiles:
  - {{name: two, agents: [echo]}}
agents:
  - {{name: echo, instances: 2}}
"""

    def inside(self, number, *command, **options):
        folder = os.path.join(self.folder, self.MACHINES[number])
        return self.start("/usr/bin/nsenter", f"--net=/proc/{self.boxes[number].pid}/ns/net", *command, ready=False,
                          environment={"PONS_RUNTIME_DIR": folder, "PONS_STATE_DIR": folder}, **options)

    def do(self, number, *command):
        """What it says; it has to be good."""
        done = self.inside(number, *command)
        self.assertEqual(done.wait(), 0, done.log())
        return done.log()

    def begin(self, *arguments):
        drill = self.inside(0, harness.program("pons"), "--json", "--config", self.config(0), "drill", *arguments)
        drill.expects = (0, 1, 2, 130)
        return drill

    def test_link_cut(self):
        report = self.expect_passed("link-cut")
        self.assertEqual([(load["from"], load["method"]) for load in report["runs"][0]["loads"]], [("here", "once")])
        self.assertEqual(report["runs"][0]["event"], "the cable is cut")
        self.assertEqual(self.do(0, "nft", "list", "tables"), "")

    def test_link_cut_oneway(self):
        report = self.expect_passed("link-cut-oneway", "--times", "2")
        self.assertEqual([run["event"] for run in report["runs"]],
                         ["nothing gets from here to the other machine", "nothing gets from the other machine to here"])

    def reaches(self):
        """Whether a connection from here gets to the other machine."""
        word = "import socket\ntry: socket.create_connection(('10.78.0.2', 7100), 0.3)\nexcept TimeoutError: print('silence')"
        return "silence" not in self.do(0, "/usr/bin/python3", "-c", word)

    def test_a_drill_that_is_killed_leaves_nothing(self):
        """The cable is cut for real, and whole again when nobody is left who could mend it."""
        drill = self.begin("link-cut", *QUICK, "--verbose")
        due = time.monotonic() + harness.DEADLINE_S
        while "the cable is cut" not in drill.log():
            self.assertLess(time.monotonic(), due, drill.log())
            a_turn(drill)
        drill.signal(signal.SIGSTOP)  # so that it does not mend it meanwhile
        self.assertFalse(self.reaches())
        self.assertIn("pons_drill_", self.do(0, "nft", "list", "tables"))
        drill.kill()
        while self.do(0, "nft", "list", "tables"):
            self.assertLess(time.monotonic(), due)
        self.assertTrue(self.reaches())


class AtOneBroker(AtALiveFleet):
    """What can be done there is done, and what can't is said."""

    test_upgrade = test_broker_freeze = test_broker_kill = None

    def describe(self, second, listen, peer):
        return "authority: {node: alone}\n"

    def test_full(self):
        status, report, log = self.drill("full", *QUICK, "--config", self.config, "--svg", os.path.join(self.folder, "all.svg"))
        self.assertEqual((status, report["drill"], report["passed"]), (0, "singleton", True), log)
        self.assertEqual([move["what"] for move in report["runs"][0]["moves"]], [MOVES[0]])
        for name in ("broker-kill", "broker-freeze", "handover", "link-cut", "link-cut-oneway", "worker", "provider", "upgrade", "hub"):
            self.assertIn(f"left out: {name}: ", log)
        self.assertEqual([name for name in os.listdir(self.folder) if name.endswith(".svg")], ["all-singleton.svg"])

    def test_a_picture_that_can_not_be_written(self):
        status, report, log = self.drill("singleton", *QUICK, "--config", self.config, "--svg", os.path.join(self.folder, "none", "x.svg"))
        self.assertEqual((status, report["passed"]), (1, True), log)
        self.assertIn("x.svg can't be written: No such file or directory", log)


class AtAFleetWithKeys(AtALiveFleet):
    """Every connection of the drill has the key of the pons command."""

    KEYS = "site: here\nkeys: {dir: keys}\n"
    test_upgrade = test_broker_freeze = None


class AtALedFleet(AtALiveFleet):
    """Its brokers are a pair without a witness."""

    AUTHORITY = True
    test_upgrade = test_broker_freeze = test_broker_kill = None

    def test_singleton(self):
        report = self.expect_passed("singleton", "--config", self.config)
        self.assertEqual([(move["what"], move["twice"]) for move in report["runs"][0]["moves"]], [(what, False) for what in MOVES])


class Refused(Drills):
    def expect_refused(self, status, words, *arguments):
        got, report, log = self.drill(*arguments)
        self.assertEqual((got, report), (status, None), log)
        self.assertIn(words, log)

    def test_by_name(self):
        self.expect_refused(2, "the drill hub: needs an agent or a command that this build does not have", "hub")
        self.expect_refused(2, "the drill provider: needs machines that it may cut off; give it --lab", "provider")
        self.expect_refused(2, "there is no drill 'earthquake'", "earthquake")

    def refuse(self, name, words, other, command=()):
        """Of a fleet with these keys, of which nothing has to run."""
        config = os.path.join(self.folder, "pons.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f'broker: {{listen: ["ipc://broker.sock"]}}\n{other}')
        drill = self.start(*command, harness.program("pons"), "--config", config, "drill", name, ready=False)
        drill.expects = (2,)
        self.assertEqual(drill.wait(), 2, drill.log())
        self.assertIn(f"the drill {name}: {words}", drill.log())

    def refuse_cut(self, words, other, command=()):
        self.refuse("link-cut", words, other, command)

    def test_one_broker(self):
        """What shows that another broker takes over is not begun where there is none: it would break what nobody carries on."""
        for name in ("broker-kill", "broker-freeze", "upgrade", "link-cut", "link-cut-oneway"):
            self.refuse(name, "needs two brokers, and pons.yaml names one (other_broker is the second); or give it --lab", "")

    def test_the_wrong_machine(self):
        for name in ("broker-kill", "broker-freeze", "singleton", "link-cut"):
            self.refuse(name, "is done on the other machine, whose broker is preferred; or give it --lab",
                        'other_broker: {endpoints: ["tcp://192.0.2.1:7100"], preferred: true}\n')

    def test_no_authority(self):
        self.refuse("singleton", "is about leases, and this fleet has none: authority.node is none in pons.yaml; or give it --lab", "")

    def test_a_lab_that_is_none(self):
        """Who forgets --lab does not mean the fleet that runs."""
        for words in (("--one-broker",), ("--no-witness",), ("--agents", "4"), ("--silence", "600")):
            self.expect_refused(2, "are for a lab, and without --lab the fleet that runs is drilled", "broker-kill", *words)
        for name in ("handover", "link-cut", "worker"):
            self.expect_refused(2, f"the drill {name}: needs the lab's second machine, which --one-broker leaves out", name, "--lab", "--one-broker")

    def test_no_cable(self):
        """A live fleet is cut where there is something to cut, by whom may do so."""
        self.refuse_cut("the other broker, tcp://127.0.0.2:7100, is on this machine, so there is no cable to cut; give it --lab",
                        'other_broker: {endpoints: ["tcp://127.0.0.2:7100"]}\n')
        self.refuse_cut("tcp://no.such.host.invalid:7100: the host no.such.host.invalid is not known",
                        'other_broker: {endpoints: ["tcp://no.such.host.invalid:7100"]}\n')

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "it takes root to be somebody else")
    def test_not_root(self):
        os.chmod(self.folder, 0o755)
        self.refuse_cut("only root can cut this machine off; run it as root, or with --lab, as root too",
                        'other_broker: {endpoints: ["tcp://192.0.2.1:7100"]}\n',
                        ("/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))

    @unittest.skipUnless(os.geteuid() == 0, "it takes root")
    def test_no_nft(self):
        self.refuse_cut("to cut a live fleet takes the program nft; install the package nftables, or give it --lab",
                        'other_broker: {endpoints: ["tcp://192.0.2.1:7100"]}\n', ("/usr/bin/env", f"PATH={self.folder}"))

    def test_list(self):
        status, _, log = self.drill("list")
        self.assertEqual(status, 0)
        self.assertIn("link-cut-oneway", log)
        done = subprocess.run([harness.program("pons"), "drill", "list", "--json"], capture_output=True, text=True, check=True)
        self.assertIn("broker-kill", {row["name"] for row in json.loads(done.stdout) if row["here"]})

    def test_nobody_there(self):
        """Said at once, and not after a minute of waiting for a fleet to become whole."""
        with tempfile.TemporaryDirectory() as folder:
            with open(os.path.join(folder, "pons.yaml"), "w", encoding="utf-8") as file:
                file.write("other_broker: {run: true}\n")
            done = subprocess.run([harness.program("pons"), "drill", "broker-kill"], capture_output=True, text=True, check=False, cwd=folder,
                                  env={**os.environ, "PONS_RUNTIME_DIR": folder, "PONS_STATE_DIR": folder})
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("start the fleet with `pons up`", done.stderr)


if __name__ == "__main__":
    harness.main()
