"""ZMTP 3 spoken on a plain socket, so that a test can do what libzmq would not let it: stop reading, send half of a frame, name
itself as the ROUTER does, or no ZMTP at all. Written from ZMTP's own RFC 23; the pons messages are those of pons_wire."""

import os
import secrets
import select
import socket
import struct
import time

import msgpack
import pons_wire as wire
from pons_wire import Kind

GREETING = b"\xff" + bytes(8) + b"\x7f\x03\x00" + b"NULL".ljust(20, b"\0") + bytes(32)
MORE, LONG, COMMAND = 1, 2, 4
DEADLINE_S = 30.0


def frame(data, flags=0):
    """One ZMTP frame."""
    if len(data) > 255:
        return struct.pack(">BQ", flags | LONG, len(data)) + data
    return struct.pack(">BB", flags, len(data)) + data


def ready(name=b"", kind=b"DEALER"):
    """The READY command of a peer, with the routing id that it gives itself."""
    rows = ((b"Socket-Type", kind), (b"Identity", name))
    data = b"\x05READY" + b"".join(bytes([len(key)]) + key + struct.pack(">I", len(value)) + value for key, value in rows)
    return frame(data, COMMAND)


def message(kind, body=b"", **fields):
    """A whole pons message as frames."""
    header = wire.encode(kind, **fields)
    return frame(header, MORE) + frame(body) if body else frame(header)


def hello(client=None, agent="raw"):
    return message(Kind.HELLO, msgpack.packb({"version": 1, "min_version": 1, "client": client or secrets.randbits(63) + 1,
                                              "agent": agent, "incarnation": 1, "pid": os.getpid()}))


class Raw:
    """One plain connection. first is sent at once, after when the broker's READY has come: libzmq drops who sends messages
    earlier. It reads nothing unless it is told to."""

    def __init__(self, endpoint, first=b"", after=b""):
        if endpoint.startswith("ipc://"):
            self.socket = socket.socket(socket.AF_UNIX)
            address = endpoint[len("ipc://"):]
        else:
            self.socket = socket.socket()
            host, port = endpoint[len("tcp://"):].rsplit(":", 1)
            address = (host, int(port))
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect(address)
        self.left, self.after = first, after
        self.got = bytearray()
        self.gone = False
        self.push()

    def fileno(self):
        return self.socket.fileno()

    def push(self, data=b""):
        """Sends as much of what is to be sent as the socket takes now; False when the broker has hung up."""
        self.left += data
        self.socket.setblocking(False)
        try:
            while self.left:
                self.left = self.left[self.socket.send(self.left):]
        except BlockingIOError:
            pass
        except OSError:
            self.gone = True
        return not self.gone

    def pull(self):
        """Reads what is there."""
        self.socket.setblocking(False)
        try:
            while data := self.socket.recv(65536):
                self.got += data
            self.gone = True
        except BlockingIOError:
            pass
        except OSError:
            self.gone = True
        if self.after and self.shaken():
            after, self.after = self.after, b""
            self.push(after)

    def shaken(self):
        """Whether the broker's READY is here."""
        at = len(GREETING)
        return len(self.got) > at + 1 and self.got[at] == COMMAND and len(self.got) >= at + 2 + self.got[at + 1]

    def wait_hang_up(self, timeout_s=DEADLINE_S):
        """Waits until the broker has hung up, without reading a byte."""
        poll = select.poll()
        poll.register(self.socket, 0)  # POLLHUP and POLLERR are always told
        return bool(poll.poll(int(timeout_s * 1000)))

    def messages(self):
        """Headers' fields and bodies of the whole messages received so far; what belongs to ZMTP is left out."""
        at, parts, found = len(GREETING), [], []
        while at + 2 <= len(self.got):
            flags, size, head = self.got[at], self.got[at + 1], 2
            if flags & LONG:
                if at + 9 > len(self.got):
                    break
                size, head = struct.unpack_from(">Q", self.got, at + 1)[0], 9
            if at + head + size > len(self.got):
                break
            if not flags & COMMAND:
                parts.append(bytes(self.got[at + head:at + head + size]))
                if not flags & MORE:
                    found.append((wire.decode(parts[0]), parts[1] if len(parts) > 1 else b""))
                    parts = []
            at += head + size
        return found

    def kinds(self):
        return [fields["kind"] for fields, _ in self.messages()]

    def close(self):
        self.socket.close()


def serve(raws, done, timeout_s=DEADLINE_S):
    """Sends and reads for many connections until done() is true; returns whether it was in time."""
    due = time.monotonic() + timeout_s
    poll = select.poll()
    by_fd = {raw.fileno(): raw for raw in raws}
    for raw in raws:
        poll.register(raw.socket, select.POLLIN | (select.POLLOUT if raw.left else 0))
    while not done():
        if time.monotonic() > due:
            return False
        for fd, _ in poll.poll(100):
            raw = by_fd[fd]
            raw.push()
            raw.pull()
            if raw.gone:
                poll.unregister(fd)
            else:
                poll.modify(fd, select.POLLIN | (select.POLLOUT if raw.left else 0))
    return True
