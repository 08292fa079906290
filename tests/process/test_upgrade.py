#!/usr/bin/python3
"""`pons upgrade`: the processes of a running fleet are replaced one by one, under load, and no request fails; what does not come
up leaves what ran running."""

import http.client
import json
import os
import shutil
import subprocess
import threading
import time

import harness
import test_ctl

PAIR = """
authority: {{node: a, listen: "tcp://127.0.0.1:{a}", peer: "tcp://127.0.0.1:{b}"}}
other_broker: {{endpoints: ["ipc://second"], run: true}}
"""
BROKEN = "#!/bin/sh\necho no library of this name\nexit 1\n"
# Says that it is a version of pons, and then does not come up.
LATE = '#!/bin/sh\ncase "$*" in *--version*) echo pons 9.9; exit 0;; esac\necho this is the end\nexit 3\n'


class Fleet(test_ctl.Command):
    """A fleet of `pons up` and a folder of programs that it may be upgraded to."""

    def setUp(self):
        super().setUp()
        self.bin = os.path.join(self.folder, "bin")
        os.mkdir(self.bin)
        for name in ("pons", "pons-broker", "pons-agent-echo"):
            os.symlink(harness.program(name), os.path.join(self.bin, name))

    def spoil(self, name, text):
        path = os.path.join(self.bin, name)
        os.unlink(path)
        with open(path, "w", encoding="ascii") as file:
            file.write(text)
        os.chmod(path, 0o755)

    def pids(self):
        return {name: row["pid"] for name, row in self.processes().items()}

    def load(self, method, body, seconds):
        both = ";".join(f"ipc://{self.folder}/{name}" for name in ("bus", "second"))
        return self.start_load(both, method, body, "--seconds", str(seconds), "--rate", "300", "--timeout", "20000")

    def expect_all(self, load):
        result = self.load_result(load)
        self.assertEqual(result["errors"], {}, result)
        self.assertEqual(result["ok"], result["asked"])
        return result

    def times_done(self):
        return sum(self.ask_each("echo.work"))

    def ask_each(self, method):
        """What each instance counts; the question counts itself."""
        service, name = method.split(".")
        lines = self.pons("call", f"{service}@*.{name}", "{}", "--json").lines
        return [line["body"]["done"] - 1 for line in lines if "body" in line]


class TwoBrokers(Fleet):
    """They know each other."""

    def configure(self, agents="", profiles=""):
        super().configure(agents, profiles)
        with open(self.config, "a", encoding="utf-8") as file:
            file.write(PAIR.format(a=harness.free_port(), b=harness.free_port()))

    def up(self, profile="three"):
        super().up(profile)
        due = time.monotonic() + harness.DEADLINE_S
        while self.pons("status", expect=None).status:
            self.assertLess(time.monotonic(), due, self.pons("status", expect=None))


