"""deploy/bench growth: the rate of one load while ever more idle agents and services are registered."""
import measure
import peers
from bus import Case, Span, run_one
from procs import BenchError
from report import Report

LOAD = Case("1x4x100 64B", 1, 4, 100, 64)
SERVICES_OF_ONE = 250  # a broker takes at most 256 from one instance
COLUMNS = [("msgs/s", "rate", ",.0f"), ("x none", "rate_ratio", ".3f"), ("p50 us", "p50", ",.1f"), ("p99 us", "p99", ",.0f"),
           ("broker CPU s/M", "broker_cpu", ".2f"), ("x none", "cpu_ratio", ".3f"), ("RSS registered MiB", "rss_idle", ".1f"),
           ("KiB per connection", "kib_per_connection", ".1f"), ("per service", "kib_per_service", ".2f"), ("lost", "lost", ",.0f")]


class Growth(Report):
    """Inside, the steps are the peers that share a case, so that they pair; outside, they are cases of one peer."""

    def rows(self):
        return [row if row["case"] == "machine" else {**row, "case": row["peer"], "peer": "pons-ipc"} for row in super().rows()]


def steps(quick):
    """(name, idle connections, services of each): first none, then agents, then services."""
    agents = [10, 1000] if quick else [10, 100, 1000]
    services = [10, 10000] if quick else [10, 1000, 10000]
    return ([("none", 0, 0)] + [(f"{n} idle agents", n, 1) for n in agents]
            + [(f"{n} services", -(-n // SERVICES_OF_ONE), min(n, SERVICES_OF_ONE)) for n in services])


def crowd(peer, count, each, out):
    """What run_one does before the load comes: starts the idle ones and notes what they cost, where there are enough of
    them that the broker's own first pages do not count."""
    def prepare(stage, broker, endpoint):
        if not count:
            return
        before = measure.memory_kib(broker.pid)[0]
        stage.start([peer.program("pons-idle"), endpoint, str(count), str(each)]).ready(60)
        grown = measure.memory_kib(broker.pid)[0] - before
        if each == 1 and count >= 100:
            out["kib_per_connection"] = (grown / count, "KiB")
        elif count * each >= 1000:
            out["kib_per_service"] = (grown / count / each, "KiB")
    return prepare


def run(options, say):
    peer = peers.Pons(options.build, "ipc")
    why = peer.missing()
    if why:
        raise BenchError(f"pons takes no part: {why}")
    span = Span(options.warm_ms or (200 if options.quick else 300), options.measure_ms or (800 if options.quick else 2000))
    report, foreign = Growth("growth"), measure.Foreign()
    rounds = options.rounds or (2 if options.quick else 5)
    for number in range(rounds):
        order = steps(options.quick)
        for i in range(len(order)):
            name, count, each = order[(i + number) % len(order)]
            extra = {}
            figures = run_one(peer, LOAD, span, crowd(peer, count, each, extra))
            for metric, (value, unit) in {**figures, **extra}.items():
                report.add(LOAD.name, name, metric, value, unit)
        cores = foreign.cores()
        report.add("machine", "-", "foreign_cores", cores, "cores")
        say(f"round {number + 1} of {rounds}: foreign cores {cores:.2f}")
    report.pair("none", "rate", "rate_ratio")
    report.pair("none", "broker_cpu", "cpu_ratio")
    print("1 client, 4 workers, 100 outstanding, 64 B body, beside idle agents, and beside services of idle agents")
    report.print_case(LOAD.name, COLUMNS, [name for name, _, _ in steps(options.quick)])
    return report
