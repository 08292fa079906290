#!/usr/bin/python3
"""What RemoteApiAdapter sends beside what a provider's official SDK sends for the same call: method, path, query, headers, key and
body, as the mock provider has seen them. The calls are in same.json in each SDK's folder: what the adapter is asked, and the SDK's call with
its arguments ({"$ask": 1} is the request itself, for who speaks its dialect). A difference has to be written there, with why it
may be. Its packages go into the build folder, by the lock file beside it. test_same.py SDK."""

import email
import json
import os
import pathlib
import re
import subprocess
import sys
import unittest
import urllib.parse

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, os.path.join(ROOT, "tests", "process"), os.path.join(ROOT, "tests", "mock-provider")]

import harness  # noqa: E402
import npm  # noqa: E402
from harness import Flag, Kind, RemoteError  # noqa: E402
from mock_client import Mock  # noqa: E402

KEYS = {"bedrock": "AKIDTEST:secret/of+the/test:token/of+the=test"}
KEY = "key-of-the-test"
AWS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
# provider: (SDK, dialect, what stands behind the mock's address, further lines)
PROVIDERS = {
    "openai": ("openai", "openai", "/v1", ""), "azure": ("openai", "azure", "", "api_version: 2024-10-21, "),
    "azure-v1": ("openai", "azure", "", ""), "custom": ("openai", "custom", "/v1", "headers: ['X-Team: blue'], "),
    "custom-path": ("openai", "custom", "", "headers: ['X-Team: blue'], key_header: 'X-Custom-Key: Token {key}', chat_path: '/custom/{model}/chat', "
                    "embed_path: '/custom/{model}/embed', models_path: /custom/all/models, "),
    "anthropic": ("anthropic", "anthropic", "/v1", ""),
    "gemini": ("genai", "gemini", "/v1beta", ""), "bedrock": ("bedrock", "bedrock", "", "region: eu-central-1, "),
    "bedrock_invoke": ("bedrock", "bedrock_invoke", "", "region: eu-central-1, "),
}
KINDS = {"embed": "embedding", "transcribe": "transcription", "transcribe_stream": "transcription", "speak": "speech",
         "speak_stream": "speech"}
STREAMS = ("speak_stream", "transcribe_stream")
TEMPLATES = {"custom-path": {"generate", "describe", "translate", "embed", "models"}}  # what has a path of its own there
BY_PROVIDER = ("models", "fine_tune", "fine_tune_status", "fine_tune_events", "fine_tune_cancel")
# Headers that say who asks, when, by what connection, and what an SDK tells of itself; of Amazon's the hash of the body, which S3
# alone wants. All others have to be the same.
OWN_HEADERS = re.compile(r"accept.*|amz-sdk-.*|connection|content-length|host|sec-fetch-mode|user-agent|x-amz-(content-sha256|date|user-agent)|"
                         r"x-goog-api-client|x-stainless-.*")
# What a dialect's function is asked for.
VERBS = {"encode_chat": {"generate", "describe", "translate"}, "encode_embed": {"embed"}, "encode_models": {"models"},
         "encode_transcribe": {"transcribe", "transcribe_stream"}, "encode_speak": {"speak", "speak_stream"},
         "encode_tune": {"fine_tune", "fine_tune_status", "fine_tune_events", "fine_tune_cancel"}}
WINDOW = 1 << 20


def plain(value):
    """JSON with {"$bytes": …} as bytes, for the bus."""
    if isinstance(value, dict):
        return value["$bytes"].encode() if "$bytes" in value else {name: plain(one) for name, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def take_out(value, path):
    """Removes what path names, a.*.b for each element of a list; whether there was such a thing."""
    name, _, rest = path.partition(".")
    if name == "*":
        return any([take_out(one, rest) for one in value])
    if rest:
        return name in value and take_out(value[name], rest)
    return value.pop(name, None) is not None


def form(content_type, body):
    """The parts of a form: (name, file name, type, value), in any order."""
    whole = email.message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body.encode())
    return sorted((part.get_param("name", header="content-disposition"), part.get_filename(""), part.get("content-type", ""),
                   part.get_payload(decode=True).decode()) for part in whole.get_payload())


def looked_at(request, signed):
    """A request as it is compared. Signatures have a moment in them, and were checked by the mock."""
    kind = request["headers"].get("content-type", "")
    is_form = kind.startswith("multipart/form-data")
    body = form(kind, request["body"]) if is_form else json.loads(request["body"]) if request["body"] else {}
    secrets = {name: "signed" if signed and name == "authorization" else value for name, value in request["sha256"].items()}
    headers = {name: value for name, value in request["headers"].items() if not OWN_HEADERS.fullmatch(name)}
    if is_form:
        headers["content-type"] = "multipart/form-data"
    return {"method": request["method"], "path": request["path"], "query": sorted(urllib.parse.parse_qsl(request["query"])),
            "headers": headers, "secrets": secrets, "body": body}


