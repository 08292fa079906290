#!/usr/bin/python3
"""What a broker tells of itself, and that caller and callee who disagree are told so when they connect."""

import harness
import pons_wire as wire
from harness import Flag, Kind, method, service

ECHO = service("Echo", method("echo", "idempotent", contract=7), version="1.2", weight=50, tier="gpu")


class Pons(harness.Fleet):
    def test_ping(self):
        answer = self.client().ask("pons", "ping", {})
        self.assertEqual((answer["broker"], answer["site"]), ("b1", "here"))
        self.assertGreater(answer["now_us"], 0)

    def test_info(self):
        info = self.client().ask("pons", "info", {})
        self.assertEqual((info["broker"], info["protocol"], info["pid"]), ("b1", 1, self.broker.pid))
        self.assertIn(self.endpoint, info["endpoints"])
        limits = {row["name"].upper(): row["value"] for row in info["limits"]}
        self.assertEqual(limits["CLIENT_REQUESTS"], 4096)

    def test_stats(self):
        worker, client = self.worker(ECHO), self.client()
        before = self.counters(client)
        request = client.request("Echo", "echo")
        worker.reply(worker.take(), "x")
        client.answer(request)
        client.refusal(client.request("Nobody", "echo"))
        after = self.counters(client)
        self.assertEqual({name: after[name] - before[name] for name in ("REPLIES", "SESSIONS_OPENED", "MALFORMED")},
                         {"REPLIES": after["REPLIES"] - before["REPLIES"], "SESSIONS_OPENED": 0, "MALFORMED": 0})
        self.assertGreater(after["REPLIES"], before["REPLIES"])

    def test_registry(self):
        worker = self.worker(ECHO, service("Other", "do", role="standby"), credit=3, site="there")
        client = self.client()
        client.request("Echo", "echo")
        worker.take()
        answer = client.ask("pons", "registry", {})
        self.assertEqual(answer["total"], 2)
        row = next(row for row in answer["instances"] if row["service"] == "Echo")
        self.assertEqual({key: row[key] for key in ("version", "instance", "site", "weight", "tier", "role", "state", "credit", "outstanding")},
                         {"version": "1.2", "instance": worker.instance, "site": "there", "weight": 50, "tier": "gpu",
                          "role": "primary", "state": "ready", "credit": 3, "outstanding": 1})
        self.assertEqual(row["methods"], [{"name": "echo", "flags": ["idempotent"], "hash": 7}])
        only = client.ask("pons", "registry", {"service": "Other"})
        self.assertEqual([row["role"] for row in only["instances"]], ["standby"])
        self.assertEqual(client.ask("pons", "registry", {"limit": 1})["total"], 2)

    def test_registry_states(self):
        worker = self.peer("worker")
        worker.hello([ECHO])
        worker.session = worker.expect(Kind.WELCOME).session
        client = self.client()

        def state():
            return client.ask("pons", "registry", {})["instances"][0]["state"]

        self.assertEqual(state(), "new")
        worker.credit(1)
        worker.flush()
        self.assertEqual(state(), "ready")
        worker.send(Kind.DRAIN)
        worker.expect(Kind.DRAIN)
        self.assertEqual(state(), "draining")

    def test_requests(self):
        worker, client = self.worker(ECHO), self.client()
        running = client.request("Echo", "echo")
        worker.take()
        waiting = client.request("Echo", "echo", deadline_s=10)
        coming = client.request("Echo", "echo", b"part", flags=Flag.MORE)
        rows = {row["id"]: row for row in client.ask("pons", "requests", {})["requests"]}
        self.assertEqual({request: rows[wire.id_text(request)]["state"] for request in (running, waiting, coming)},
                         {running: "running", waiting: "queued", coming: "receiving"})
        self.assertEqual(rows[wire.id_text(running)]["instance"], worker.instance)
        self.assertLessEqual(rows[wire.id_text(waiting)]["remaining_us"], 10000000)

    def test_connections(self):
        worker, client = self.worker(ECHO), self.client()
        rows = {row["session"]: row for row in client.ask("pons", "connections", {})["connections"]}
        self.assertEqual(rows[worker.session]["role"], "instance")
        self.assertEqual(rows[client.session]["role"], "client")
        self.assertEqual(rows[client.session]["client"], f"{client.client:016x}")
        self.assertEqual(rows[client.session]["pid"], harness.os.getpid())

    def test_trace(self):
        one, two = self.worker(ECHO, agent="one"), self.worker(ECHO, agent="two", credit=0)
        client = self.client()
        request = client.request("Echo", "echo")
        one.take()
        two.credit(1)
        two.flush()
        one.close()
        two.reply(two.take(), "x")
        client.answer(request)
        trace = client.ask("pons", "trace", {"request": wire.id_text(request)})
        self.assertEqual(trace["request"], wire.id_text(request))
        steps = [step["step"].upper() for step in trace["steps"]]
        for earlier, later in (("RECEIVED", "SENT"), ("SENT", "WORKER_LOST"), ("WORKER_LOST", "REPLIED")):
            self.assertLess(steps.index(earlier), steps.index(later), steps)
        times = [step["at_us"] for step in trace["steps"]]
        self.assertEqual(times, sorted(times))
        instances = [step.get("instance", "").split(":")[0] for step in trace["steps"] if step["step"].upper() == "SENT"]
        self.assertEqual(instances, ["one", "two"])

    def test_trace_of_nothing(self):
        client = self.client()
        self.assertEqual(client.ask("pons", "trace", {"request": "0000000000000001-1"})["steps"], [])
        self.ends("INVALID", client, client.request("pons", "trace", {"request": "not an id"}))

    def test_bad_questions(self):
        """The broker holds its own callers to their contracts."""
        client = self.client()
        for name, body in (("registry", {"service": 5}), ("registry", {"wrong": 1}), ("requests", {"limit": "all"}),
                           ("requests", [1]), ("trace", {})):
            with self.subTest(name, body=body):
                request = client.request("pons", name, body)
                error = client.expect(Kind.ERROR, Kind.REPLY, id=request)
                self.assertEqual((error.kind, error.status_name), (Kind.ERROR, "INVALID"))
                self.assertTrue(error.data["message"])

    def test_needs_no_credit_and_no_instance(self):
        client = self.client()
        requests = [client.request("pons", "ping", {}) for _ in range(500)]
        for request in requests:
            client.answer(request)


