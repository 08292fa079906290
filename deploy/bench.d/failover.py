"""deploy/bench failover: what a client notices when a server dies, freezes or is cut off; pons beside a NATS cluster of three.

The same happens to each peer, in the same three boxes (network namespaces with a cable between each two), interleaved:
pons through its own `pons drill --lab`, NATS in a lab of this file that is made alike."""
import json
import os
import signal
import subprocess
import tempfile

import measure
from peers import Peer
from procs import BenchError, Stage, wait_for
from report import Report

# case: (drill of pons, whose load is looked at). What is broken is mended 2 s later, but for a kill.
CASES = {"kill": ("broker-kill", "mainpc"), "freeze": ("broker-freeze", "mainpc"), "cut": ("link-cut", "pc2")}
PONS = {"pons": ["--no-witness"], "pons-witness": []}
NATS = {"nats-default": "default", "nats-tuned": "tuned"}
COLUMNS = [("pause ms", "pause", ",.0f"), ("pause before", "pause_calm", ",.1f"), ("worst ms", "worst", ",.0f"),
           ("sent", "sent", ",.0f"), ("lost", "lost", ",.0f"), ("UNKNOWN", "unknown", ",.0f"), ("failed", "failed", ",.0f"),
           ("done twice", "twice", ",.0f")]
HOLD_S = 2
NOWHERE = "02:00:00:00:00:01"  # the address of a card that nobody has: frames leave and nobody takes them
ROUTE, CLIENTS = 6222, 4222


def ip(*words):
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BenchError(f"ip {' '.join(words)}: {done.stderr.strip()}; the bench of failover needs root and namespaces")


class Boxes:
    """Three network namespaces; cable N has the addresses 10.78.N.1 and .2."""

    CABLES = [(0, 1), (0, 2), (1, 2)]

    def __init__(self):
        self.names = [f"pons-bench-{os.getpid()}-{box}" for box in range(3)]

    def __enter__(self):
        try:
            for name in self.names:
                ip("netns", "add", name)
                ip("-n", name, "link", "set", "lo", "up")
            for number, ends in enumerate(self.CABLES):
                self.lay(number, [self.names[end] for end in ends])
        except BenchError:
            self.__exit__()
            raise
        return self

    def __exit__(self, *unused):
        for name in self.names:
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)

    def lay(self, number, ends):
        card = f"cable{number}"
        ip("-n", ends[0], "link", "add", card, "type", "veth", "peer", "name", card, "netns", ends[1])
        for end, name in enumerate(ends):
            ip("-n", name, "addr", "add", f"10.78.{number}.{end + 1}/30", "dev", card)
            ip("-n", name, "link", "set", card, "up")

    def address(self, box, seen_from):
        """The address of a box on the cable to another; of its own, the first."""
        for number, ends in enumerate(self.CABLES):
            if box in ends and (seen_from in ends or seen_from == box):
                return f"10.78.{number}.{ends.index(box) + 1}"
        raise ValueError(box)

    def cut(self, is_cut):
        """The cable between the first two, both ways. Neither side is told."""
        for box in (0, 1):
            neighbour = ["neigh", "replace" if is_cut else "del", self.address(1 - box, box), "dev", "cable0"]
            ip("-n", self.names[box], *neighbour, *(["lladdr", NOWHERE, "nud", "permanent"] if is_cut else []))

    def command(self, box, argv):
        return ["ip", "netns", "exec", self.names[box], *argv]