@unittest.skipUnless(npm.there(), "there is no node or npm: install the packages of group llm")
class Same(harness.Fleet):
    SDK = None

    def setUp(self):
        super().setUp()
        with open(os.path.join(HERE, self.SDK, "same.json"), encoding="utf-8") as file:
            cases = json.load(file)
        self.cases = {f"{provider} {name}": {**case, "provider": provider}
                      for name, case in cases.items() for provider in case["providers"]}
        self.key = KEYS.get(self.SDK, KEY)
        self.mock = Mock(os.path.join(harness.BUILD, "tests", "mock-provider"), "--key", self.key)
        self.addCleanup(self.mock.__exit__)
        lines = self.key if self.SDK != "bedrock" else "\n".join(f"{name} = {word}" for name, word in zip(AWS, self.key.split(":")))
        with open(os.open(os.path.join(self.folder, "key"), os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="utf-8") as file:
            file.write(lines + "\n")
        config = os.path.join(self.folder, "pons.yaml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(self.configuration())
        self.asker = self.client()
        self.start_agent("remote_api_adapter", environment={"PONS_CONFIG": config})

    @staticmethod
    def row(case):
        """The name of a case's model in the model table."""
        return re.sub(r"[^a-z0-9]+", "-", f"{case['provider']}-{KINDS.get(case['verb'], 'chat')}-{case['upstream']}".lower())

    def configuration(self):
        text = "providers:\n" + "".join(
            f"  - {{name: {name}, dialect: {dialect}, base_url: '{self.mock.base_url}{behind}', {more}key: {{file: key}}, attempts: 1}}\n"
            for name, (sdk, dialect, behind, more) in PROVIDERS.items() if sdk == self.SDK)
        rows = {self.row(case): case for case in self.cases.values() if "upstream" in case}
        return text + "models:\n" + "".join(
            f"  - {{name: {name}, kind: {KINDS.get(case['verb'], 'chat')}, executor: RemoteApiAdapter, provider: {case['provider']}, "
            f"upstream: '{case['upstream']}'}}\n" for name, case in rows.items())

    # --- the two sides ---

    def ask(self, case):
        """Has the adapter ask the provider."""
        verb, ask = case["verb"], plain(case["ask"])
        if verb in BY_PROVIDER:
            return self.asker.ask("RemoteApiAdapter", verb, {"provider": case["provider"], **ask})
        ask["model"] = self.row(case)
        if verb in ("generate", "embed"):
            ask = {"request": json.dumps(ask, separators=(",", ":"))}
        if not case["ask"].get("stream") and verb not in STREAMS:
            return self.asker.ask("RemoteApiAdapter", verb, ask, window=WINDOW)
        request = self.asker.request("RemoteApiAdapter", verb, ask, flags=Flag.STREAM, window=WINDOW)
        while (message := self.asker.expect(Kind.CHUNK, Kind.REPLY, Kind.ERROR, id=request)).kind == Kind.CHUNK:
            pass  # none of these answers is larger than the window
        if message.kind == Kind.ERROR:
            raise RemoteError(harness.Status(message.status), message.data)
        return message.data

    def ours(self):
        seen = {}
        for name, case in self.cases.items():
            with self.subTest(name):
                self.ask(case)
                seen[name] = self.mock.stats()["last_request"]
        return seen

    @staticmethod
    def arguments(case):
        """An SDK's arguments, with what was asked where they say {"$ask": 1}."""
        return [{**case["ask"], "model": case["upstream"]} if one == {"$ask": 1} else one for one in case["args"]]

    def theirs(self):
        into = os.path.join(harness.BUILD, f"{self.SDK}-sdk")
        npm.fetch(os.path.join(HERE, self.SDK), into, "same.mjs", os.path.join("..", "calls.mjs"))
        asked = [{"provider": case["provider"], "call": case["call"], "args": self.arguments(case)} for case in self.cases.values()]
        run = subprocess.run(["node", "same.mjs", self.mock.base_url, self.key], cwd=into, input=json.dumps(asked), text=True,
                             capture_output=True, timeout=harness.DEADLINE_S * 3, check=False)
        self.assertEqual(run.returncode, 0, run.stderr)
        return dict(zip(self.cases, json.loads(run.stdout), strict=True))

    def without(self, seen, differences, name):
        """What may differ is taken out; what is not there any more has no place in same.json."""
        for path, why in differences.items():
            self.assertTrue(why)
            self.assertTrue(take_out(seen, path), f"{name}: {path} is no difference any more")
        return seen

    def test_each_call_is_the_same(self):
        ours, theirs = self.ours(), self.theirs()
        for name in ours:
            with self.subTest(name):
                self.assertEqual(*(self.without(looked_at(seen[name], self.SDK == "bedrock"), self.cases[name].get(side, {}), name)
                                   for side, seen in (("only_ours", ours), ("only_theirs", theirs))))

    def test_no_call_is_left_out(self):
        """Each thing that a dialect can be asked for stands in same.json, completions whole and streamed."""
        for name, (sdk, dialect, *_) in PROVIDERS.items():
            if sdk != self.SDK:
                continue
            folder = dialect.split("_")[0]
            sources = [os.path.join(ROOT, "adapters", folder, file) for file in os.listdir(os.path.join(ROOT, "adapters", folder))]
            text = "".join(pathlib.Path(file).read_text(encoding="utf-8") for file in sources if file.endswith(".c"))
            vtable = re.search(rf"^const Dialect {dialect}_dialect = {{(.*?)^}};", text, re.M | re.S).group(1)
            wanted = set().union(*(verbs for function, verbs in VERBS.items() if f".{function} =" in vtable))
            there = [case for case in self.cases.values() if case["provider"] == name]
            self.assertEqual(wanted & TEMPLATES.get(name, wanted) - {case["verb"] for case in there}, set(), name)
            self.assertEqual({bool(case["ask"].get("stream")) for case in there if case["verb"] == "generate"}, {False, True}, name)


if __name__ == "__main__":
    Same.SDK = sys.argv.pop(1)
    harness.main()