class Supervisor(TwoBrokers):
    """It becomes another program while its children run on, and nobody but the log tells."""

    def supervisor(self):
        return self.pons("status", "--json").json["supervisor"]

    def test_its_children_stay(self):
        self.up()
        before, pids = self.supervisor(), self.pids()
        loads = [self.load("echo.say", '{"text": "x"}', 10), self.load("echo.work", "{}", 10)]
        open_before = len(os.listdir(f"/proc/{before['pid']}/fd"))
        for life in (1, 2, 3):
            row, = self.pons("upgrade", "supervisor", "--json", "--bin", self.bin).json["processes"]
            self.assertEqual((row["name"], row["ok"], row["how"], row["pid"]), ("supervisor", True, "re-exec", before["pid"]))
            after = self.supervisor()
            self.assertEqual((after["pid"], after["life"]), (before["pid"], life))
        self.assertEqual(self.pids(), pids)
        self.assertEqual({row["restarts"] for row in self.processes().values()}, {0})
        self.assertLessEqual(len(os.listdir(f"/proc/{before['pid']}/fd")), open_before)
        for load in loads:
            self.assertTrue(load.alive, "the load ended before the upgrades did")
        for load in loads:
            self.expect_all(load)

    def test_it_is_a_supervisor_as_before(self):
        """What its children say, how they end, that they are replaced and stopped: all of it goes on."""
        self.up()
        pids = self.pids()
        self.pons("upgrade", "supervisor", "--bin", self.bin)
        os.kill(pids["echo"], 9)
        self.wait_for("echo is back", lambda rows: rows["echo"]["pid"] not in (0, pids["echo"]) and rows["echo"]["state"] == "ready")
        self.assertEqual(self.processes()["echo"]["restarts"], 1)
        self.pons("upgrade", "supervisor", "--bin", self.bin)
        self.assertEqual(self.processes()["echo"]["restarts"], 1)
        self.pons("upgrade", "echo", "broker")
        self.pons("upgrade", "supervisor", "--bin", self.bin)
        with open(os.path.join(self.folder, "pons.log"), encoding="utf-8") as file:
            log = file.read()
        self.assertEqual(log.count("[PONS-SUPERVISOR-REPLACED]"), 3)
        self.assertIn("killed by signal 9", log)
        pids = self.pids()
        self.pons("down")
        self.assertFalse([pid for pid in pids.values() if test_ctl.is_alive(pid)])
        self.assertFalse({"pons.pid", "ctl.sock", "notify.sock"} & set(os.listdir(self.folder)))
        self.up()

    def test_what_it_has_forgotten_counts(self):
        """A budget of restarts that is spent stays spent."""
        self.up()
        for _ in range(3):
            pid = self.pids()["echo"]
            os.kill(pid, 9)
            self.wait_for("echo is back", lambda rows: rows["echo"]["pid"] not in (0, pid) and rows["echo"]["state"] == "ready")
        self.pons("upgrade", "supervisor", "--bin", self.bin)
        os.kill(self.pids()["echo"], 9)
        self.wait_for("echo is degraded", lambda rows: rows["echo"]["state"] == "degraded")

    def test_in_the_foreground(self):
        """The same, with its lines on its caller's standard output."""
        up = subprocess.Popen([harness.program("pons"), "up", "--profile", "three"], env=self.environment, cwd=self.folder,
                              stdout=subprocess.PIPE, text=True)
        self.addCleanup(lambda: (up.kill(), up.wait(), up.stdout.close()))
        self.assertTrue(any("all 5 ready" in line for line in up.stdout))
        self.pons("upgrade", "supervisor", "--bin", self.bin)
        self.assertTrue(any("[PONS-SUPERVISOR-REPLACED]" in line for line in up.stdout))
        up.terminate()
        self.assertIn("[PONS-STOPPING]", up.stdout.read())
        self.assertEqual(up.wait(harness.DEADLINE_S), 0)

    def test_a_program_that_would_not_go_on(self):
        """It is found out beforehand, and all runs as before."""
        self.up()
        before, pids = self.supervisor(), self.pids()
        self.spoil("pons", LATE)
        ran = self.pons("upgrade", "--bin", self.bin, expect=1)
        self.assertIn("supervisor: it would not go on from here: exit status 3: this is the end", ran.err)
        self.assertIn("0 of 6 processes are replaced; the others run as before", ran.err)
        self.spoil("pons", "#!/bin/sh\nexit 0\n")
        ran = self.pons("upgrade", "--bin", self.bin, expect=1)
        self.assertIn("supervisor: it would not go on from here: exit status 0", ran.err)
        self.assertEqual((self.supervisor()["pid"], self.supervisor()["life"], self.pids()), (before["pid"], 0, pids))

    def test_another_plan(self):
        """pons.yaml names others than those that run."""
        self.up()
        pids = self.pids()
        with open(self.config, encoding="utf-8") as file:
            text = file.read()
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(text.replace("instances: 2", "instances: 3"))
        ran = self.pons("upgrade", "supervisor", expect=1)
        self.assertIn("pons.yaml has the process second#3, which the running fleet has not", ran.err)
        self.assertEqual((self.supervisor()["life"], self.pids()), (0, pids))


