"""deploy/bench bus: rate, latency, broker CPU and memory of pons and its peers under the same load."""
import subprocess
import time
from typing import NamedTuple

import measure
import peers
from procs import BenchError, Stage
from report import Report


class Case(NamedTuple):
    name: str
    clients: int
    workers: int
    outstanding: int
    size_bytes: int


class Span(NamedTuple):
    warm_ms: int
    measure_ms: int


SHAPES = [("1x1x1", 1, 1, 1), ("1x4x100", 1, 4, 100), ("1x4x1000", 1, 4, 1000), ("16x16x16", 16, 16, 16)]
COLUMNS = [("msgs/s", "rate", ",.0f"), ("x bare", "rate_ratio", ".2f"), ("p50 us", "p50", ",.1f"),
           ("x bare", "p50_ratio", ".2f"), ("p99 us", "p99", ",.0f"), ("p999 us", "p999", ",.0f"),
           ("broker CPU s/M", "broker_cpu", ".2f"), ("x bare", "cpu_ratio", ".2f"), ("worker CPU s/M", "worker_cpu", ".2f"),
           ("client CPU s/M", "client_cpu", ".2f"), ("switches/req", "switches", ".2f"), ("RSS idle MiB", "rss_idle", ".1f"),
           ("RSS after", "rss_after", ".1f"), ("lost", "lost", ",.0f")]


def cases(quick):
    """All shapes at 64 bytes and 1 KiB; the quick version has 1 KiB once."""
    small = [Case(f"{name} 64B", c, w, o, 64) for name, c, w, o in SHAPES]
    large = [Case(f"{name} 1KiB", c, w, o, 1024) for name, c, w, o in SHAPES]
    return small + (large[1:2] if quick else large)


def percentile_us(buckets, share):
    total, seen = sum(buckets.values()), 0
    for edge in sorted(buckets):
        seen += buckets[edge]
        if seen > total * share:
            return edge / 1000
    return None


def sleep_until(at):
    time.sleep(max(0.0, at - time.monotonic()))


def sample(broker, workers, clients):
    return {"at": time.monotonic(), "cpu": measure.cpu_s(broker.pid), "switches": measure.switches(broker.pid),
            "workers": sum(measure.cpu_s(worker.pid) for worker in workers),
            "clients": sum(measure.cpu_s(client.pid) for client in clients)}


def drive(broker, workers, clients, span):
    """Lets all clients go, reads the broker at both ends of the measured window. (before, after, results)."""
    for client in clients:
        client.go()
    start = time.monotonic()
    sleep_until(start + span.warm_ms / 1000)
    before = sample(broker, workers, clients)
    sleep_until(start + (span.warm_ms + span.measure_ms) / 1000)
    after = sample(broker, workers, clients)
    return before, after, [client.result(20) for client in clients]


def figures(case, before, after, results):
    """The broker's window and the clients' may differ by a little, so CPU is per second first, then per request."""
    buckets = {}
    for result in results:
        for edge, count in result["histogram"]:
            buckets[edge] = buckets.get(edge, 0) + count
    rate = sum(result["count"] / result["seconds"] for result in results)
    wall = after["at"] - before["at"]
    per_million = 1e6 / rate / wall if rate else None
    out = {"rate": (rate, "1/s"), "p50": (percentile_us(buckets, 0.5), "us"), "p99": (percentile_us(buckets, 0.99), "us"),
           "p999": (percentile_us(buckets, 0.999), "us"),
           "lost": (sum(r["sent"] - r["received"] for r in results), "requests"),
           "answered": (sum(r["received"] for r in results), "requests")}
    if per_million:
        out["broker_cpu"] = ((after["cpu"] - before["cpu"]) * per_million, "s/M requests")
        out["worker_cpu"] = ((after["workers"] - before["workers"]) * per_million, "s/M requests")
        out["client_cpu"] = ((after["clients"] - before["clients"]) * per_million, "s/M requests")
        out["switches"] = ((after["switches"] - before["switches"]) * per_million / 1e6, "1/request")
    return out


def run_one(peer, case, span, prepare=None):
    """One peer under one load, all of it fresh: {metric: (value, unit)}. prepare(stage, broker, endpoint) comes first."""
    with Stage() as stage:
        broker, endpoint = peer.broker(stage)
        if prepare:
            prepare(stage, broker, endpoint)
        idle_kib = measure.memory_kib(broker.pid)
        workers = [peer.worker(stage, endpoint, i) for i in range(case.workers)]
        for worker in workers:
            worker.ready()
        clients = [peer.client(stage, endpoint, i, case, span) for i in range(case.clients)]
        for client in clients:
            client.ready()
        out = figures(case, *drive(broker, workers, clients, span))
        loaded_kib = measure.memory_kib(broker.pid)
    out["rss_idle"], out["rss_after"] = (idle_kib[0] / 1024, "MiB"), (loaded_kib[0] / 1024, "MiB")
    out["pss_after"] = (loaded_kib[1] / 1024, "MiB")
    return out


def run_codec(report, build):
    """Header encode and decode, as its own program measures it."""
    path = peers.Peer(build).program("codec")
    try:
        done = subprocess.run([path], capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return
    for line in done.stdout.splitlines():
        case, value = line.rsplit(" ", 1)
        report.add(f"header codec, {case}", "pons", "codec", float(value), "ns/pair")


def interleave(report, chosen, wanted, span, rounds, say):
    """Every round: each case, each peer in turn, the first one another each time."""
    foreign = measure.Foreign()
    for number in range(rounds):
        for case in wanted:
            for i in range(len(chosen)):
                peer = chosen[(i + number) % len(chosen)]
                try:
                    for metric, (value, unit) in run_one(peer, case, span).items():
                        report.add(case.name, peer.name, metric, value, unit)
                except BenchError as error:
                    raise BenchError(f"{peer.name}, {case.name}: {error}") from None
        cores = foreign.cores()
        report.add("machine", "-", "foreign_cores", cores, "cores")
        say(f"round {number + 1} of {rounds}: foreign cores {cores:.2f}")


def print_all(report):
    report.pair("bare-ipc", "rate", "rate_ratio")
    report.pair("bare-ipc", "p50", "p50_ratio")
    report.pair("bare-ipc", "broker_cpu", "cpu_ratio")
    for case in report.cases():
        if case.startswith("header codec"):
            print(f"{case}: {report.median(case, 'pons', 'codec'):.0f} ns for encode + decode\n")
        elif case != "machine":
            clients, workers, rest = case.split("x")
            print(f"{clients} client(s), {workers} worker(s), {rest.split()[0]} outstanding each, {rest.split()[1]} body")
            report.print_case(case, COLUMNS)


def run(options, say):
    chosen, left_out = peers.choose(options.build, options.peers)
    for name, why in left_out:
        say(f"{name} takes no part: {why}")
    if not chosen:
        raise BenchError("no peer can take part")
    wanted = [case for case in cases(options.quick) if not options.cases or case.name.split()[0] in options.cases]
    if not wanted:
        raise BenchError(f"--cases: known are {', '.join(shape[0] for shape in SHAPES)}")
    span = Span(options.warm_ms or (150 if options.quick else 300), options.measure_ms or (400 if options.quick else 1000))
    report = Report("bus")
    run_codec(report, options.build)
    interleave(report, chosen, wanted, span, options.rounds or (1 if options.quick else 5), say)
    print_all(report)
    return report
