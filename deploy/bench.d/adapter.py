"""deploy/bench adapter: what RemoteApiAdapter takes beyond its transport: CPU, memory, time to the first token, per dialect."""
import json
import os
import time
import urllib.request
from typing import NamedTuple

import gateway
import measure
from bus import percentile_us, sleep_until
from peers import start_pons_broker
from procs import BenchError, Stage, wait_for
from report import Report

EVENTS = 100  # of a stream: words of its answer
ANSWER_S = 40
SOAK_S = 600  # the longest window of the load
PROMPT = " ".join(["abcdefgh"] * 90)  # about 800 bytes
KEY = "BENCHID:bench-secret"
COLUMNS = [("per s", "rate", ",.0f"), ("CPU us each", "cpu", ",.1f"), ("beyond curl", "cpu_added", "+,.1f"), ("per event us", "cpu_event", ",.2f"),
           ("beyond curl", "cpu_event_added", "+,.2f"), ("first p50 us", "first_p50", ",.0f"), ("beyond curl", "first_p50_added", "+,.0f"),
           ("first p99 us", "first_p99", ",.0f"), ("RSS MiB", "rss", ".1f"), ("RSS grown KiB", "rss_grown", ",.0f"),
           ("KiB per stream", "kib_per_stream", ".1f"), ("requests", "requests", ",.0f"), ("failed", "lost", ",.0f")]


class Dialect(NamedTuple):
    """How a provider is asked: by the adapter's configuration, and by curl itself."""
    name: str
    base: str       # behind the mock's address and knobs
    config: str     # of the provider in pons.yaml
    plain: str      # paths behind base
    stream: str
    body: object    # of a direct request, for a stream or not
    headers: tuple = ()  # that a direct request has to have


class Case(NamedTuple):
    name: str
    streams: bool
    knobs: str
    outstanding: int
    warm_ms: int
    measure_ms: int
    requests: int = 0  # 0: as many as there is time for


def openai_body(streams):
    return {"model": "bench", "messages": [{"role": "user", "content": PROMPT}],
            **({"stream": True, "stream_options": {"include_usage": True}} if streams else {})}


def bedrock_body(streams):
    del streams
    return {"messages": [{"role": "user", "content": [{"text": PROMPT}]}]}


def anthropic_body(streams):
    return {"model": "bench", "max_tokens": 16384, "messages": [{"role": "user", "content": [{"type": "text", "text": PROMPT}]}],
            **({"stream": True} if streams else {})}


def gemini_body(streams):
    del streams
    return {"contents": [{"role": "user", "parts": [{"text": PROMPT}]}]}


DIALECTS = [Dialect("openai", "/v1", "key: {file: key}", "/chat/completions", "/chat/completions", openai_body),
            Dialect("bedrock", "", "dialect: bedrock, region: eu-central-1, key: {file: aws}", "/model/bench/converse",
                    "/model/bench/converse-stream", bedrock_body),
            Dialect("anthropic", "/v1", "dialect: anthropic, key: {file: key}", "/messages", "/messages", anthropic_body,
                    ("anthropic-version: 2023-06-01",)),
            Dialect("gemini", "/v1beta", "dialect: gemini, key: {file: key}", "/models/bench:generateContent",
                    "/models/bench:streamGenerateContent?alt=sse", gemini_body)]
USUAL = ["openai", "bedrock"]


