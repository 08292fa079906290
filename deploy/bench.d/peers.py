"""The peers of `deploy/bench bus`: how each one's broker, worker and client is started.

A peer is started on a Stage: broker(stage) gives its Proc and endpoint; worker(...) and client(...) give a Proc each,
which says "ready" when it may be used. The client's result is one line of JSON, see tests/bench/load.h.
"""
import os
import shutil
import socket

from procs import BenchError, accepts, free_port, wait_for


class Peer:
    name = ""
    programs = ()  # what must lie in <build>/tests
    servers = ()   # what must be on the PATH

    def __init__(self, build):
        self.build = build

    def program(self, name):
        return os.path.join(self.build, "tests", "bench-" + name)

    def missing(self):
        """Why this peer cannot take part, or None."""
        for name in self.servers:
            if not self.server(name):
                return f"{name} is not installed"
        for path in self.needs():
            if not os.path.exists(path):
                return f"{os.path.relpath(path, self.build)} is not built"
        return None

    def needs(self):
        return [self.program(name) for name in self.programs]

    @staticmethod
    def server(name):
        return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")

    def worker(self, stage, endpoint, number):
        del number
        return stage.start([self.program(self.programs[0]), endpoint])

    def client(self, stage, endpoint, number, case, span):
        return stage.start([self.program(self.programs[1]), endpoint, str(number), str(case.outstanding),
                            str(case.size_bytes), str(span.warm_ms), str(span.measure_ms)])


class Bare(Peer):
    programs = ("bare-worker", "bare-client", "bare-broker")

    def __init__(self, build, transport):
        super().__init__(build)
        self.name = "bare-" + transport
        self.transport = transport

    def broker(self, stage):
        wanted = "tcp://127.0.0.1:*" if self.transport == "tcp" else "ipc://" + stage.path("bare.sock")
        proc = stage.start([self.program("bare-broker"), wanted])
        return proc, proc.ready()


def start_pons_broker(stage, build, endpoint, more=""):
    """pons-broker as shipped, but for where it listens, and more lines of configuration."""
    config = stage.path("pons.yaml")
    with open(config, "w") as file:
        file.write(f"site: bench\nruntime_dir: {stage.folder}\nstate_dir: {stage.folder}\n{more}")
    proc = stage.start([os.path.join(build, "bin", "pons-broker"), "--config", config, "--listen", endpoint], notifies=True)
    proc.ready()
    return proc


class Pons(Peer):
    programs = ("pons-worker", "pons-client")

    def __init__(self, build, transport):
        super().__init__(build)
        self.name = "pons-" + transport
        self.transport = transport

    def needs(self):
        return [os.path.join(self.build, "bin", "pons-broker")] + super().needs()

    def broker(self, stage):
        endpoint = "ipc://" + stage.path("bus.sock") if self.transport == "ipc" else f"tcp://127.0.0.1:{free_port()}"
        return start_pons_broker(stage, self.build, endpoint), endpoint

    def worker(self, stage, endpoint, number):
        del number
        return stage.start([self.program(self.programs[0]), "--endpoint", endpoint], notifies=True)


class Nats(Peer):
    name = "nats"
    programs = ("nats-worker", "nats-client")
    servers = ("nats-server",)

    def broker(self, stage):
        port = free_port()
        proc = stage.start([self.server("nats-server"), "-a", "127.0.0.1", "-p", str(port)])
        wait_for("nats-server", lambda: proc.check() and accepts(socket.AF_INET, ("127.0.0.1", port)))
        return proc, f"nats://127.0.0.1:{port}"


class Redis(Peer):
    name = "redis"
    programs = ("redis-worker", "redis-client")
    servers = ("redis-server",)

    def broker(self, stage):
        path = stage.path("redis.sock")
        proc = stage.start([self.server("redis-server"), "--port", "0", "--unixsocket", path, "--save", "",
                            "--appendonly", "no", "--dir", stage.folder])
        wait_for("redis-server", lambda: proc.check() and accepts(socket.AF_UNIX, path))
        return proc, path


def all_peers(build):
    return [Bare(build, "ipc"), Bare(build, "tcp"), Pons(build, "ipc"), Pons(build, "tcp"), Nats(build), Redis(build)]


def choose(build, names):
    """(those that take part, [(name, why not)]). `names`: a list, or None for all; an unknown one is an error."""
    peers = all_peers(build)
    known = [peer.name for peer in peers]
    for name in names or []:
        if name not in known:
            raise BenchError(f"--peers: there is no {name!r}; known are {', '.join(known)}")
    wanted = [peer for peer in peers if not names or peer.name in names]
    left_out = [(peer.name, peer.missing()) for peer in wanted if peer.missing()]
    return [peer for peer in wanted if not peer.missing()], left_out
