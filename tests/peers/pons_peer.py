"""A client and an instance of the pons bus in Python, with pyzmq and msgpack alone, written from docs/protocol.md.

It is synchronous: a peer does something only inside its methods. PINGs are answered whenever messages are read, so an
instance that computes for long must read in between (`pump`). Section numbers are those of the document.

    peer = Peer("ipc:///run/pons/broker.sock", "asker")
    peer.open()
    print(peer.ask("Echo", "echo", {"text": "hi"}))
"""

import collections
import os
import secrets
import time

import msgpack
import pons_wire as wire
import zmq
from pons_wire import Flag, Kind, Status
from zmq.utils.monitor import recv_monitor_message

VERSION = 1
WINDOW_BYTES = 1048576  # how far a large reply may run ahead of this reader
TIMEOUT_S = 20.0  # how long anything is waited for; generous, since it only bounds a failure


class RemoteError(Exception):
    """A request that ended with ERROR: status, and the fields of its body (section 7)."""

    def __init__(self, status, body):
        super().__init__(f"{status.name}: {body}")
        self.status, self.body = status, body


class Message:
    """One message as it came: kind, body, and the header's fields as attributes; absent numbers are 0, the rest None."""

    NUMBERS = {name for name, kind, _ in wire.FIELDS if kind is int}

    def __init__(self, fields, body):
        self.fields, self.body = fields, body

    def __getattr__(self, name):
        if name not in wire.NAMES:
            raise AttributeError(name)
        return self.fields.get(name, (wire.NORMAL if name == "priority" else 0) if name in self.NUMBERS else None)

    @property
    def data(self):
        """The body as msgpack (section 4: an absent content type means msgpack)."""
        return msgpack.unpackb(self.body) if self.body else None

    @property
    def status_name(self):
        return Status(self.status).name

    def __repr__(self):
        fields = {name: value for name, value in self.fields.items() if name != "kind"}
        if "id" in fields:
            fields["id"] = wire.id_text(fields["id"])
        return f"{self.kind.name} {fields} {self.body[:60]!r}"


def method(name, *flags, contract=0):
    """A line of HELLO's methods; flags of idempotent, streaming, once (section 6)."""
    bits = {"idempotent": 1, "streaming": 2, "once": 4}
    return {"method": name, "flags": sum(bits[flag] for flag in flags), "hash": contract}


def service(name, *methods, **more):
    """A line of HELLO's services; more: version, weight, tier, role."""
    return {"service": name, "methods": [method(m) if isinstance(m, str) else m for m in methods], **more}


def now_us():
    return time.time_ns() // 1000


