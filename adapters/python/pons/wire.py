"""Frames of the pons protocol, version 1: headers, packs, ids, names, topics. Pure: bytes to values and back.

Written from docs/protocol.md (sections 3, 4, 5, 10, 11, 14); tests/unit/adapters/python holds its tables against bus/wire."""

from __future__ import annotations

import enum
import re
import struct
from collections.abc import Iterable
from typing import Any

import msgpack

from .errors import ContractMismatch, Status

VERSION = 1


class Kind(enum.IntEnum):
    HELLO, WELCOME, BYE, PING, PONG, REQUEST, CHUNK, REPLY, ERROR, CANCEL = range(1, 11)
    FORWARD, NACK, PROBE, HAVE, PASS, CREDIT, WINDOW, PACK, PUBLISH, EVENT = range(11, 21)
    SUBSCRIBE, UNSUBSCRIBE, LEASE, FLAGS, DRAIN, GOAWAY, WARM = range(21, 28)


class Flag(enum.IntFlag):
    MORE, STREAM, IDEMPOTENT, RETAIN, CLEAN, COLLECT, PART = 1, 2, 4, 8, 16, 32, 64


class MethodFlag(enum.IntFlag):
    """Of a method in HELLO."""

    IDEMPOTENT, STREAMING, ONCE = 1, 2, 4


INTERACTIVE, NORMAL, BATCH = range(3)
FEATURE_PROBE, FEATURE_CONFIRM = 1, 2  # in HELLO: answers PROBE; says in PONG whether it waits
BROKER_PROBES = 1  # in WELCOME: the broker finds out what became of an earlier attempt

LIMITS = {
    "MESSAGE_BYTES": 262144, "HEADER_BYTES": 4096, "BODY_BYTES": 258048, "ANNOTATIONS_BYTES": 2048, "NAME_BYTES": 64,
    "TARGET_BYTES": 130, "METHOD_BYTES": 64, "CONTENT_TYPE_BYTES": 64, "DEADLINE_US": 1800000000, "CREDIT": 65535, "HOPS": 8,
    "FORWARD_TARGETS": 4, "PACK_BYTES": 65536, "PACK_MESSAGES": 256, "REQUEST_BYTES": 16777216, "REQUEST_PARTS": 256,
    "REPLY_BYTES": 16777216, "REPLIES_BYTES": 67108864, "NACKS": 32, "PROBE_IDS": 256, "LOSSES": 4, "CLIENT_REQUESTS": 4096,
    "CLIENT_BYTES": 33554432, "ALL_REQUESTS": 262144, "ALL_BYTES": 268435456, "SERVICE_QUEUE": 4096, "SESSIONS": 16384,
    "SERVICES_PER_INSTANCE": 256, "METHODS_PER_SERVICE": 64, "SUBSCRIPTIONS": 256, "TOPICS": 4096, "TOPIC_BYTES": 16777216,
    "COLLECT": 64, "OUTBOX_BYTES": 16777216, "OUTBOXES_BYTES": 268435456, "OUTBOX_EVENTS": 1024,
    "STREAM_WINDOW_BYTES": 1048576, "LEASES": 256, "FLAGS": 1024, "FLAG_BYTES": 256, "TRACE_STEPS": 8192,
    "DURABLE_BYTES": 16773120, "DURABLE_PIECE_BYTES": 57344,
    "MEMORY_BYTES": 1048576, "MEMORY_IDS": 65536,
}
TIMES_US = {"DEADLINE_DEFAULT": 30000000, "HORIZON": 60000000, "RETURN_FIRST": 10000000, "RETURN_LONGEST": 640000000}

TRACE_BYTES = 25
HEADER_BYTES, BODY_BYTES = LIMITS["HEADER_BYTES"], LIMITS["BODY_BYTES"]
PACK_BYTES, PACK_MESSAGES = LIMITS["PACK_BYTES"], LIMITS["PACK_MESSAGES"]
PACKABLE_BYTES = 8192  # a larger body travels alone

