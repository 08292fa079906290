#!/usr/bin/python3
"""RequestCoordinator and ModelManagerSuite as they run, with peers as gateway and executors."""

import json
import os

import harness
import msgpack
from harness import Kind, RemoteError, Status, method, service
from pons_wire import id_text

CONFIG = """
providers:
  - {name: p, base_url: "https://127.0.0.1/v1"}
models:
  - {name: small, executor: TinyLlamaServiceEnhanced, context_tokens: 4096}
  - {name: large, executor: RemoteApiAdapter, provider: p, context_tokens: 8000, input_usd: "0.15", output_usd: "0.60"}
  - {name: huge, executor: RemoteApiAdapter, provider: p, context_tokens: 128000}
  - {name: vectors, kind: embedding, executor: RemoteApiAdapter, provider: p, context_tokens: 512}
"""
METHODS = [method("generate", "idempotent", "streaming"), method("embed", "idempotent")]


def chat(words="What is Python?", **members):
    return {"request": json.dumps({"messages": [{"role": "user", "content": words}], **members})}


def settlement(request, model="large", **more):
    return {"request": id_text(request), "hop": 2, "model": model, "outcome": "done",
            "usage": {"input_tokens": 10, "output_tokens": 3, "estimated": False}, "cost_nano_usd": 3300, "took_us": 5, **more}