class Pair(TwoBrokers):
    def test_everything_is_replaced_under_load(self):
        """Brokers first, then each agent beside its old self; not one request fails, of either kind."""
        self.up()
        before = self.pids()
        loads = [self.load("echo.say", '{"text": "x"}', 20), self.load("echo.work", "{}", 20)]
        ran = self.pons("upgrade", "--json", "--bin", self.bin)
        rows = ran.json["processes"]
        self.assertTrue(ran.json["ok"])
        self.assertEqual([row["how"] for row in rows], ["re-exec", "restart", "restart", "beside", "beside", "beside"])
        self.assertEqual({row["name"]: row["before_pid"] for row in rows[1:]}, before)
        self.assertEqual({row["name"]: row["pid"] for row in rows[1:]}, self.pids())
        self.assertFalse(set(before.values()) & set(self.pids().values()))
        self.assertFalse([pid for pid in before.values() if test_ctl.is_alive(pid)])
        self.assertTrue(all(row["program"].startswith(self.bin) for row in self.processes().values()))
        for load in loads:
            self.assertTrue(load.alive, "the load ended before the upgrade did")
        for load in loads:
            self.expect_all(load)
        self.pons("down")


    def test_a_broker_that_does_not_come_up(self):
        """What does not even run is found before anything is touched; what runs and then ends is put back."""
        self.up()
        before = self.pids()
        self.spoil("pons-broker", BROKEN)
        ran = self.pons("upgrade", "--bin", self.bin, expect=2)
        self.assertIn("pons-broker --version: exit status 1: no library of this name", ran.err)
        self.assertEqual(self.pids(), before)
        self.spoil("pons-broker", LATE)
        load = self.load("echo.say", '{"text": "x"}', 6)
        ran = self.pons("upgrade", "--json", "--bin", self.bin, expect=1)
        row = ran.json["processes"][-1]
        self.assertEqual((ran.json["ok"], row["ok"], row["how"]), (False, False, "restart"))
        self.assertEqual(row["why"], "the new one did not come up: exit status 3, its last words: this is the end; "
                         "the program of before runs again")
        self.assertIn("1 of 6 processes are replaced; the others run as before", ran.err)
        after = self.pids()
        self.assertEqual({name for name in after if after[name] != before[name]}, {row["name"]})
        self.expect_all(load)

    def test_the_old_file_is_gone(self):
        """An upgrade of the package has put the new programs where the old ones were: the one that ran can still go back."""
        own = os.path.join(self.folder, "own")
        os.mkdir(own)
        for name in ("pons", "pons-broker", "pons-agent-echo"):
            shutil.copy(harness.program(name), own)
        subprocess.run([os.path.join(own, "pons"), "up", "-d", "--profile", "one"], env=self.environment, cwd=self.folder,
                       capture_output=True, timeout=60, check=True)
        before = self.pids()
        os.rename(os.path.join(own, "pons-broker"), os.path.join(own, "gone"))
        os.unlink(os.path.join(own, "gone"))
        with open(os.path.join(own, "pons-broker"), "w", encoding="ascii") as file:
            file.write(LATE)
        os.chmod(os.path.join(own, "pons-broker"), 0o755)
        ran = self.pons("upgrade", "broker", expect=1)
        self.assertIn("the program of before runs again", ran.err)
        after = self.pids()
        self.assertNotEqual(after["broker"], before["broker"])
        self.assertEqual(self.pons("call", "echo.say", '{"text": "hi"}', "--json").json["text"], "hi")
        os.kill(after["broker"], 9)  # and it is what the supervisor starts from now on
        self.wait_for("it is back", lambda rows: rows["broker"]["pid"] not in (0, after["broker"]) and
                      rows["broker"]["state"] == "ready")

    def test_a_singleton(self):
        """The new one stands by, and takes the lease that the old one gives back."""
        self.configure(f"  - {{name: one, program: {harness.BUILD}/tests/singleton}}", "  - {name: single, agents: [one]}")
        self.up("single")
        before = self.wait_holder()
        ran = self.pons("upgrade", "one", "--json")
        self.assertEqual([(row["how"], row["why"]) for row in ran.json["processes"]], [("beside", "")])
        self.assertGreater(self.wait_holder(), before)

    def wait_holder(self):
        """The token of the lease, once somebody has it, and serves."""
        due = time.monotonic() + harness.DEADLINE_S
        while True:
            leases = self.pons("lease", "list", "--json", expect=None)
            ready = self.pons("status", "--json", expect=None).json["registry"]["instances"]
            if leases.status == 0 and leases.json["leases"] and any(
                    row["state"] == "ready" for row in ready if not row["service"].startswith("pons.")):
                return tuple(leases.json["leases"][0][key] for key in ("epoch", "counter"))
            self.assertLess(time.monotonic(), due, "nobody holds the lease")

    def test_the_other_broker_is_missing(self):
        """A broker goes only when the other one has everything."""
        self.up()
        before = self.pids()
        os.kill(before["broker@pc2"], 19)
        ran = self.pons("upgrade", "--timeout", "1500", "broker", "--bin", self.bin, expect=1)
        os.kill(before["broker@pc2"], 18)
        self.assertIn("the other broker does not answer", ran.err)
        self.assertIn("broker stays as it is: without it something would be lost", ran.err)
        self.assertEqual(self.pids()["broker"], before["broker"])