class Peer:
    """One connection with one broker. A peer that lost it makes a new Peer: section 2 forbids to re-use the socket."""

    def __init__(self, endpoint, agent="peer", client=None, incarnation=None, site=None, receive_queue=1000, keys=None):
        self.agent, self.site = agent, site
        self.client = client or secrets.randbits(63) + 1
        self.incarnation = incarnation or now_us()
        self.sequence, self.session = 0, 0
        self.welcome = None
        self.answers_pings = True
        self.inbox = collections.deque()
        self.socket = zmq.Context.instance().socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 0)
        self.socket.setsockopt(zmq.RCVHWM, receive_queue)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 3600000)  # a lost peer is not to come back by itself
        self.monitor = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECTED)
        self.connected = self.gone = False
        self.dropped = 0  # messages of an unknown kind
        if keys:  # its own, public and secret, and the broker's public one (section 2)
            self.socket.curve_publickey, self.socket.curve_secretkey, self.socket.curve_serverkey = keys
        self.socket.connect(endpoint)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    @property
    def instance(self):
        return f"{self.agent}:{self.client:016x}"

    # --- sending ---

    def send(self, kind, body=b"", **fields):
        self.send_raw(wire.encode(kind, **fields), body)

    def send_raw(self, header, body=b"", *more):
        """Frames as they are: the header, and the body unless it is empty (section 2)."""
        self.socket.send_multipart([header] + ([body] if body or more else []) + list(more))

    def send_pack(self, *messages):
        """Several (kind, body, fields) as one PACK (section 10)."""
        pairs = [(wire.encode(kind, **fields), body) for kind, body, fields in messages]
        self.send(Kind.PACK, wire.pack(pairs))

    def flush(self, timeout_s=TIMEOUT_S):
        """Returns when the broker has read all that was sent (PONG comes in order)."""
        number = secrets.randbits(60) + 1
        self.send(Kind.PING, number=number)
        self.expect(Kind.PONG, number=number, timeout_s=timeout_s)

    # --- receiving ---

    def _take(self, header, body):
        """Puts a message into the inbox; answers a PING; drops and counts a kind that a later version may have (section 5.1)."""
        try:
            message = Message(wire.decode(header), body)
        except wire.WireError as error:
            if error.status != Status.UNSUPPORTED:
                raise
            self.dropped += 1
            return
        if message.kind == Kind.PACK:
            for inner, inner_body in wire.unpack(body):
                self._take(inner, inner_body)
        elif message.kind == Kind.PING and self.answers_pings:
            self.send(Kind.PONG, number=message.number)
        else:
            self.inbox.append(message)

    def _read(self, timeout_s):
        """Reads one ZeroMQ message into the inbox; False when none came in time."""
        if not self.socket.poll(max(0, int(timeout_s * 1000))):
            return False
        header, *body = self.socket.recv_multipart()
        self._take(header, body[0] if body else b"")
        return True

    def pump(self):
        """Reads what is there, without waiting."""
        while self._read(0):
            pass

    def _pick(self, fits):
        for message in self.inbox:
            if fits(message):
                self.inbox.remove(message)
                return message
        return None

    def _wait(self, fits, what, timeout_s):
        """The next message that fits; others stay in the inbox, in order."""
        due = time.monotonic() + timeout_s
        while True:
            found = self._pick(fits)
            if found:
                return found
            if not self._read(due - time.monotonic()) and time.monotonic() >= due:
                raise TimeoutError(f"{self.agent}: no {what} within {timeout_s} s; there is {list(self.inbox)}")

    def expect(self, *kinds, timeout_s=TIMEOUT_S, **fields):
        """The next message of one of these kinds with these fields; others stay in the inbox, in order."""
        return self._wait(lambda message: message.kind in kinds and
                          all(getattr(message, name) == value for name, value in fields.items()),
                          f"{'/'.join(kind.name for kind in kinds)} {fields}", timeout_s)

    def none(self, *kinds, **fields):
        """True when the broker has sent none of these up to now."""
        self.flush()
        return not any(message.kind in kinds and all(getattr(message, name) == value for name, value in fields.items())
                       for message in self.inbox)

    def wait_gone(self, timeout_s=TIMEOUT_S):
        """Waits until the broker has closed the connection; reads on meanwhile. True if it did."""
        due = time.monotonic() + timeout_s
        poller = zmq.Poller()
        poller.register(self.monitor, zmq.POLLIN)
        poller.register(self.socket, zmq.POLLIN)
        while not self.gone and time.monotonic() < due:
            ready = dict(poller.poll(max(0, int((due - time.monotonic()) * 1000))))
            if self.socket in ready:
                self._read(0)
            if self.monitor in ready:
                self._on_event(recv_monitor_message(self.monitor)["event"])
        return self.gone

    def _on_event(self, event):
        self.connected = self.connected or event == zmq.EVENT_CONNECTED
        self.gone = self.gone or event == zmq.EVENT_DISCONNECTED

    # --- session (section 6) ---

    def hello(self, services=(), calls=(), **over):
        """Says HELLO; over replaces fields of its body, None takes one out."""
        body = {"version": VERSION, "min_version": VERSION, "client": self.client, "agent": self.agent,
                "incarnation": self.incarnation, "site": self.site, "library": "pons_peer.py", "pid": os.getpid(),
                "services": list(services), "calls": list(calls), **over}
        self.send(Kind.HELLO, msgpack.packb({name: value for name, value in body.items() if value is not None}))

    def open(self, *services, credit=None, calls=(), **over):
        """HELLO and WELCOME; with services also the first CREDIT. Raises RemoteError when refused. Returns the peer."""
        self.hello(services, calls, **over)
        answer = self.expect(Kind.WELCOME, Kind.ERROR)
        if answer.kind == Kind.ERROR:
            raise RemoteError(Status(answer.status), answer.data)
        self.welcome, self.session = answer.data, answer.session
        if services and credit is None:
            credit = 1
        if credit is not None:
            self.credit(credit)
            self.flush()
        return self

    def credit(self, n):
        self.send(Kind.CREDIT, session=self.session, credit=n)

    def bye(self):
        self.send(Kind.BYE, flags=Flag.CLEAN)

    def close(self):
        """Drops the connection without a word."""
        if not self.socket.closed:
            self.socket.disable_monitor()
            self.monitor.close(0)
            self.socket.close(0)

    # --- asking (section 7) ---

    def next_id(self):
        self.sequence += 1
        return wire.request_id(self.client, self.sequence)

    def request(self, target, name, body=None, deadline_s=30, **fields):
        """Sends REQUEST and returns its id. body is packed unless it is bytes."""
        fields.setdefault("id", self.next_id())
        fields.setdefault("deadline", int(deadline_s * 1e6))
        data = body if isinstance(body, bytes) else b"" if body is None else msgpack.packb(body)
        self.send(Kind.REQUEST, data, service=target, method=name, **fields)
        return fields["id"]

    def request_in_parts(self, target, name, parts, **fields):
        """A REQUEST whose body goes on in CHUNKs."""
        flags = fields.pop("flags", 0)
        request = self.request(target, name, parts[0], flags=flags | Flag.MORE, **fields)
        for number, part in enumerate(parts[1:], 1):
            last = number == len(parts) - 1
            self.send(Kind.CHUNK, part, id=request, number=number, flags=0 if last else Flag.MORE)
        return request

    def answer(self, request, timeout_s=TIMEOUT_S):
        """The REPLY to a request, its parts joined (section 9); raises RemoteError for its ERROR. The window opens by what
        has come."""
        def fits(message):
            return message.id == request and (message.kind in (Kind.REPLY, Kind.ERROR) or
                                              message.kind == Kind.CHUNK and message.flags & Flag.PART)

        parts, size = [], 0
        while (message := self._wait(fits, "answer", timeout_s)).kind == Kind.CHUNK:
            parts.append(message.body)
            size += len(message.body)
            self.send(Kind.WINDOW, id=request, number=message.number + 1, window=size + WINDOW_BYTES)
        if message.kind == Kind.ERROR:
            raise RemoteError(Status(message.status), message.data)
        message.body = b"".join(parts) + message.body
        return message

    def ask(self, target, name, body=None, **fields):
        """Asks and returns the reply's body."""
        return self.answer(self.request(target, name, body, **fields)).data

    def refusal(self, request, timeout_s=TIMEOUT_S):
        """The name of the status with which a request ended."""
        try:
            self.answer(request, timeout_s)
        except RemoteError as error:
            return error.status.name
        return "OK"

    # --- answering (sections 7 to 9) ---

    def take(self, timeout_s=TIMEOUT_S, **fields):
        """The next REQUEST for this instance."""
        return self.expect(Kind.REQUEST, timeout_s=timeout_s, **fields)

    def reply(self, request, body=None, **fields):
        data = body if isinstance(body, bytes) else msgpack.packb(body)
        self.send(Kind.REPLY, data, id=request.id, **fields)

    def fail(self, request, status, text="no", **body):
        self.send(Kind.ERROR, msgpack.packb({"message": text, **body}), id=request.id, status=status)

    def chunk(self, request, number, data, flags=0):
        self.send(Kind.CHUNK, data, id=request.id, number=number, flags=flags)

    def nack(self, request, status):
        self.send(Kind.NACK, id=request.id, status=status)

    def forward(self, request, *targets, annotations=None):
        """FORWARD to targets (service, method), the first that can begin."""
        body = {"targets": [{"service": name, "method": verb} for name, verb in targets]}
        self.send(Kind.FORWARD, msgpack.packb(body), id=request.id, annotations=annotations)

    # --- events (section 11) ---

    def publish(self, topic, body=None, sequence=0, retain=False):
        data = body if isinstance(body, bytes) else msgpack.packb(body)
        self.send(Kind.PUBLISH, data, service=topic, id=wire.request_id(self.client, sequence) if sequence else None,
                  flags=Flag.RETAIN if retain else 0)

    def subscribe(self, *patterns):
        """Subscribes, and returns when the broker knows it; kept values are then in the inbox."""
        for pattern in patterns:
            self.send(Kind.SUBSCRIBE, service=pattern)
        self.flush()