class Routers(harness.Fleet):
    """A broker, both agents, and a client; who is an executor is the test's."""

    CONFIG = CONFIG

    def setUp(self):
        super().setUp()
        path = os.path.join(self.folder, "pons.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.CONFIG)
        environment = {"PONS_CONFIG": path}
        self.coordinator = self.start_agent("request_coordinator", environment=environment)
        self.manager = self.start_agent("model_manager_suite", environment=environment)
        self.asker = self.client()

    def executor(self, name, agent=None):
        return self.worker(service(name, *METHODS), agent=agent or name, credit=9)

    def refused(self, target, verb, body, **fields):
        with self.assertRaises(RemoteError) as caught:
            self.asker.answer(self.asker.request(target, verb, body, **fields))
        return caught.exception

    def models(self):
        return {row["name"]: row for row in self.asker.ask("ModelManagerSuite", "models", {})["models"]}


class Route(Routers):
    # --- the way ---

    def test_light_goes_to_the_local_model(self):
        local, remote = self.executor("TinyLlamaServiceEnhanced"), self.executor("RemoteApiAdapter")
        body = chat(unknown={"kept": 1.50})
        request = self.asker.request("RequestCoordinator", "chat", body)
        message = local.take(id=request)
        self.assertEqual((message.service, message.method, message.hop), ("TinyLlamaServiceEnhanced", "generate", 2))
        self.assertEqual(message.data, body)
        self.assertEqual(message.annotations, {
            "size": "light", "profile": "text", "latency": "normal", "tokens": 4 + 4 + 3 + 512, "next": 0,
            "candidates": [{"model": "small", "executor": "TinyLlamaServiceEnhanced"},
                           {"model": "large", "executor": "RemoteApiAdapter"},
                           {"model": "huge", "executor": "RemoteApiAdapter"}]})
        local.reply(message, "done")
        self.assertEqual(self.asker.answer(request).data, "done")
        self.assertTrue(remote.none(Kind.REQUEST))

    def test_heavy_goes_to_the_provider(self):
        self.executor("TinyLlamaServiceEnhanced")
        remote = self.executor("RemoteApiAdapter")
        request = self.asker.request("RequestCoordinator", "chat", chat("word " * 4000, stream=True))
        route = remote.take(id=request).annotations
        self.assertEqual((route["size"], route["latency"]), ("heavy", "interactive"))
        self.assertEqual([row["model"] for row in route["candidates"]], ["large", "huge"])

    def test_a_service_without_instance_is_passed_over(self):
        remote = self.executor("RemoteApiAdapter")
        request = self.asker.request("RequestCoordinator", "chat", chat())
        message = remote.take(id=request)
        self.assertEqual(message.annotations["next"], 0)
        self.assertEqual(message.annotations["candidates"][0]["model"], "small")
        remote.reply(message, "second")
        self.assertEqual(self.asker.answer(request).data, "second")

    def test_an_executor_that_dies_is_followed_by_the_next(self):
        local, remote = self.executor("TinyLlamaServiceEnhanced"), self.executor("RemoteApiAdapter")
        request = self.asker.request("RequestCoordinator", "chat", chat())
        local.take(id=request)
        local.close()
        remote.reply(remote.take(id=request), "redone")
        self.assertEqual(self.asker.answer(request).data, "redone")

    def test_a_named_model_is_meant(self):
        self.executor("TinyLlamaServiceEnhanced")
        remote = self.executor("RemoteApiAdapter")
        self.asker.request("RequestCoordinator", "chat", chat(model="huge"))
        self.assertEqual([row["model"] for row in remote.take().annotations["candidates"]], ["huge"])
        self.asker.request("RequestCoordinator", "chat", chat(model="huge", fallbacks=["small", "large"]))
        self.assertEqual([row["model"] for row in remote.take().annotations["candidates"]], ["huge", "small", "large"])

    def test_embeddings(self):
        remote = self.executor("RemoteApiAdapter")
        request = self.asker.request("RequestCoordinator", "embed", {"request": '{"input": "some words"}'})
        message = remote.take(id=request)
        self.assertEqual((message.method, message.annotations["profile"]), ("embed", "embedding"))
        self.assertEqual([row["model"] for row in message.annotations["candidates"]], ["vectors"])

    def test_without_the_coordinator(self):
        """ModelManagerSuite takes a request that nobody has classified: in the order of the table."""
        local = self.executor("TinyLlamaServiceEnhanced")
        self.asker.request("ModelManagerSuite", "chat", chat(), annotations={"foreign": 1, "sticky": "s1"})
        route = local.take().annotations
        self.assertEqual([row["model"] for row in route["candidates"]], ["small", "large", "huge"])
        self.assertEqual(route["sticky"], "s1")

    def test_sticky_survives_both(self):
        local = self.executor("TinyLlamaServiceEnhanced")
        self.asker.request("RequestCoordinator", "chat", chat(), annotations={"sticky": "conversation-7"})
        self.assertEqual(local.take().annotations["sticky"], "conversation-7")

    # --- what is refused ---

    def test_unknown_model(self):
        error = self.refused("RequestCoordinator", "chat", chat(model="gpt-9"))
        self.assertEqual(error.status, Status.REFUSED)
        self.assertEqual((error.body["code"], error.body["http_status"], error.body["path"]), ("model_not_found", 404, "model"))
        self.assertIn("'gpt-9'", error.body["message"])
        error = self.refused("RequestCoordinator", "chat", chat(model="vectors"))
        self.assertEqual((error.body["code"], error.body["http_status"]), ("model_not_found", 404))

    def test_too_long_for_all(self):
        error = self.refused("RequestCoordinator", "chat", chat("four", max_tokens=130000))
        self.assertEqual(error.status, Status.REFUSED)
        self.assertEqual((error.body["code"], error.body["http_status"]), ("context_length_exceeded", 400))
        self.assertIn("130008 tokens", error.body["message"])
        self.assertIn("128000", error.body["message"])

    def test_no_request(self):
        for text in ("[]", "{", '{"model": 7}', '{"fallbacks": "x"}'):
            for target, verb in (("RequestCoordinator", "chat"), ("RequestCoordinator", "explain"), ("ModelManagerSuite", "chat")):
                with self.subTest(text, target=target):
                    self.assertEqual(self.refused(target, verb, {"request": text}).status, Status.INVALID)
        self.assertEqual(self.refused("RequestCoordinator", "chat", {"request": "{}"}, annotations={"sticky": "x" * 65}).status,
                         Status.INVALID)

    # --- explain ---

    def test_explain_executes_nothing(self):
        executors = [self.executor("TinyLlamaServiceEnhanced"), self.executor("RemoteApiAdapter")]
        decision = self.asker.ask("RequestCoordinator", "explain", chat())
        self.assertEqual([reason["rule"] for reason in decision["reasons"]], ["tokens", "size", "profile", "latency", "order", "first"])
        self.assertIn("523", decision["reasons"][1]["because"])
        self.assertNotIn("reasons", decision["route"])
        self.assertEqual(decision["route"]["candidates"][0]["model"], "small")
        self.assertEqual(self.asker.ask("RequestCoordinator", "explain", {"request": '{"input": "x"}'})["route"]["candidates"],
                         [{"model": "vectors", "executor": "RemoteApiAdapter"}])
        for executor in executors:
            self.assertTrue(executor.none(Kind.REQUEST))
        self.assertEqual(self.refused("RequestCoordinator", "explain", chat(model="gpt-9")).body["code"], "model_not_found")

    # --- the books ---

    def test_settled_twice_counts_once(self):
        watcher = self.client("watcher")
        watcher.subscribe("usage.settled")
        row = settlement(self.asker.next_id())
        self.assertEqual(self.asker.ask("ModelManagerSuite", "settle", {"settlements": [row, row]}), {"counted": 1})
        self.assertEqual(watcher.expect(Kind.EVENT).data, {"settlements": [row]})
        self.assertEqual(self.asker.ask("ModelManagerSuite", "settle", {"settlements": [row]}), {"counted": 0})
        self.assertTrue(watcher.none(Kind.EVENT))
        large = self.models()["large"]
        self.assertEqual((large["requests"], large["failures"], large["input_tokens"], large["output_tokens"],
                          large["cost_nano_usd"], large["state"]), (1, 0, 10, 3, 3300, "up"))
        self.assertEqual((large["input_nano_usd"], large["output_nano_usd"]), (150, 600))
        self.assertNotIn("cached_nano_usd", large)
        self.assertNotIn("unpriced", large)
        self.assertEqual(self.models()["huge"]["state"], "unmeasured")
        row = settlement(self.asker.next_id(), model="huge")
        del row["cost_nano_usd"]
        self.asker.ask("ModelManagerSuite", "settle", {"settlements": [row]})
        self.assertEqual((self.models()["huge"]["unpriced"], self.models()["huge"]["cost_nano_usd"]), (1, 0))
        self.assertNotIn("input_nano_usd", self.models()["huge"])

    def test_failures_move_a_model_back(self):
        local = self.executor("TinyLlamaServiceEnhanced")
        remote = self.executor("RemoteApiAdapter")
        rows = [settlement(self.asker.next_id(), "small", outcome="failed", cause="overload") for _ in range(3)]
        self.asker.ask("ModelManagerSuite", "settle", {"settlements": rows})
        self.assertEqual(self.models()["small"]["state"], "down")
        self.asker.request("RequestCoordinator", "chat", chat())
        self.assertEqual([row["model"] for row in remote.take().annotations["candidates"]], ["large", "huge", "small"])
        decision = self.asker.ask("RequestCoordinator", "explain", chat())
        self.assertIn("health", [reason["rule"] for reason in decision["reasons"]])
        self.asker.ask("ModelManagerSuite", "settle", {"settlements": [settlement(self.asker.next_id(), "small")]})
        self.asker.request("RequestCoordinator", "chat", chat())
        self.assertEqual(local.take().annotations["candidates"][0]["model"], "small")

    def test_bad_settlement(self):
        """The contract is held at the door: nothing of the batch is counted."""
        row = settlement(self.asker.next_id())
        self.assertEqual(self.refused("ModelManagerSuite", "settle", {"settlements": [row, {**row, "outcome": "so"}]}).status,
                         Status.INVALID)
        self.assertEqual(self.models()["large"]["requests"], 0)


class Many(Routers):
    """Names as long as they may be: the route still fits beside the request."""

    CONFIG = "models:\n" + "".join(f"  - {{name: {'m' * 126}{n:02}, executor: {'E' * 61}{n:02}}}\n" for n in range(12))

    def test_annotations_fit(self):
        executor = self.executor("E" * 61 + "00", agent="e")
        self.asker.request("RequestCoordinator", "chat", chat(), annotations={"sticky": "s" * 64})
        message = executor.take()
        self.assertLessEqual(len(msgpack.packb(message.annotations)), 2048)
        self.assertEqual(len(message.annotations["candidates"]), 6)


class BadConfiguration(harness.Fleet):
    def test_agents_do_not_start(self):
        path = os.path.join(self.folder, "pons.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("models: [{name: m, executor: RemoteApiAdapter, provider: q}]\n")
        for name in ("request_coordinator", "model_manager_suite"):
            program = self.start_agent(name, environment={"PONS_CONFIG": path}, ready=False)
            self.assertEqual(program.wait(), 2)
            program.expects = (2,)
            self.assertIn("models[0].provider: there is no provider 'q'", program.log())

    def test_without_models(self):
        path = os.path.join(self.folder, "pons.yaml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("site: here\n")
        for name in ("request_coordinator", "model_manager_suite"):
            self.start_agent(name, environment={"PONS_CONFIG": path})
        asker = self.client()
        with self.assertRaises(RemoteError) as caught:
            asker.answer(asker.request("RequestCoordinator", "chat", chat()))
        self.assertEqual((caught.exception.body["code"], caught.exception.body["http_status"]), ("no_models", 503))


if __name__ == "__main__":
    harness.main()
