#!/usr/bin/python3
"""What RemoteApiAdapter asks of one provider by its name: the list of its models, and jobs of fine-tuning. All dialects."""

import json
import os
import sys

import harness
from harness import RemoteError

sys.path.insert(0, os.path.join(harness.TESTS, "mock-provider"))

from mock_client import Mock  # noqa: E402

KEY = "sk-never-to-be-seen-0123456789"
# name: (path of the base URL, further lines); the mock tells two models on a page
PROVIDERS = {
    "openai": ("/v1", ""), "anthropic": ("/v1", ""), "gemini": ("/v1beta", ""),
    "azure": ("", "api_version: 2024-10-21, "), "azure-v1": ("", ""),
    "bedrock": ("", "region: eu-central-1, "),
    "custom": ("", "models_path: /custom/any/models, chat_path: '/custom/{model}/chat', key_header: 'x-custom-key: Token {key}', "
                   "headers: ['x-team: blue'], "),
}
MODELS = [f"model-{i}" for i in range(5)]
LISTED = ",".join(["", *MODELS])  # a name that is none comes first, and is passed over
HAVE_TUNING = ("openai", "azure", "azure-v1")


class Fleet(harness.Fleet):
    def setUp(self):
        super().setUp()
        self.mock = Mock(os.path.join(harness.BUILD, "tests", "mock-provider"), "--key", KEY, "--models", LISTED)
        self.addCleanup(self.mock.__exit__)
        self.aws = Mock(os.path.join(harness.BUILD, "tests", "mock-provider"), "--key", "AKID:SECRET", "--models", ",".join(MODELS))
        self.addCleanup(self.aws.__exit__)
        for name, text in (("key", KEY), ("aws", "aws_access_key_id = AKID\naws_secret_access_key = SECRET"), ("bad", "sk-wrong")):
            with open(os.open(os.path.join(self.folder, name), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
                file.write(text + "\n")
        config = os.path.join(self.folder, "pons.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(self.configuration())
        self.asker = self.client()
        self.start_agent("remote_api_adapter", environment={"PONS_CONFIG": config})

    def configuration(self):
        text = "providers:\n"
        for name, (path, more) in PROVIDERS.items():
            mock, key = (self.aws, "aws") if name == "bedrock" else (self.mock, "key")
            text += (f"  - {{name: {name}, dialect: {name.split('-')[0]}, base_url: '{mock.base_url}/mock/page=2{path}', {more}"
                     f"key: {{file: {key}}}}}\n")
        text += f"  - {{name: wrong, base_url: '{self.mock.base_url}/v1', key: {{file: bad}}}}\n"
        return text + "models:\n" + "".join(
            f"  - {{name: {name}, executor: RemoteApiAdapter, provider: {name}, upstream: model-3, input_usd: '1'}}\n" for name in PROVIDERS)

    def ask(self, verb, provider, **ask):
        return self.asker.ask("RemoteApiAdapter", verb, {"provider": provider, **ask})

    def refused(self, verb, provider, **ask):
        with self.assertRaises(RemoteError) as raised:
            self.ask(verb, provider, **ask)
        self.assertNotIn(KEY, str(raised.exception.body))
        return raised.exception.status.name, raised.exception.body


class Models(Fleet):
    def test_every_page_of_every_dialect(self):
        for name in PROVIDERS:
            with self.subTest(name):
                told = self.ask("models", name)
                rows = {row["upstream"]: row for row in told["models"]}
                profiles = [f"eu.{model}" for model in MODELS] if name == "bedrock" else []
                self.assertEqual(list(rows), MODELS + profiles)
                self.assertNotIn("cut", told)
                self.assertEqual((rows["model-3"]["name"], rows["model-3"]["input_nano_usd"], rows["model-3"]["state"]),
                                 (name, 1000, "unmeasured"))
                self.assertEqual(rows["model-0"], {"upstream": "model-0", "listed": True, "state": "unmeasured"})

    def test_it_costs_nothing_but_lists(self):
        self.ask("models", "anthropic")
        paths = self.mock.stats()["paths"]
        self.assertTrue(all("/models" in path for path in paths), paths)


class FineTune(Fleet):
    def test_a_job_from_its_beginning(self):
        for name in HAVE_TUNING:
            with self.subTest(name):
                job = self.ask("fine_tune", name, model="gpt-4.1-mini", training_file="file-abc", suffix="mine", epochs=3, seed=7)
                self.assertEqual((job["status"], job["job"][:11]), ("validating_files", "ftjob-mock-"))
                self.assertNotIn("tuned", job)
                body = json.loads(self.mock.stats()["last_request"]["body"])
                self.assertEqual(body, {"model": "gpt-4.1-mini", "training_file": "file-abc", "suffix": "mine", "seed": 7,
                                        "method": {"type": "supervised", "supervised": {"hyperparameters": {"n_epochs": 3}}}})
                self.assertEqual(self.ask("fine_tune_status", name, job=job["job"])["status"], "running")
                self.assertEqual(self.ask("fine_tune_cancel", name, job=job["job"])["status"], "cancelled")
                request = self.mock.stats()["last_request"]
                self.assertEqual((request["method"], request["body"]), ("POST", ""))
                self.assertNotIn("content-type", request["headers"], "of nothing")

    def test_how_jobs_end(self):
        done = self.ask("fine_tune_status", "openai", job="ftjob-done")
        self.assertEqual((done["status"], done["tuned"], done["trained_tokens"]), ("succeeded", "ft:mock-small:org::abc", 5000))
        self.assertEqual(done["finished_s"] - done["created_s"], 900)
        failed = self.ask("fine_tune_status", "openai", job="ftjob-failed")
        self.assertEqual((failed["status"], failed["why"]), ("failed", "Line 3 is no example."))

    def test_events(self):
        for name in HAVE_TUNING:
            with self.subTest(name):
                page = self.ask("fine_tune_events", name, job="ftjob-done", limit=2)
                self.assertEqual([event["id"] for event in page["events"]], ["ftevent-2", "ftevent-1"])
                self.assertTrue(page["has_more"])
                self.assertEqual(page["events"][1], {"id": "ftevent-1", "at_s": 1700000001, "level": "info", "message": 'Step 1/2: "loss" 1.50'})
                page = self.ask("fine_tune_events", name, job="ftjob-done", after="ftevent-1")
                self.assertEqual(([event["id"] for event in page["events"]], page["has_more"]), (["ftevent-0"], False))

    def test_who_has_none_says_so(self):
        for name in PROVIDERS:
            if name in HAVE_TUNING:
                continue
            with self.subTest(name):
                status, body = self.refused("fine_tune", name, model="m", training_file="file-1")
                self.assertEqual((status, body["http_status"]), ("FAILED", 503))
                self.assertIn("has no fine-tuning", body["message"])
        self.assertEqual(self.mock.stats()["requests"], 0)

    def test_refusals(self):
        status, body = self.refused("fine_tune", "openai", model="m", training_file="nothing")
        self.assertEqual((status, body["http_status"], body["path"]), ("REFUSED", 400, "training_file"))
        self.assertEqual(self.refused("fine_tune_status", "openai", job="job-1")[1]["http_status"], 503)
        self.assertEqual(self.refused("fine_tune_cancel", "openai", job="ftjob-done")[1]["http_status"], 400)
        self.assertEqual(self.refused("fine_tune_status", "nobody", job="ftjob-1")[1]["http_status"], 404)
        status, body = self.refused("fine_tune_status", "wrong", job="ftjob-1")
        self.assertEqual((status, body["http_status"]), ("FAILED", 502))


if __name__ == "__main__":
    harness.main()
