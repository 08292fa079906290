"""deploy/bench fleet: many idle agents: time to all registered, memory, CPU and context switches at rest."""
import json
import os
import subprocess
import time

import measure
from peers import start_pons_broker
from procs import BenchError, Stage, free_port
from report import Report

HERE = os.path.dirname(os.path.realpath(__file__))
SOURCES = os.path.join(os.path.dirname(os.path.dirname(HERE)), "tests", "bench")
PYTHON = "/usr/bin/python3"
COLUMNS = [("registered ms", "registered", ",.0f"), ("start CPU s", "start_cpu", ".2f"), ("agents PSS MiB", "pss_agents", ",.1f"),
           ("brokers PSS MiB", "pss_brokers", ",.1f"), ("PSS x pons", "pss_ratio", ".2f"), ("agents % of a core", "idle_agents", ".2f"),
           ("with brokers", "idle_all", ".2f"), ("agents switches/s", "switches_agents", ",.0f"),
           ("with brokers", "switches_all", ",.0f")]


class Fleet:
    """How one kind of fleet is started: its brokers, and the command line of an agent."""
    name = ""

    def __init__(self, build):
        self.build = build

    def program(self, name):
        return os.path.join(self.build, "tests", "bench-" + name)

    def environment(self, stage):
        """What its agents need."""
        del stage
        return {}

    def wait_registered(self, stage, endpoints, agents):
        """For fleets that are not READY before all brokers know them."""
        del stage, endpoints, agents
        return 0.0

    def missing(self):
        for path in self.needs():
            if not os.path.exists(path):
                return f"{path} is not there"
        return None


