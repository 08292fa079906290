"""HTTP as bytes on a socket, for tests that must see every one of them, or send what no library would."""

import json
import socket

DEADLINE_S = 30.0


class Cut(Exception):
    """The connection ended before the message did."""


class Response:
    """A status line, headers (names in lower case) and a body."""

    def __init__(self, version, status, headers, body):
        self.version, self.status, self.headers, self.body = version, status, headers, body

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def error(self):
        return self.json["error"]

    def __repr__(self):
        return f"{self.version} {self.status} {self.headers} {self.body[:300]!r}"


class Client:
    """One connection."""

    def __init__(self, port, receive_buffer=None):
        self.socket = socket.socket()
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.buffer = b""

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def post(self, path, body, headers=()):
        """Sends a POST with a JSON body (bytes go as they are)."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json", f"Content-Length: {len(data)}",
                 *headers]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + data)

    def get(self, path, headers=(), method="GET", version="1.1"):
        self.send("\r\n".join([f"{method} {path} HTTP/{version}", "Host: 127.0.0.1", *headers]).encode() + b"\r\n\r\n")

    # --- reading ---

    def more(self):
        """What comes next; b"" at the end of the connection."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        self.buffer += data
        return data

    def until(self, mark):
        """Everything up to and with mark."""
        while mark not in self.buffer:
            if not self.more():
                raise Cut(self.buffer)
        at = self.buffer.index(mark) + len(mark)
        taken, self.buffer = self.buffer[:at], self.buffer[at:]
        return taken

    def exactly(self, size):
        while len(self.buffer) < size:
            if not self.more():
                raise Cut(self.buffer)
        taken, self.buffer = self.buffer[:size], self.buffer[size:]
        return taken

    def rest(self):
        """All until the connection ends."""
        while self.more():
            pass
        taken, self.buffer = self.buffer, b""
        return taken

    @property
    def is_closed(self):
        """Waits for the end of the connection, and is false when something else comes first."""
        return not self.buffer and not self.more()

    def head(self):
        """(version, status, headers) of the next response."""
        lines = self.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        version, status = lines[0].split(" ")[:2]
        headers = dict(line.split(": ", 1) for line in lines[1:] if line)
        return version, int(status), {name.lower(): value for name, value in headers.items()}

    def chunk(self):
        """The next chunk of a chunked body; b"" for the last."""
        size = int(self.until(b"\r\n"), 16)
        data = self.exactly(size)
        self.exactly(2)
        return data

    def chunks(self):
        parts = []
        while part := self.chunk():
            parts.append(part)
        return b"".join(parts)

    def response(self, without_body=False):
        version, status, headers = self.head()
        if without_body or status in (204, 304) or status < 200:
            body = b""
        elif headers.get("transfer-encoding") == "chunked":
            body = self.chunks()
        elif "content-length" in headers:
            body = self.exactly(int(headers["content-length"]))
        else:
            body = self.rest()
        return Response(version, status, headers, body)