class Mismatch(harness.Fleet):
    CALL = {"service": "Echo", "method": "echo", "hash": 8}

    def test_told_to_the_caller(self):
        self.worker(ECHO)
        rows = self.peer("caller").open(calls=[self.CALL]).welcome["mismatches"]
        self.assertEqual([(row["service"], row["method"], row["caller"], row["caller_hash"], row["callee_hash"]) for row in rows],
                         [("Echo", "echo", "caller", 8, 7)])

    def test_told_to_the_callee(self):
        self.peer("caller").open(calls=[self.CALL])
        rows = self.worker(ECHO).welcome["mismatches"]
        self.assertEqual([(row["caller"], row["caller_hash"], row["callee_hash"]) for row in rows], [("caller", 8, 7)])

    def test_in_the_registry_while_both_are_there(self):
        worker, caller = self.worker(ECHO), self.peer("caller").open(calls=[self.CALL])
        client = self.client()
        rows = client.ask("pons", "registry", {})["mismatches"]
        self.assertEqual([(row["caller"], row["service"], row["method"]) for row in rows], [("caller", "Echo", "echo")])
        caller.bye()
        caller.wait_gone()
        self.assertEqual(client.ask("pons", "registry", {})["mismatches"], [])
        worker.pump()

    def test_untyped_fits_all(self):
        self.worker(service("Echo", method("echo")))
        self.assertEqual(self.peer("caller").open(calls=[self.CALL]).welcome["mismatches"], [])

    def test_same_fits(self):
        self.worker(ECHO)
        self.assertEqual(self.peer("caller").open(calls=[{**self.CALL, "hash": 7}]).welcome["mismatches"], [])


if __name__ == "__main__":
    harness.main()
