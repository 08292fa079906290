"""The peers of `deploy/bench gateway`: how each stands between the load and the mock provider.

A gateway is started on a Stage: start(stage, mock_port) gives an Upstream. What is asked for on the way (how long the mock
waits between two events) is a variant: of the path, of a header or of the model's name, whatever the gateway passes on.
"""
import os
import shutil
import socket
import subprocess
from typing import NamedTuple

from peers import start_pons_broker
from procs import BenchError, accepts, free_port, wait_for

HERE = os.path.dirname(os.path.realpath(__file__))
CHAT = "/v1/chat/completions"
UP_S = 30


class Target(NamedTuple):
    """What the load asks for."""
    port: int
    path: str
    model: str
    headers: list


class Upstream(NamedTuple):
    """A gateway that is up: its processes by the part that each is, and the Target of a variant (a knob of the mock, or "")."""
    parts: dict
    target: object


def knobs(variant):
    return f"/mock/{variant}" if variant else ""


class Gateway:
    name = ""
    servers = ()
    warm_ms = 0  # of load before anything is measured, on top of what all get

    def __init__(self, build):
        self.build = build

    def missing(self):
        """Why this gateway cannot take part, or None."""
        for name in self.servers:
            if not self.server(name):
                return f"{name} is not installed"
        for path in self.needs():
            if not os.path.exists(path):
                return f"{os.path.relpath(path, self.build)} is not built"
        return None

    def needs(self):
        return [os.path.join(self.build, "tests", name) for name in ("mock-provider", "bench-http-load")]

    @staticmethod
    def server(name):
        return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")

    @staticmethod
    def write(stage, name, text):
        path = stage.path(name)
        with open(path, "w") as file:
            file.write(text)
        return path

    @staticmethod
    def by_path(port):
        return lambda variant: Target(port, knobs(variant) + CHAT, "bench", [])

    @staticmethod
    def wait_up(proc, port):
        wait_for(proc.name, lambda: proc.check() and accepts(socket.AF_INET, ("127.0.0.1", port)), UP_S)


class Direct(Gateway):
    name = "direct"

    def start(self, stage, mock_port):
        del stage
        return Upstream({}, self.by_path(mock_port))


