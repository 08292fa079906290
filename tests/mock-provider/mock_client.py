"""The mock provider as a test uses it: started on a free port, spoken to over plain sockets, ended by its pid."""

import json
import os
import socket
import subprocess
import time

DEADLINE_S = 20.0
SANITIZERS = {"ASAN_OPTIONS": "detect_leaks=1:exitcode=99", "UBSAN_OPTIONS": "print_stacktrace=1"}


class Mock:
    """One mock provider. `with Mock(program, "--key", "k") as mock:` ends it and insists on exit status 0."""

    def __init__(self, program, *options):
        self.process = subprocess.Popen([program, *map(str, options)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, env={**os.environ, **SANITIZERS}, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening on 127.0.0.1:"):
            raise AssertionError(f"mock-provider said {line!r}: {self.process.communicate()[1]}")
        self.port = int(line.rsplit(":", 1)[1])

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.terminate()
        try:
            errors = self.process.communicate(timeout=DEADLINE_S)[1]
        except subprocess.TimeoutExpired:
            self.process.kill()
            errors = self.process.communicate()[1]
        if self.process.returncode:
            raise AssertionError(f"mock-provider ended with {self.process.returncode}: {errors}")

    @property
    def base_url(self):
        return f"http://127.0.0.1:{self.port}"

    def connect(self):
        return Connection(self.port)

    def ask(self, method, target, body=None, headers=()):
        """One request on a connection of its own."""
        with self.connect() as connection:
            connection.send(method, target, body, headers)
            return connection.answer(method == "HEAD")

    def chat(self, knobs="", headers=(), **members):
        request = {"model": "m", "messages": [{"role": "user", "content": "say it"}], **members}
        return self.ask("POST", (f"/mock/{knobs}" if knobs else "") + "/v1/chat/completions", request, headers)

    def stats(self):
        return self.ask("GET", "/mock/stats").json()

    def wait_stats(self, condition):
        """The first stats that meet the condition."""
        until = time.monotonic() + DEADLINE_S
        while True:
            stats = self.stats()
            if condition(stats):
                return stats
            if time.monotonic() > until:
                raise AssertionError(f"never so: {stats}")


class Answer:
    def __init__(self, status, headers, body, whole, times):
        self.status, self.headers, self.body, self.whole, self.times = status, headers, body, whole, times

    def json(self):
        return json.loads(self.body)

    def events(self):
        """The data of each event of a stream, "[DONE]" as it is."""
        parts = self.body.decode().split("\n\n")
        assert parts.pop() == "" and all(part.startswith("data: ") for part in parts), self.body
        return [part[6:] if part == "data: [DONE]" else json.loads(part[6:]) for part in parts]

    def error(self):
        return self.status, self.json()["error"]


class Connection:
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        self.data = bytearray()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.socket.close()

    def write(self, data):
        self.socket.sendall(data.encode() if isinstance(data, str) else data)

    def send(self, method, target, body=None, headers=()):
        self.write(request_text(method, target, body, headers))

    def more(self):
        """Reads on; False at the end."""
        data = self.socket.recv(65536)
        self.data += data
        return bool(data)

    def line(self):
        while (end := self.data.find(b"\r\n")) < 0:
            assert self.more(), f"ended within a line: {self.data!r}"
        return self.take(end + 2)[:-2].decode()

    def take(self, size):
        while len(self.data) < size:
            if not self.more():
                raise EOFError
        taken = bytes(self.data[:size])
        del self.data[:size]
        return taken

    def head(self):
        status = self.line().split(" ", 2)
        assert status[0] == "HTTP/1.1", status
        headers = {}
        while line := self.line():
            name, value = line.split(": ", 1)
            headers[name.lower()] = value
        return int(status[1]), headers

    def answer(self, bodyless=False):
        """The next answer. whole is False when the connection ended within it."""
        status, headers = self.head()
        body, times, whole = bytearray(), [], True
        try:
            if bodyless or status == 100:
                pass
            elif headers.get("transfer-encoding") == "chunked":
                while size := int(self.line(), 16):
                    body += self.take(size)
                    times.append(time.monotonic())
                    assert self.take(2) == b"\r\n"
                assert self.line() == ""
            elif "content-length" in headers:
                body = self.take(int(headers["content-length"]))
            else:
                while self.more():
                    pass
                body = self.take(len(self.data))
        except (EOFError, AssertionError, ConnectionResetError):
            body, whole = body + bytes(self.data), False
        return Answer(status, headers, bytes(body), whole, times)

    def is_closed(self):
        """Waits for the end of the connection."""
        return not self.more() and not self.data

    def is_silent(self, for_s=0.2):
        """Whether nothing comes for a while."""
        self.socket.settimeout(for_s)
        try:
            self.more()
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(DEADLINE_S)


def request_text(method, target, body=None, headers=()):
    """A request as bytes; a body that is no bytes is made JSON."""
    lines = [f"{method} {target} HTTP/1.1", "Host: mock", *headers]
    data = b""
    if body is not None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        if not any(header.lower().startswith("content-type") for header in headers):
            lines.append("Content-Type: application/json")
        lines.append(f"Content-Length: {len(data)}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data