class Chats(TwoBrokers):
    """The whole chain: HTTP, gateway, coordinator, manager, adapter, and a provider that is a mock."""

    TOKENS = 30
    CLIENTS = 4

    def setUp(self):
        self.ports = [harness.free_port() for _ in range(2)]
        super().setUp()
        mock = self.start(os.path.join(harness.BUILD, "tests", "mock-provider"), "--port", str(self.ports[1]), ready=False)
        harness.wait_listening(self.ports[1], mock.process)
        self.answers, self.over = [], threading.Event()

    def configure(self, agents="", profiles=""):
        names = "request_coordinator, model_manager_suite, remote_api_adapter, gateway"
        super().configure(agents, f"  - {{name: chat, agents: [echo, {names}]}}")
        with open(self.config, "a", encoding="utf-8") as file:
            file.write(f'gateway: {{listen: ["tcp://127.0.0.1:{self.ports[0]}"]}}\n'
                       "providers: [{name: p, base_url: "
                       f'"http://127.0.0.1:{self.ports[1]}/mock/tokens={self.TOKENS},gap_ms=5/v1"}}]\n'
                       "models: [{name: m, executor: RemoteApiAdapter, provider: p, context_tokens: 128000}]\n")

    def ask(self, stream):
        """A chat on a connection of its own; what was wrong with it, or None."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[0], timeout=harness.DEADLINE_S)
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(
                {"model": "m", "stream": stream, "messages": [{"role": "user", "content": "Who are you?"}]}))
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 200:
                return f"{answer.status} {body}"
            words = self.words_of(body) if stream else json.loads(body)["choices"][0]["message"]["content"]
            return None if len(words.split()) == self.TOKENS else f"{len(words.split())} words: {body}"
        except (OSError, http.client.HTTPException, ValueError) as error:
            return repr(error)
        finally:
            connection.close()

    def words_of(self, body):
        events = [line[6:] for line in body.decode().splitlines() if line.startswith("data: ")]
        if not events or events[-1] != "[DONE]":
            return ""
        return "".join(choice["delta"].get("content") or "" for event in events[:-1]
                       for choice in json.loads(event)["choices"])

    def keep_asking(self, stream):
        while not self.over.is_set():
            self.answers.append((stream, self.ask(stream)))

    def test_the_whole_fleet_under_chats(self):
        """Neither a chat nor a stream notices, nor does who connects while one gateway takes the other's place."""
        self.up("chat")
        self.assertEqual((self.ask(False), self.ask(True)), (None, None))
        before = self.pids()
        threads = [threading.Thread(target=self.keep_asking, args=(number % 2 == 0,)) for number in range(self.CLIENTS)]
        load = self.load("echo.work", "{}", 25)
        for thread in threads:
            thread.start()
        try:
            ran = self.pons("upgrade", "--json", "--bin", harness.BIN)
        finally:
            self.over.set()
            for thread in threads:
                thread.join()
        self.assertEqual({row["name"]: row["how"] for row in ran.json["processes"]},
                         {"supervisor": "re-exec", **{name: "restart" if name.startswith("broker") else "beside" for name in before}})
        self.assertFalse(set(before.values()) & set(self.pids().values()))
        self.assertEqual([wrong for _, wrong in self.answers if wrong], [])
        self.assertEqual({stream for stream, _ in self.answers}, {False, True})
        print(f"{len(self.answers)} chats while {len(before)} processes were replaced")
        self.expect_all(load)


