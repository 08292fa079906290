"""The command line of deploy/bench."""
import argparse
import os
import signal
import subprocess
import sys
from importlib import import_module

import measure
from procs import BenchError

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
BENCHES = {"bus": "pons and its peers under the same load: rate, latency, broker CPU and memory",
           "fleet": "60 idle agents: time to all registered, memory, idle CPU",
           "growth": "throughput with many idle agents and many services",
           "adapter": "what RemoteApiAdapter takes beyond its transport: CPU, memory, time to the first token",
           "failover": "a server dies, freezes, is cut off: pause, lost, UNKNOWN, done twice; root, in namespaces",
           "gateway": "what a gateway adds to a chat request and to a stream: time, CPU, memory"}


def say(text):
    print(text, file=sys.stderr, flush=True)


def words(text):
    return [word for word in text.split(",") if word]


def parse(argv):
    parser = argparse.ArgumentParser(prog="deploy/bench", description="Measures pons beside its peers in one interleaved "
                                     "run; docs/benchmarks.md says what the figures mean.")
    parser.add_argument("bench", choices=list(BENCHES), help="; ".join(f"{k}: {v}" for k, v in BENCHES.items()))
    parser.add_argument("--quick", action="store_true", help="a minute's version")
    parser.add_argument("--json", metavar="FILE", help="write a list of {bench, case, peer, metric, value, unit}")
    parser.add_argument("--rounds", type=int, metavar="N", help="rounds of which the medians are taken")
    parser.add_argument("--peers", type=words, metavar="A,B", help="only these peers; adapter: these dialects")
    parser.add_argument("--cases", type=words, metavar="A,B", help="bus: only these shapes, such as 1x1x1,1x4x100; failover: kill,freeze,cut")
    parser.add_argument("--warm-ms", type=int, metavar="N", help="warm-up of each run; fleet: time to settle")
    parser.add_argument("--measure-ms", type=int, metavar="N", help="measured window of each run; fleet: idle window")
    parser.add_argument("--brokers", type=int, default=1, metavar="N", help="fleet: brokers that each agent connects to")
    parser.add_argument("--agents", type=int, default=60, metavar="N", help="fleet, failover: agents")
    parser.add_argument("--rate", type=int, default=1000, metavar="N", help="failover: requests per second")
    parser.add_argument("--build", metavar="DIR", help="programs of this build folder; default: builds build/release")
    parser.add_argument("--nice", type=int, metavar="N", help="priority of all that is started, -20 to 19; below 0 for root")
    parser.add_argument("--check", action="store_true", help="exit 1 when a request stayed unanswered")
    return parser.parse_args(argv)


def build_release():
    """The shipped kind of build, with the packages it wants, made when something changed."""
    done = subprocess.run(["bash", "-c", "set -euo pipefail; source deploy/lib.sh; packages_install core test bench; "
                           "build release programs bench-programs mock-provider"], cwd=ROOT, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise BenchError(f"could not build:\n{done.stderr[-3000:]}")
    return os.path.join(ROOT, "build", "release")


def lost(report):
    return sum(v for (_, _, metric), values in report.values.items() if metric == "lost" for v in values)


def set_priority(nice):
    """For all that is started from here. With autogroups it is the session's that counts against other sessions."""
    try:
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        with open("/proc/self/autogroup", "w") as file:
            file.write(str(nice))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise BenchError(f"--nice {nice}: {error.strerror}") from None


def bench(options):
    if options.nice is not None:
        set_priority(options.nice)
    options.build = os.path.abspath(options.build) if options.build else build_release()
    for line in measure.machine():
        say(line)
    report = import_module(options.bench).run(options, say)
    if options.json:
        report.write(options.json)
    if options.check and lost(report):
        raise BenchError(f"{lost(report):.0f} requests stayed unanswered")


def on_signal(number, frame):
    """Ends the run as Ctrl-C does: what was started is stopped on the way out."""
    del frame
    raise KeyboardInterrupt(number)


def main(argv):
    options = parse(argv)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, on_signal)
    try:
        bench(options)
    except BenchError as error:
        say(f"deploy/bench: {error}")
        return 1
    except KeyboardInterrupt:
        say("deploy/bench: interrupted")
        return 130
    return 0