def cases(options):
    """Saturation first: it warms all that is allocated once. The crowd comes last, for it is what fills memory."""
    def span(warm_ms, measure_ms):
        return (options.warm_ms if options.warm_ms is not None else warm_ms // (3 if options.quick else 1),
                options.measure_ms or measure_ms // (3 if options.quick else 1))
    is_short = options.measure_ms and options.measure_ms < 1000
    number = 100 if is_short else 2000
    soaked = 2000 if is_short else 50000 if options.quick else 1000000
    found = [Case("plain at saturation", False, "bytes=600", 64, *span(1000, 6000)),
             Case("stream at saturation", True, f"tokens={EVENTS}", 32, *span(1000, 6000)),
             Case("stream paced", True, f"tokens={EVENTS},gap_ms=20", 32, *span(3000, 6000)),
             Case("stream alone", True, "tokens=2", 1, *span(500, 3000)),
             Case(f"{number} streams", True, "tokens=100000,gap_ms=1000", number, 0, 0),
             Case("soak", False, "bytes=600", 64, 0, SOAK_S * 1000, soaked)]
    return [case for case in found if not options.cases or case.name in options.cases]


def events_of(case):
    return EVENTS if f"tokens={EVENTS}" in case.knobs.split(",") else 0


class Peer:
    """Who is measured: its load, and the process whose CPU and memory count."""

    def __init__(self, stage, build, dialect, mock_port, case):
        self.stage, self.build, self.dialect, self.case = stage, build, dialect, case
        self.base = f"http://127.0.0.1:{mock_port}/mock/{case.knobs}{dialect.base}"

    def program(self, *path):
        found = os.path.join(self.build, *path)
        if not os.path.exists(found):
            raise BenchError(f"{found} is not there; build the targets programs, bench-programs and mock-provider")
        return found

    def start_load(self, *argv, headers=()):
        case = self.case
        window = str(case.measure_ms or SOAK_S * 1000) + (f":{case.requests}" if case.requests else "")
        load = self.stage.start([self.program("tests", argv[0]), *argv[1:], str(case.outstanding), str(case.warm_ms), window, *headers])
        load.ready(ANSWER_S)
        return load


class Curl(Peer):
    name = "curl"

    def start(self):
        path = self.dialect.stream if self.case.streams else self.dialect.plain
        self.load = self.start_load("bench-curl-load", self.base + path, json.dumps(self.dialect.body(self.case.streams)),
                                    headers=self.dialect.headers)
        return self.load


class Adapter(Peer):
    name = "adapter"

    def start(self):
        endpoint = "ipc://" + self.stage.path("bus.sock")
        self.write("key", "sk-bench\n")
        self.write("aws", "aws_access_key_id = {}\naws_secret_access_key = {}\n".format(*KEY.split(":")))
        config = self.write("adapter.yaml", f"""site: bench
runtime_dir: {self.stage.folder}
state_dir: {self.stage.folder}
providers:
  - {{name: mock, base_url: "{self.base}", connections: 4096, {self.dialect.config}}}
models:
  - {{name: bench, executor: RemoteApiAdapter, provider: mock, context_tokens: 100000, input_usd: "0.15", output_usd: "0.6"}}
""")
        start_pons_broker(self.stage, self.build, endpoint)
        adapter = self.stage.start([self.program("bin", "pons-agent-remote_api_adapter"), "--endpoint", endpoint], notifies=True,
                                   quiet=True, env={"PONS_CONFIG": config})
        adapter.ready()
        self.load = self.start_load("bench-ask-load", endpoint, json.dumps(openai_body(self.case.streams)))
        return adapter

    def write(self, name, text):
        path = self.stage.path(name)
        with open(path, "w", opener=lambda file, flags: os.open(file, flags, 0o600)) as file:
            file.write(text)
        return path


def drive(case, peer, proc):
    """Lets the load go: what the process took in the measured window, and what the load saw."""
    peer.load.go()
    start = time.monotonic()
    sleep_until(start + case.warm_ms / 1000)
    cpu, rss, at = measure.cpu_s(proc.pid), measure.memory_kib(proc.pid)[0], time.monotonic()
    sleep_until(start + (case.warm_ms + case.measure_ms) / 1000)
    spent, wall = measure.cpu_s(proc.pid) - cpu, time.monotonic() - at
    after = measure.memory_kib(proc.pid)[0]
    return spent / wall, rss, after, peer.load.result(ANSWER_S)


def figures(case, load, rss, after, result):
    rate = result["count"] / result["seconds"]
    first = gateway.buckets_of(result["first"])
    out = {"rate": (rate, "1/s"), "rss": (after / 1024, "MiB"), "rss_grown": (after - rss, "KiB"),
           "lost": (result["sent"] - result["received"], "requests")}
    if case.outstanding == 1:
        out["first_p50"], out["first_p99"] = (percentile_us(first, 0.5), "us"), (percentile_us(first, 0.99), "us")
    elif rate:
        out["cpu"] = (load / rate * 1e6, "us/request")
        if events_of(case):
            out["cpu_event"] = (load / rate * 1e6 / events_of(case), "us/event")
    return out


def seen(mock_port, name):
    with urllib.request.urlopen(f"http://127.0.0.1:{mock_port}/mock/stats", timeout=10) as answer:
        return json.load(answer)[name]


def crowd(case, peer, proc, mock_port):
    """What each of many streams that run at once takes of memory."""
    idle = measure.memory_kib(proc.pid)[0]
    peer.load.go()
    wait_for(f"{case.outstanding} streams", lambda: peer.load.check() and seen(mock_port, "streams_running") == case.outstanding, ANSWER_S)
    time.sleep(2)  # an event of each
    full = measure.memory_kib(proc.pid)[0]
    return {"rss": (full / 1024, "MiB"), "rss_grown": (full - idle, "KiB"), "kib_per_stream": ((full - idle) / case.outstanding, "KiB"), "lost": (0, "requests")}


def soak(case, peer, proc, mock_port):
    """What very many requests leave behind: the process after a tenth of them, and after the last. Nobody takes settlements
    here, of which up to 8,192 wait."""
    warm_after = min(case.requests // 2, max(case.requests // 10, 15000))
    peer.load.go()
    wait_for("the first tenth", lambda: peer.load.check() and seen(mock_port, "requests") >= warm_after, SOAK_S)
    warm = measure.memory_kib(proc.pid)[0]
    result = peer.load.result(SOAK_S + ANSWER_S)
    end = measure.memory_kib(proc.pid)[0]
    return {"rate": (result["count"] / result["seconds"], "1/s"), "rss_warm": (warm / 1024, "MiB"), "rss": (end / 1024, "MiB"),
            "rss_grown": (end - warm, "KiB"), "requests": (result["received"], "requests"),
            "lost": (result["sent"] - result["received"], "requests")}


def run_one(kind, build, dialect, case):
    with Stage() as stage:
        mock = stage.start([os.path.join(build, "tests", "mock-provider"), "--port", "0"])
        mock_port = int(mock.line(10).rsplit(":", 1)[1])
        peer = kind(stage, build, dialect, mock_port, case)
        proc = peer.start()
        if case.requests:
            return soak(case, peer, proc, mock_port)
        if not case.measure_ms:
            return crowd(case, peer, proc, mock_port)
        return figures(case, *drive(case, peer, proc))


def kinds(case, number):
    """Who runs a case in this round, and in which order. A soak is long, of one round, and says nothing beside curl."""
    if case.requests:
        return [Adapter] if number == 0 else []
    return [Curl, Adapter] if number % 2 == 0 else [Adapter, Curl]


def run(options, say):
    wanted, chosen = cases(options), options.peers or USUAL
    if not wanted:
        raise BenchError("--cases: there is no such case")
    unknown = set(chosen) - {dialect.name for dialect in DIALECTS}
    if unknown:
        raise BenchError(f"--peers: there is no {unknown.pop()!r}; known are {', '.join(d.name for d in DIALECTS)}")
    report, foreign = Report("adapter"), measure.Foreign()
    rounds = options.rounds or (1 if options.quick else 3)
    for number in range(rounds):
        for dialect in [d for d in DIALECTS if d.name in chosen]:
            for case in wanted:
                for kind in kinds(case, number):
                    for metric, (value, unit) in run_one(kind, options.build, dialect, case).items():
                        report.add(f"{dialect.name}: {case.name}", kind.name, metric, value, unit)
        cores = foreign.cores()
        report.add("machine", "-", "foreign_cores", cores, "cores")
        say(f"round {number + 1} of {rounds}: foreign cores {cores:.2f}")
    for metric in ("cpu", "cpu_event", "first_p50"):
        report.subtract("curl", metric, metric + "_added")
    for case in report.cases():
        if case != "machine":
            print(case)
            report.print_case(case, COLUMNS)
    return report