# Position, name, type, largest. Python's whole numbers have no upper end, so 64 bits are a limit here too.
FIELDS: tuple[tuple[str, type, int], ...] = (
    ("kind", int, 127), ("id", bytes, 16), ("attempt", int, 1000000), ("hop", int, 127), ("service", str, 130), ("method", str, 64),
    ("deadline", int, 1800000000), ("priority", int, 2), ("flags", int, 2**32 - 1), ("trace", bytes, TRACE_BYTES), ("content_type", str, 64),
    ("credit", int, 65535), ("number", int, 2**64 - 1), ("window", int, 2**64 - 1), ("status", int, 127), ("session", int, 2**64 - 1),
    ("annotations", dict, 2048), ("age", int, 1800000000), ("execution", int, 2**64 - 1))
NAMES = tuple(name for name, _, _ in FIELDS)
POSITION = {name: position for position, name in enumerate(NAMES)}

NEEDS = {Kind.WELCOME: ("session",), Kind.REQUEST: ("id", "service", "method"), Kind.CHUNK: ("id",),
         Kind.REPLY: ("id",), Kind.ERROR: ("status",), Kind.CANCEL: ("id",), Kind.FORWARD: ("id",),
         Kind.NACK: ("id", "status"), Kind.HAVE: ("id",), Kind.PASS: ("id",),
         Kind.CREDIT: ("session",), Kind.WINDOW: ("id",), Kind.PUBLISH: ("service",), Kind.EVENT: ("service",),
         Kind.SUBSCRIBE: ("service",), Kind.UNSUBSCRIBE: ("service",)}
KINDS = {int(kind): kind for kind in Kind}


class WireError(Exception):
    """What a receiver says of a frame that it can't use: a Status, and the fields that could be read."""

    def __init__(self, status: Status, text: str) -> None:
        super().__init__(f"{status.name}: {text}")
        self.status = status
        self.fields: dict[str, Any] = {}

    @property
    def request(self) -> bytes | None:
        return self.fields.get("id")


# --- ids and names ---


def request_id(client: int, sequence: int) -> bytes:
    return struct.pack(">QQ", client, sequence)


def id_parts(data: bytes) -> tuple[int, int]:
    """Client and sequence."""
    client, sequence = struct.unpack(">QQ", data)
    return client, sequence


def sound_id(data: bytes) -> bytes:
    """The id itself. Raises struct.error or TypeError for what is none."""
    return request_id(*id_parts(data))


def id_text(data: bytes) -> str:
    """The id as people see it: <16 hex>-<hex>."""
    client, sequence = id_parts(data)
    return f"{client:016x}-{sequence:x}"


NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")
TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def is_name(text: str) -> bool:
    return NAME.match(text) is not None


def is_topic(text: str, pattern: bool = False) -> bool:
    """A topic; or a pattern, which may have `*` for one token and a last `>` for one or more."""
    tokens = text.split(".")
    return len(text) <= LIMITS["TARGET_BYTES"] and all(
        TOKEN.match(token) or pattern and (token == "*" or token == ">" and i == len(tokens) - 1)
        for i, token in enumerate(tokens))


def topic_matches(pattern: str, topic: str) -> bool:
    wanted, tokens = pattern.split("."), topic.split(".")
    for i, token in enumerate(wanted):
        if token == ">":
            return len(tokens) > i
        if i >= len(tokens) or token not in ("*", tokens[i]):
            return False
    return len(wanted) == len(tokens)


# --- bodies ---

MSGPACK = ("", "application/msgpack")


def value_of(body: bytes, content_type: str = "") -> Any:
    """What a body says: msgpack becomes a value, everything else stays bytes. Raises ContractMismatch for msgpack that is none."""
    if content_type not in MSGPACK:
        return body
    try:
        return msgpack.unpackb(body, strict_map_key=False) if body else None
    except Exception as error:  # whatever else it is
        raise ContractMismatch(f"it is not msgpack: {error}") from None


