"""deploy/bench gateway: what a gateway adds to a request to a model provider: time, CPU, memory; plain answers and streams."""
import os
import time
from typing import NamedTuple

import floor
import gateways
import measure
from bus import percentile_us, sleep_until
from procs import BenchError, Stage
from report import Report

EVENTS = 100  # of a stream: 98 words, the first event and the one with finish_reason
ANSWER_S = 40


class Case(NamedTuple):
    name: str
    mode: str     # rate or connections
    number: int
    events: int   # 0: plain
    variant: str  # a knob of the mock
    warm_ms: int
    measure_ms: int


COLUMNS = [("per s", "rate", ",.0f"), ("p50 us", "p50", ",.0f"), ("added", "p50_added", "+,.0f"), ("p99 us", "p99", ",.0f"),
           ("added", "p99_added", "+,.0f"), ("first p50 us", "first_p50", ",.0f"), ("added", "first_p50_added", "+,.0f"), ("CPU us each", "cpu", ",.1f"),
           ("x nginx", "cpu_ratio", ".2f"), ("mock CPU us", "cpu_mock", ",.1f"), ("PSS idle MiB", "pss_idle", ".1f"),
           ("PSS after", "pss_after", ".1f"), ("failed", "lost", ",.0f")]
# design, budgets: what stands beside the results. (case, metric, most, what it is)
TARGETS = [("chat, saturation", "cpu", 150, "CPU us of all processes per chat request"),
           ("chat, 200/s", "p50_added", 500, "us added to p50 at 200/s"),
           ("chat, 200/s", "p99_added", 1500, "us added to p99 at 200/s"),
           ("stream, saturation", "cpu", 800, "CPU us of all processes per stream of 100 events"),
           ("stream, 20 ms per event", "cpu_floor_ratio", 1.5, "CPU of all processes, over that of bare libcurl and bare libzmq together"),
           ("stream, saturation", "pss_after", 60, "MiB PSS of all processes under that load")]
PARTS = ["gateway", "broker", "coordinator", "manager", "adapter"]
BUSY_CORES = 0.2
DECISIONS_US = 25  # coordinator and manager together, of a chat request


def cases(quick, options):
    """Saturation comes first: it warms what has a compiler. A paced stream takes 2 s, so it is warmed for as long."""
    def span(warm_ms, measure_ms, quick_warm_ms, quick_measure_ms):
        return (options.warm_ms or (quick_warm_ms if quick else warm_ms),
                options.measure_ms or (quick_measure_ms if quick else measure_ms))
    paced_warm = 2500 if not quick else 2100
    return [Case("chat, saturation", "connections", 32, 0, "", *span(500, 2000, 200, 500)),
            Case("chat, 200/s", "rate", 200, 0, "", *span(500, 4000, 200, 1000)),
            Case("stream, saturation", "connections", 16, EVENTS, "", *span(500, 2000, 200, 500)),
            Case("stream, 20 ms per event", "rate", 20, EVENTS, "gap_ms=20", paced_warm, span(0, 4000, 0, 1000)[1])]


def start_mock(stage, build):
    proc = stage.start([os.path.join(build, "tests", "mock-provider"), "--tokens", str(EVENTS - 2)])
    line = proc.line(20)
    if not line.startswith("listening on 127.0.0.1:"):
        raise BenchError(f"mock-provider: said {line!r}")
    return proc, int(line.rsplit(":", 1)[1])


def pids_of(parts):
    return {part: measure.family(proc.pid) for part, proc in parts.items()}


def cpu_of(pids):
    return {part: sum(measure.cpu_s(pid) for pid in family) for part, family in pids.items()}


def pss_mib(pids):
    return sum(measure.memory_kib(pid)[1] for family in pids.values() for pid in family) / 1024


def start_load(stage, build, case, target):
    argv = [os.path.join(build, "tests", "bench-http-load"), str(target.port), target.path, case.mode, str(case.number),
            str(case.events), str(case.warm_ms), str(case.measure_ms), target.model, *target.headers]
    load = stage.start(argv)
    load.ready(ANSWER_S)
    return load


def drive(load, case, pids):
    """Lets the load go and reads CPU at both ends of the measured window: (seconds on a CPU per part, wall, result)."""
    load.go()
    start = time.monotonic()
    sleep_until(start + case.warm_ms / 1000)
    before, at = cpu_of(pids), time.monotonic()
    sleep_until(start + (case.warm_ms + case.measure_ms) / 1000)
    after, wall = cpu_of(pids), time.monotonic() - at
    return {part: after[part] - before[part] for part in pids}, wall, load.result(ANSWER_S)


def buckets_of(pairs):
    return {edge: count for edge, count in pairs}