class One(Fleet):
    """One broker."""

    def test_what_one_broker_cannot_promise(self):
        """It is said by name; what is not answered was refused by name and took no effect."""
        self.up()
        before = self.pids()
        load = self.start_load(f"ipc://{self.folder}/bus", "echo.say", '{"text": "x"}', "--seconds", "4", "--rate", "300",
                               "--timeout", "20000")
        ran = self.pons("upgrade")
        self.assertIn("there is one broker: while it is replaced requests wait or are refused", ran.err)
        self.assertIn("may end UNKNOWN", ran.err)
        self.assertFalse(set(self.pids().values()) & set(before.values()))
        result = self.load_result(load)
        self.assertLessEqual(set(result["errors"]), {"DRAINING", "NO_SERVICE"}, result)
        self.assertEqual(sum(result["errors"].values()) + result["ok"], result["asked"])

    def test_an_agent_that_does_not_come_up(self):
        """The old one has never stopped, and those after it are not touched."""
        self.up("three")
        before = self.pids()
        self.spoil("pons-agent-echo", LATE)
        ran = self.pons("upgrade", "--bin", self.bin, "echo", "second", expect=1)
        self.assertIn("echo: the new one did not come up: exit status 3, its last words: this is the end", ran.err)
        self.assertEqual(self.pids(), before)
        self.assertEqual({row["restarts"] for row in self.processes().values()}, {0})

    def test_only_those_that_are_named(self):
        self.up("three")
        before = self.pids()
        self.pons("upgrade", "second", "--bin", self.bin)
        after = self.pids()
        self.assertEqual({name for name in after if after[name] != before[name]}, {"second#1", "second#2"})
        self.assertEqual({row["restarts"] for row in self.processes().values()}, {0})
        ran = self.pons("upgrade", "third", expect=2)
        self.assertIn("the fleet has no process 'third'; `pons status` lists them", ran.err)
        ran = self.pons("upgrade", "--bin", self.folder, expect=2)
        self.assertIn("pons-broker is no program", ran.err)
        self.assertEqual(self.pids(), after)

    def test_not_beside(self):
        """What must not be there twice is stopped first; requests wait for nobody then, so another one serves meanwhile."""
        self.configure("    beside: false\n")
        self.up("three")
        ran = self.pons("upgrade", "second", "echo", "--json", "--bin", self.bin)
        self.assertEqual([(row["name"], row["how"]) for row in ran.json["processes"]],
                         [("echo", "beside"), ("second#1", "restart"), ("second#2", "restart")])

    def test_stopped_in_the_middle(self):
        """`pons down` ends both, the one that comes and the one that should have gone."""
        self.up()
        self.spoil("pons-agent-echo", '#!/bin/sh\ncase "$*" in *--version*) echo pons; exit 0;; esac\nread never < "$0.fifo"\n')
        os.mkfifo(os.path.join(self.bin, "pons-agent-echo.fifo"))
        upgrade = subprocess.Popen([harness.program("pons"), "upgrade", "echo", "--bin", self.bin], env=self.environment,
                                   cwd=self.folder, stderr=subprocess.PIPE, text=True)
        with open(os.path.join(self.bin, "pons-agent-echo.fifo"), "w", encoding="ascii"):  # opens once it reads
            before = self.pids()
            ran = self.pons("upgrade", "broker", "--bin", self.bin, expect=1)
            self.assertIn("another process is being replaced", ran.err)
            self.pons("down")
        with upgrade:
            self.assertIn("the fleet is being stopped", upgrade.stderr.read())
        self.assertEqual(upgrade.returncode, 1)
        self.assertFalse([pid for pid in before.values() if test_ctl.is_alive(pid)])

    def test_no_fleet(self):
        self.assertIn("no fleet of `pons up` runs", self.pons("upgrade", expect=3).err)


if __name__ == "__main__":
    harness.main()