class PonsFleet(Fleet):
    """An agent is READY when both brokers know it, or 200 ms after the first does, so the brokers are asked too."""
    name = "pons"
    more = ""  # lines of the brokers' configuration

    def needs(self):
        return [os.path.join(self.build, "bin", name) for name in ("pons-broker", "pons-agent-echo", "pons")] + [self.program("fleet-launch")]

    def broker(self, stage, number):
        endpoint = f"tcp://127.0.0.1:{free_port()}"
        return start_pons_broker(stage, self.build, endpoint, self.more.format(own=number, other=1 - number)), endpoint

    def agent(self, endpoints):
        return [os.path.join(self.build, "bin", "pons-agent-echo"), "--endpoint", ";".join(endpoints)]

    def command(self, stage, *words):
        env = {**os.environ, "PONS_CONFIG": stage.path("pons.yaml"), **self.environment(stage)}
        done = subprocess.run([os.path.join(self.build, "bin", "pons"), "--json", *words], capture_output=True, text=True, check=False,
                              cwd=stage.folder, env=env)
        if done.returncode:
            raise BenchError(f"pons {' '.join(words)}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def count(self, stage, endpoint):
        """How many agents a broker knows."""
        rows = self.command(stage, "--endpoint", endpoint, "call", "pons.registry", '{"service": "echo"}')["instances"]
        return sum(row["state"] == "ready" for row in rows)

    def wait_registered(self, stage, endpoints, agents):
        """Returns for how long one of the brokers did not know all agents yet."""
        began = time.monotonic()
        late = 0.0
        for endpoint in endpoints:
            while self.count(stage, endpoint) < agents:
                late = time.monotonic() - began
                if late > 30:
                    raise BenchError(f"{endpoint} does not know {agents} agents")
        return late


class KeyedFleet(PonsFleet):
    """The same with keys: two handshakes per agent."""
    name = "pons with keys"
    more = "keys: {{dir: keys}}\nbroker: {{name: b{own}}}\nother_broker: {{name: b{other}}}\n"

    def broker(self, stage, number):
        with open(stage.path("pons.yaml"), "w", encoding="utf-8") as file:
            file.write(f"site: bench\nruntime_dir: {stage.folder}\nstate_dir: {stage.folder}\n" + self.more.format(own=number, other=1 - number))
        self.command(stage, "keys", "init")
        rows = self.command(stage, "keys", "list")["keys"]
        public = next(row["public"] for row in rows if row["name"] == f"broker.b{number}")
        proc, endpoint = super().broker(stage, number)
        return proc, f"{endpoint}|{public}"

    def environment(self, stage):
        return {"PONS_AGENT_KEY": stage.path(os.path.join("keys", "echo.bench.key"))}


class CFleet(Fleet):
    name = "C+libzmq"

    def needs(self):
        return [self.program("fleet-agent"), self.program("fleet-broker"), self.program("fleet-launch")]

    def broker(self, stage, number):
        del number
        proc = stage.start([self.program("fleet-broker"), "tcp://127.0.0.1:*"])
        return proc, proc.ready()

    def agent(self, endpoints):
        return [self.program("fleet-agent"), *endpoints]


class PythonFleet(Fleet):
    name = "Python+pyzmq"

    def needs(self):
        return [PYTHON, self.program("fleet-launch")]

    def broker(self, stage, number):
        del number
        proc = stage.start([PYTHON, os.path.join(SOURCES, "fleet_broker.py"), "tcp://127.0.0.1:*"])
        return proc, proc.ready()

    def agent(self, endpoints):
        return [PYTHON, os.path.join(SOURCES, "fleet_agent.py"), *endpoints]


def all_fleets(build):
    return [PonsFleet(build), KeyedFleet(build), CFleet(build), PythonFleet(build)]


def sample(pids):
    return {"at": time.monotonic(), "cpu": sum(measure.cpu_s(pid) for pid in pids),
            "switches": sum(measure.switches(pid) for pid in pids)}


def rest(report, name, case, agents, brokers, window_s):
    """Reads agents and brokers at both ends of a quiet window."""
    before = sample(agents), sample(brokers)
    time.sleep(window_s)
    after = sample(agents), sample(brokers)
    wall = after[0]["at"] - before[0]["at"]
    cpu = [(b["cpu"] - a["cpu"]) / wall * 100 for a, b in zip(before, after)]
    switches = [(b["switches"] - a["switches"]) / wall for a, b in zip(before, after)]
    report.add(case, name, "idle_agents", cpu[0], "% of a core")
    report.add(case, name, "idle_all", sum(cpu), "% of a core")
    report.add(case, name, "switches_agents", switches[0], "1/s")
    report.add(case, name, "switches_all", sum(switches), "1/s")


def run_one(report, fleet, case, options, settle_s, window_s):
    with Stage() as stage:
        started = [fleet.broker(stage, i) for i in range(options.brokers)]
        brokers, endpoints = [proc.pid for proc, _ in started], [endpoint for _, endpoint in started]
        launcher = stage.start([fleet.program("fleet-launch"), stage.path("notify.sock"), str(options.agents), "60",
                                *fleet.agent(endpoints)], env={**os.environ, **fleet.environment(stage)}, name=fleet.name)
        result = launcher.result(70)
        late_s = fleet.wait_registered(stage, endpoints, options.agents)
        pids = result["pids"]
        report.add(case, fleet.name, "registered", result["registered_ms"] + late_s * 1000, "ms")
        report.add(case, fleet.name, "start_cpu", sum(measure.cpu_s(pid) for pid in pids), "s")
        time.sleep(settle_s)
        report.add(case, fleet.name, "pss_agents", sum(measure.memory_kib(pid)[1] for pid in pids) / 1024, "MiB")
        report.add(case, fleet.name, "pss_brokers", sum(measure.memory_kib(pid)[1] for pid in brokers) / 1024, "MiB")
        rest(report, fleet.name, case, pids, brokers, window_s)


def run(options, say):
    fleets = [f for f in all_fleets(options.build) if not options.peers or f.name in options.peers]
    for fleet in [f for f in fleets if f.missing()]:
        say(f"{fleet.name} takes no part: {fleet.missing()}")
    fleets = [f for f in fleets if not f.missing()]
    if not fleets:
        raise BenchError("no fleet can take part")
    report, case = Report("fleet"), f"{options.agents} agents, {options.brokers} broker(s)"
    settle_s, window_s = (1, 5) if options.quick else (2, 10)
    if options.measure_ms:
        settle_s, window_s = (options.warm_ms or 0) / 1000, options.measure_ms / 1000
    rounds, foreign = options.rounds or (1 if options.quick else 3), measure.Foreign()
    for number in range(rounds):
        for i in range(len(fleets)):
            run_one(report, fleets[(i + number) % len(fleets)], case, options, settle_s, window_s)
        cores = foreign.cores()
        report.add("machine", "-", "foreign_cores", cores, "cores")
        say(f"round {number + 1} of {rounds}: foreign cores {cores:.2f}")
    report.pair("pons", "pss_agents", "pss_ratio")
    print(f"{case}, medians of {rounds} round(s), idle for {window_s:g} s")
    report.print_case(case, COLUMNS)
    return report