def figures(case, spent, wall, result):
    """The load's window and the processes' differ by a little, so CPU is per second first, then per request."""
    rate = result["count"] / result["seconds"]
    whole, first = buckets_of(result["histogram"]), buckets_of(result["first"])
    out = {"rate": (rate, "1/s"), "p50": (percentile_us(whole, 0.5), "us"), "p99": (percentile_us(whole, 0.99), "us"),
           "lost": (result["sent"] - result["received"], "requests"), "answered": (result["received"], "requests")}
    if case.events:
        out["first_p50"], out["first_p99"] = (percentile_us(first, 0.5), "us"), (percentile_us(first, 0.99), "us")
    if rate:
        each = {part: seconds / wall / rate * 1e6 for part, seconds in spent.items()}
        out["cpu_mock"] = (each.pop("mock"), "us/request")
        if each:
            out["cpu"] = (sum(each.values()), "us/request")
        for part, value in each.items() if len(each) > 1 else ():
            out[f"cpu_{part}"] = (value, "us/request")
    return out


def run_gateway(gateway, wanted, add):
    """One gateway, fresh, under all loads in turn."""
    with Stage() as stage:
        mock, mock_port = start_mock(stage, gateway.build)
        upstream = gateway.start(stage, mock_port)
        pids = pids_of(upstream.parts)
        idle = pss_mib(pids)
        if gateway.warm_ms:
            drive(start_load(stage, gateway.build, wanted[0]._replace(warm_ms=0, measure_ms=gateway.warm_ms),
                             upstream.target("")), wanted[0], {})
        for case in wanted:
            load = start_load(stage, gateway.build, case, upstream.target(case.variant))
            spent, wall, result = drive(load, case, {**pids, "mock": [mock.pid]})
            for metric, (value, unit) in figures(case, spent, wall, result).items():
                add(case.name, metric, value, unit)
            if pids:
                add(case.name, "pss_idle", idle, "MiB")
                add(case.name, "pss_after", pss_mib(pids), "MiB")


def interleave(report, chosen, wanted, rounds, say):
    """Every round: each gateway in turn, the first one another each time."""
    foreign = measure.Foreign()
    for number in range(rounds):
        for i in range(len(chosen)):
            gateway = chosen[(i + number) % len(chosen)]
            try:
                run_gateway(gateway, wanted, lambda case, metric, value, unit, name=gateway.name:
                            report.add(case, name, metric, value, unit))
            except BenchError as error:
                raise BenchError(f"{gateway.name}: {error}") from None
        if "pons" in [gateway.name for gateway in chosen]:
            floor.run(chosen[0].build, wanted, start_mock, report.add)
        cores = foreign.cores()
        report.add("machine", "-", "foreign_cores", cores, "cores")
        say(f"round {number + 1} of {rounds}: foreign cores {cores:.2f}")


def print_parts(report, case):
    """What each process of pons takes of a request."""
    if report.median(case, "pons", "cpu_gateway") is None:
        return
    each = {part: report.median(case, "pons", "cpu_" + part) for part in PARTS}
    decisions = each["coordinator"] + each["manager"]
    print("  pons, CPU us each: " + ", ".join(f"{part} {value:.1f}" for part, value in each.items()) +
          f"; decisions (coordinator and manager) {decisions:.1f}" +
          (f", at most {DECISIONS_US}" if case == "chat, saturation" else "") + "\n", flush=True)


def print_targets(report):
    rows = [(case, report.median(case, "pons", metric), most, what) for case, metric, most, what in TARGETS]
    if any(value is not None for _, value, _, _ in rows):
        print("pons against the targets")
        for case, value, most, what in rows:
            text = "not measured" if value is None else f"{value:,.2f}, {'reached' if value <= most else 'MISSED'}"
            print(f"  {case}: {what}: at most {most:,}: {text}")
        busy = report.median("machine", "-", "foreign_cores")
        if busy and busy > BUSY_CORES:
            print(f"  others kept {busy:.1f} cores busy: latencies of this run say little, and CPU is higher than alone")
        print(flush=True)


def print_all(report):
    for metric in ("p50", "p99", "first_p50"):
        report.subtract("direct", metric, metric + "_added")
    report.pair("nginx", "cpu", "cpu_ratio")
    floor.add_ratio(report)
    for case in report.cases():
        if case != "machine":
            print(case)
            report.print_case(case, COLUMNS)
            print_parts(report, case)
    print_targets(report)


def run(options, say):
    chosen, left_out = gateways.choose(options.build, options.peers)
    for name, why in left_out:
        say(f"{name} takes no part: {why}")
    if not chosen:
        raise BenchError("no peer can take part")
    if options.quick:
        gateways.Portkey.warm_ms = 1000
    report = Report("gateway")
    interleave(report, chosen, cases(options.quick, options), options.rounds or (1 if options.quick else 3), say)
    print_all(report)
    return report