# --- headers ---


def encode(kind: Kind, **fields: Any) -> bytes:
    """A header. Absent, zero and empty fields are left out, but for a REQUEST's priority, whose absence means normal."""
    row: list[Any] = [int(kind)]
    for name, value in fields.items():
        keep = value is not None and value != NORMAL if name == "priority" else value or (name == "annotations" and value is not None)
        if not keep:
            continue
        position = POSITION[name]
        if position >= len(row):
            row.extend([None] * (position + 1 - len(row)))
        row[position] = int(value) if isinstance(value, enum.IntFlag | enum.IntEnum) else value
    header: bytes = msgpack.packb(row)
    return header


def _check_field(name: str, kind: type, largest: int, value: Any) -> None:
    """Refuses a value of another type or over the limit."""
    fits = type(value) is kind  # bool is no int here
    if not fits or (kind is int and value < 0):
        raise WireError(Status.MALFORMED, f"{name} has the wrong type")
    if kind is bytes and len(value) != largest:
        raise WireError(Status.MALFORMED, f"{name} is not {largest} bytes")
    size = value if kind is int else len(value.encode()) if kind is str else len(value) if kind is bytes else map_size(value)
    if size > largest:
        raise WireError(Status.TOO_LARGE, f"{name} is over {largest}")


def map_size(value: dict[Any, Any]) -> int:
    """Of annotations, encoded. Raises WireError for a map that msgpack for Python can't say, such as one that is nested very deep."""
    try:
        return len(msgpack.packb(value))
    except Exception as error:
        raise WireError(Status.MALFORMED, f"annotations: {error}") from error


def _elements(data: bytes) -> list[Any]:
    """Those of a header that stand before the first that can't be read."""
    reader, row = msgpack.Unpacker(strict_map_key=False), []
    reader.feed(data)
    try:
        for _ in range(reader.read_array_header()):
            row.append(reader.unpack())
    except Exception:  # every way in which it is not one msgpack value
        pass
    return row


def decode(data: bytes) -> dict[str, Any]:
    """The fields that are there, by name; kind as Kind. Raises WireError with the status that a broker would answer."""
    fields: dict[str, Any] = {}
    try:
        _decode(data, fields)
    except WireError as error:
        error.fields = fields
        raise
    return fields


def _decode(data: bytes, fields: dict[str, Any]) -> None:
    if len(data) > HEADER_BYTES:
        raise WireError(Status.TOO_LARGE, "the header is over 4096 bytes")
    late = None
    try:
        row = msgpack.unpackb(data, strict_map_key=False)
    except Exception:  # annotations, of which a broker looks at nothing; or anything else
        row, late = _elements(data), WireError(Status.MALFORMED, "not msgpack")
    if type(row) is not list:
        raise WireError(Status.MALFORMED, "not an array")
    for (name, kind, largest), value in zip(FIELDS, row):
        if value is None:
            continue
        try:
            _check_field(name, kind, largest, value)
        except WireError as error:
            if error.status != Status.TOO_LARGE:
                raise
            late = late or error
        fields[name] = value
    if late:
        raise late
    _check_kind(fields)


def _check_kind(fields: dict[str, Any]) -> None:
    if not fields.get("kind"):
        raise WireError(Status.MALFORMED, "no kind")
    kind = KINDS.get(fields["kind"])
    if kind is None:
        raise WireError(Status.UNSUPPORTED, f"kind {fields['kind']}")
    fields["kind"] = kind
    missing = [name for name in NEEDS.get(kind, ()) if not fields.get(name)]
    if missing:
        raise WireError(Status.MALFORMED, f"{kind.name} needs {missing[0]}")


# --- packs ---