class Cluster:
    """Three NATS servers, one in each box, workers in the first two."""

    def __init__(self, stage, boxes, program, mode, agents):
        self.stage, self.boxes, self.program, self.mode = stage, boxes, program, mode
        self.servers = [self.start_server(box) for box in range(3)]
        self.workers = [self.start(box, "worker", mode, self.urls(box)) for box in (0, 1) for _ in range(agents // 2)]
        for worker in self.workers:
            worker.ready()

    def start_server(self, box):
        routes = ", ".join(f'"nats://{self.boxes.address(other, box)}:{ROUTE}"' for other in range(3) if other != box)
        path = self.stage.path(f"nats{box}.conf")
        with open(path, "w", encoding="ascii") as file:
            file.write(f'server_name: s{box}\nlisten: "0.0.0.0:{CLIENTS}"\n'
                       f'cluster {{name: bench, listen: "0.0.0.0:{ROUTE}", no_advertise: true, routes: [{routes}]}}\n')
        proc = self.stage.start(self.boxes.command(box, [Peer.server("nats-server"), "-c", path]), name=f"nats{box}", quiet=True)
        self.wait_said(proc, "Server is ready", 1)
        return proc

    @staticmethod
    def wait_said(proc, words, least):
        def said():
            with open(proc.errors.name, encoding="utf-8", errors="replace") as file:
                return proc.check() and file.read().count(words) >= least
        wait_for(f"{proc.name}: {words}", said)

    def urls(self, box):
        """All prefer the server of the first box, as all prefer one broker."""
        return ",".join(f"nats://{self.boxes.address(server, box)}:{CLIENTS}" for server in range(3))

    def start(self, box, *arguments):
        return self.stage.start(self.boxes.command(box, [self.program, *arguments]), name=f"{arguments[0]}{box}")

    def wait_whole(self):
        for server in self.servers:
            self.wait_said(server, "Route connection created", 2)

    def happen(self, case, begins):
        if case == "cut":
            self.boxes.cut(begins)
        elif case == "freeze":
            self.servers[0].popen.send_signal(signal.SIGSTOP if begins else signal.SIGCONT)
        elif begins:
            self.servers[0].popen.kill()

    def run(self, case, box, rate, seconds):
        client = self.start(box, "client", self.mode, self.urls(box), str(rate), str(seconds))
        client.ready()
        if client.line(seconds + 10) != "event":
            raise BenchError(f"{client.name}: no event")
        self.happen(case, True)
        try:
            client.popen.wait(HOLD_S)  # it goes on; nothing but time ends this wait
        except subprocess.TimeoutExpired:
            pass
        self.happen(case, False)
        return client.result(seconds + 30)


def run_nats(options, mode, case, seconds):
    program = Peer(options.build).program("nats-failover")
    with Boxes() as boxes, Stage() as stage:
        cluster = Cluster(stage, boxes, program, mode, options.agents)
        cluster.wait_whole()
        load = cluster.run(case, 1 if CASES[case][1] == "pc2" else 0, options.rate, seconds)
    return {**load, "unknown": 0, "failed": 0}


def run_pons(options, arguments, case, seconds):
    drill, box = CASES[case]
    with tempfile.TemporaryDirectory(prefix="pons-bench-") as folder:
        command = [os.path.join(options.build, "bin", "pons"), "drill", drill, "--lab", "--json", "--no-time-bounds", "--rate",
                   str(options.rate), "--seconds", str(seconds), "--agents", str(options.agents), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds + 120, cwd=folder, check=False)
    try:
        loads = json.loads(done.stdout.splitlines()[-1])["runs"][0]["loads"]
    except (ValueError, IndexError, KeyError):
        raise BenchError(f"pons drill {drill}: {done.stderr.strip()[-600:]}") from None
    return next(load for load in loads if load["from"] == box)


def add(report, case, peer, load):
    for metric in ("pause", "pause_calm", "worst"):
        report.add(case, peer, metric, load[metric + "_us"] / 1000, "ms")
    for metric in ("sent", "answered", "lost", "unknown", "failed", "twice"):
        report.add(case, peer, metric, load.get(metric, 0), "requests")


def peers_of(options):
    """{name: how it is run}, and why others are left out."""
    every = {**{name: (run_pons, arguments) for name, arguments in PONS.items()},
             **{name: (run_nats, mode) for name, mode in NATS.items()}}
    for name in options.peers or []:
        if name not in every:
            raise BenchError(f"--peers: there is no {name!r}; known are {', '.join(every)}")
    lacking = None if Peer.server("nats-server") else "nats-server is not installed"
    if not os.path.exists(Peer(options.build).program("nats-failover")):
        lacking = "bench-nats-failover is not built"
    chosen = {name: how for name, how in every.items() if not options.peers or name in options.peers}
    return {name: how for name, how in chosen.items() if not (lacking and name in NATS)}, lacking


def run(options, say):
    chosen, lacking = peers_of(options)
    if lacking:
        say(f"NATS takes no part: {lacking}")
    cases = [case for case in CASES if not options.cases or case in options.cases]
    if not cases or not chosen:
        raise BenchError(f"nothing to do; --cases: known are {', '.join(CASES)}")
    report, foreign = Report("failover"), measure.Foreign()
    seconds = 6 if options.quick else 10
    for number in range(options.rounds or (1 if options.quick else 5)):
        for case in cases:
            for peer, (how, argument) in chosen.items():
                add(report, case, peer, how(options, argument, case, seconds))
        cores = foreign.cores()
        report.add("machine", "-", "foreign_cores", cores, "cores")
        say(f"round {number + 1}: foreign cores {cores:.2f}")
    for case in cases:
        print({"kill": "the preferred server is killed (-9)", "freeze": f"it stands still for {HOLD_S} s",
               "cut": f"the cable to it is cut for {HOLD_S} s; asked from the other side"}[case])
        report.print_case(case, COLUMNS)
    return report