class Nginx(Gateway):
    """One worker, no buffering of answers, connections to the upstream kept, no access log."""
    name = "nginx"
    servers = ("nginx",)

    def start(self, stage, mock_port):
        port, folder = free_port(), stage.folder
        bodies = "".join(f"  {kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        config = self.write(stage, "nginx.conf", f"""daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
{bodies}  keepalive_requests 100000000;
  upstream mock {{ server 127.0.0.1:{mock_port}; keepalive 256; keepalive_requests 100000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://mock;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
""")
        proc = stage.start([self.server("nginx"), "-p", folder, "-c", config, "-e", "stderr"], quiet=True)
        self.wait_up(proc, port)
        return Upstream({"nginx": proc}, self.by_path(port))


class Haproxy(Gateway):
    """One thread, connections to the server shared and kept, no waiting for more before an event is passed on."""
    name = "haproxy"
    servers = ("haproxy",)

    def start(self, stage, mock_port):
        port = free_port()
        config = self.write(stage, "haproxy.cfg", f"""global
  nbthread 1
  maxconn 4096
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
  option http-no-delay
frontend clients
  bind 127.0.0.1:{port}
  default_backend mock
backend mock
  server mock 127.0.0.1:{mock_port}
""")
        proc = stage.start([self.server("haproxy"), "-f", config, "-db"], quiet=True)
        self.wait_up(proc, port)
        return Upstream({"haproxy": proc}, self.by_path(port))


class Portkey(Gateway):
    """From npm, into the build folder; warmed for long, since its compiler is at work for the first seconds."""
    name = "portkey"
    servers = ("node", "npm")
    warm_ms = 10000

    def folder(self):
        return os.path.join(self.build, "portkey")

    def program(self):
        return os.path.join(self.folder(), "node_modules", "@portkey-ai", "gateway", "build", "start-server.js")

    def missing(self):
        why = super().missing()
        if not why and not os.path.exists(self.program()):
            why = self.install()
        return why

    def install(self):
        """Why it could not be installed, or None."""
        os.makedirs(self.folder(), exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(os.path.join(HERE, "portkey", name), self.folder())
        try:
            done = subprocess.run([self.server("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=self.folder(),
                                  capture_output=True, text=True, timeout=180, check=False)
        except subprocess.TimeoutExpired:
            return "npm did not end within 180 s"
        return f"npm ci failed: {done.stderr.strip().splitlines()[0]}" if done.returncode and done.stderr.strip() else None

    def start(self, stage, mock_port):
        port = free_port()
        proc = stage.start([self.server("node"), "--require", os.path.join(HERE, "portkey", "loopback.cjs"), self.program(),
                            f"--port={port}", "--headless"], quiet=True, name="portkey",
                           env={"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1"})
        self.wait_up(proc, port)

        def target(variant):
            host = f"http://127.0.0.1:{mock_port}{knobs(variant)}/v1"
            return Target(port, CHAT, "bench", ["x-portkey-provider: openai", f"x-portkey-custom-host: {host}",
                                                "Authorization: Bearer none"])
        return Upstream({"portkey": proc}, target)


class Pons(Gateway):
    """The programs as shipped, with a key asked for; a variant is a model of another provider, whose base URL has the knob."""
    name = "pons"
    PARTS = [("gateway", "pons-gateway"), ("coordinator", "pons-agent-request_coordinator"),
             ("manager", "pons-agent-model_manager_suite"), ("adapter", "pons-agent-remote_api_adapter")]
    VARIANTS = ["", "gap_ms=20"]
    KEY = "bench-key"

    def needs(self):
        floor = [os.path.join(self.build, "tests", name) for name in ("bench-curl-stream", "bench-zmq-stream")]
        return floor + [os.path.join(self.build, "bin", name) for name in ("pons-broker", *(program for _, program in self.PARTS))] + \
            super().needs()

    def config(self, stage, port, mock_port):
        models = providers = ""
        for i, variant in enumerate(self.VARIANTS):
            models += (f"  - {{name: bench{i}, executor: RemoteApiAdapter, provider: mock{i}, size: any, context_tokens: 100000, "
                       "input_usd: \"0.15\", output_usd: \"0.6\"}\n")
            providers += (f"  - {{name: mock{i}, base_url: \"http://127.0.0.1:{mock_port}{knobs(variant)}/v1\", "
                          "key: {env: BENCH_KEY}}\n")
        return self.write(stage, "gateway.yaml", f"""site: bench
runtime_dir: {stage.folder}
state_dir: {stage.folder}
gateway:
  listen: ["tcp://127.0.0.1:{port}"]
  keys:
    - {{name: bench, secret: {{env: BENCH_KEY}}}}
models:
{models}providers:
{providers}""")

    def start(self, stage, mock_port):
        port, endpoint = free_port(), "ipc://" + stage.path("bus.sock")
        config = self.config(stage, port, mock_port)
        parts = {"broker": start_pons_broker(stage, self.build, endpoint)}
        for part, program in reversed(self.PARTS):
            parts[part] = stage.start([os.path.join(self.build, "bin", program), "--endpoint", endpoint], notifies=True,
                                      quiet=True, name=program, env={"PONS_CONFIG": config, "BENCH_KEY": self.KEY})
            parts[part].ready()
        self.wait_up(parts["gateway"], port)

        def target(variant):
            return Target(port, CHAT, f"bench{self.VARIANTS.index(variant)}", [f"Authorization: Bearer {self.KEY}"])
        return Upstream(parts, target)


def choose(build, names):
    """(those that take part, [(name, why not)]). `names`: a list, or None for all; an unknown one is an error."""
    gateways = [Direct(build), Nginx(build), Haproxy(build), Portkey(build), Pons(build)]
    for name in names or []:
        if name not in [gateway.name for gateway in gateways]:
            raise BenchError(f"--peers: there is no {name!r}; known are {', '.join(g.name for g in gateways)}")
    wanted = [gateway for gateway in gateways if not names or gateway.name in names]
    why = {gateway.name: gateway.missing() for gateway in wanted}
    return [gateway for gateway in wanted if not why[gateway.name]], [(name, text) for name, text in why.items() if text]