def pack(messages: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The body of a PACK from pairs of header and body bytes."""
    pairs = list(messages)
    body = b"".join(msgpack.packb(part) for message in pairs for part in message)
    assert len(pairs) <= PACK_MESSAGES and len(body) <= PACK_BYTES
    return body


def unpack(body: bytes) -> list[tuple[bytes, bytes]]:
    """The pairs of header and body bytes of a PACK."""
    reader = msgpack.Unpacker(max_buffer_size=PACK_BYTES + 1)
    try:
        reader.feed(body)
        parts = list(reader)
    except Exception as error:  # too long, or not msgpack
        raise WireError(Status.MALFORMED, "not pairs of bin") from error
    if len(parts) % 2 or len(parts) > 2 * PACK_MESSAGES or not all(type(part) is bytes for part in parts):
        raise WireError(Status.MALFORMED, "not pairs of bin")
    return list(zip(parts[::2], parts[1::2]))


class Outgoing:
    """Messages for one peer in one turn, as ZeroMQ messages: small ones together as PACK, a lone one as itself."""

    def __init__(self) -> None:
        self._pairs: list[tuple[bytes, bytes]] = []
        self._size = 0
        self._ready: list[list[bytes]] = []

    def add(self, header: bytes, body: bytes) -> None:
        size = len(header) + len(body) + 10
        if len(body) > PACKABLE_BYTES:
            self._close_pack()
            self._ready.append([header, body])
            return
        if self._size + size > PACK_BYTES or len(self._pairs) == PACK_MESSAGES:
            self._close_pack()
        self._pairs.append((header, body))
        self._size += size

    def _close_pack(self) -> None:
        if len(self._pairs) == 1:
            header, body = self._pairs[0]
            self._ready.append([header, body] if body else [header])
        elif self._pairs:
            self._ready.append([encode(Kind.PACK), pack(self._pairs)])
        self._pairs, self._size = [], 0

    def take(self) -> list[list[bytes]]:
        self._close_pack()
        ready, self._ready = self._ready, []
        return ready

    def clear(self) -> None:
        self._pairs, self._size, self._ready = [], 0, []


class Message:
    """One message as it came: the header's fields by name, and the body. fault: why it can't be used; then it is a REQUEST or a REPLY whose
    id could be read, and somebody waits for what becomes of it."""

    __slots__ = ("kind", "fields", "body", "fault")

    def __init__(self, fields: dict[str, Any], body: bytes, fault: Status | None = None) -> None:
        self.kind: Kind = fields["kind"]
        self.fields, self.body, self.fault = fields, body, fault

    def number(self, name: str) -> int:
        """A field that is a number; 0 when it is absent."""
        value: int = self.fields.get(name, 0)
        return value

    @property
    def id(self) -> bytes:
        value: bytes = self.fields.get("id", b"")
        return value


def _message(header: bytes, body: bytes) -> Message | None:
    """None when it can't be used, and nobody waits for it by its id."""
    try:
        return Message(decode(header), body)
    except WireError as error:
        kind = KINDS.get(error.fields.get("kind", 0))
        if kind not in (Kind.REQUEST, Kind.REPLY) or not error.request:
            return None
        known = {name: error.fields[name] for name in ("id", "attempt", "hop") if name in error.fields}
        return Message({"kind": kind, **known}, b"", error.status)


def read(frames: list[bytes]) -> tuple[list[Message], int]:
    """The messages of one ZeroMQ message, PACKs taken apart, and how many could not be used."""
    if len(frames) > 2:
        return [], 1
    message = _message(frames[0], frames[1] if len(frames) == 2 else b"")
    if message is None or message.kind != Kind.PACK:
        return ([message], 0) if message else ([], 1)
    try:
        inner = [_message(header, body) for header, body in unpack(message.body)]
    except WireError:
        return [], 1
    messages = [one for one in inner if one and one.kind != Kind.PACK]
    return messages, len(inner) - len(messages)
