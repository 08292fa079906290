"""Frames of the pons protocol, version 1, with nothing but msgpack: headers, packs, ids.

Written from docs/protocol.md alone (sections 3, 4, 5 and 10), so that the document is known to be enough. Copy it, with
pons_peer.py, if you want to speak the protocol from Python."""

import enum
import re
import struct

import msgpack

HEADER_BYTES, BODY_BYTES = 4096, 258048
PACK_BYTES, PACK_MESSAGES = 65536, 256
NAME = re.compile(r"[A-Za-z0-9_.-]{1,64}\Z")


class Kind(enum.IntEnum):
    HELLO, WELCOME, BYE, PING, PONG, REQUEST, CHUNK, REPLY, ERROR, CANCEL = range(1, 11)
    FORWARD, NACK, PROBE, HAVE, PASS, CREDIT, WINDOW, PACK, PUBLISH, EVENT = range(11, 21)
    SUBSCRIBE, UNSUBSCRIBE, LEASE, FLAGS, DRAIN, GOAWAY, WARM = range(21, 28)


class Status(enum.IntEnum):
    OK, CANCELLED, DEADLINE, NO_SERVICE, NO_METHOD, OVERLOADED, QUOTA, BUSY, OTHER_BROKER, WORKER_LOST = range(10)
    STREAM_LOST, UNAVAILABLE, UNKNOWN, INVALID, MALFORMED, UNSUPPORTED_VERSION, UNSUPPORTED = range(10, 17)
    TOO_LARGE, TOO_MANY_HOPS, DENIED, INTERNAL, CONTRACT_MISMATCH, DUPLICATE, NO_DEADLINE = range(17, 24)
    NO_HELLO, STALE, FOREIGN_ID, DRAINING, BAD_NAME, LIMIT, GONE, REFUSED, FAILED = range(24, 33)


class Flag(enum.IntFlag):
    MORE, STREAM, IDEMPOTENT, RETAIN, CLEAN, COLLECT, PART = 1, 2, 4, 8, 16, 32, 64


INTERACTIVE, NORMAL, BATCH = range(3)

# Position, name, type, largest: section 4. Python's whole numbers have no upper end, so 64 bits are a limit here too.
FIELDS = (("kind", int, 127), ("id", bytes, 16), ("attempt", int, 1000000), ("hop", int, 127), ("service", str, 130),
          ("method", str, 64), ("deadline", int, 1800000000), ("priority", int, 2), ("flags", int, 2**32 - 1),
          ("trace", bytes, 25), ("content_type", str, 64), ("credit", int, 65535), ("number", int, 2**64 - 1),
          ("window", int, 2**64 - 1), ("status", int, 127), ("session", int, 2**64 - 1), ("annotations", dict, 2048),
          ("age", int, 1800000000))
NAMES = tuple(name for name, _, _ in FIELDS)

NEEDS = {Kind.WELCOME: ("session",), Kind.REQUEST: ("id", "service", "method"), Kind.CHUNK: ("id",),
         Kind.REPLY: ("id",), Kind.ERROR: ("status",), Kind.CANCEL: ("id",), Kind.FORWARD: ("id",),
         Kind.NACK: ("id", "status"), Kind.HAVE: ("id",), Kind.PASS: ("id",),
         Kind.CREDIT: ("session",), Kind.WINDOW: ("id",), Kind.PUBLISH: ("service",), Kind.EVENT: ("service",),
         Kind.SUBSCRIBE: ("service",), Kind.UNSUBSCRIBE: ("service",)}


class WireError(Exception):
    """What a receiver says of a frame that it can't use: a Status, and the id if it could be read."""

    def __init__(self, status, text, request=None):
        super().__init__(f"{status.name}: {text}")
        self.status, self.request = status, request


def request_id(client, sequence):
    return struct.pack(">QQ", client, sequence)


def id_text(data):
    """The id as people see it: <16 hex>-<hex>."""
    client, sequence = struct.unpack(">QQ", data)
    return f"{client:016x}-{sequence:x}"


def encode(kind, **fields):
    """A header. Absent, zero and empty fields are left out, but for a REQUEST's priority, whose absence means normal."""
    fields["kind"] = int(kind)
    row = []
    for name in NAMES:
        value = fields.pop(name, None)
        keep = name == "kind" or (name == "priority" and value not in (None, NORMAL)) or (name == "annotations" and value is not None)
        row.append(value if keep or (value and name != "priority") else None)
    assert not fields, f"no such field: {fields}"
    while row and row[-1] is None:
        row.pop()
    return msgpack.packb([int(v) if isinstance(v, enum.IntEnum | enum.IntFlag) else v for v in row])


def check_field(name, kind, largest, value):
    """Refuses a value of another type or over the limit."""
    if type(value) is not kind or (kind is int and value < 0):
        raise WireError(Status.MALFORMED, f"{name} has the wrong type")
    if kind is bytes and len(value) != largest:
        raise WireError(Status.MALFORMED, f"{name} is not {largest} bytes")
    size = value if kind is int else len(value.encode() if kind is str else msgpack.packb(value) if kind is dict else value)
    if size > largest:
        raise WireError(Status.TOO_LARGE, f"{name} is over {largest}")


def decode(data):
    """The fields that are there, by name; kind as Kind. Raises WireError with the status that a broker would answer."""
    if len(data) > HEADER_BYTES:
        raise WireError(Status.TOO_LARGE, "the header is over 4096 bytes")
    try:
        row = msgpack.unpackb(data, strict_map_key=False)
    except Exception as error:  # every way in which it is not one msgpack value
        raise WireError(Status.MALFORMED, "not msgpack") from error
    if type(row) is not list:
        raise WireError(Status.MALFORMED, "not an array")
    fields, late = {}, None
    for (name, kind, largest), value in zip(FIELDS, row):
        if value is None:
            continue
        try:
            check_field(name, kind, largest, value)
        except WireError as error:
            if error.status != Status.TOO_LARGE:
                raise
            late = late or error
        fields[name] = value
    if late:
        raise WireError(Status.TOO_LARGE, str(late), fields.get("id"))
    return check_kind(fields)


def check_kind(fields):
    if not fields.get("kind"):
        raise WireError(Status.MALFORMED, "no kind")
    if fields["kind"] not in iter(Kind):
        raise WireError(Status.UNSUPPORTED, f"kind {fields['kind']}", fields.get("id"))
    fields["kind"] = Kind(fields["kind"])
    missing = [name for name in NEEDS.get(fields["kind"], ()) if not fields.get(name)]
    if missing:
        raise WireError(Status.MALFORMED, f"{fields['kind'].name} needs {missing[0]}", fields.get("id"))
    return fields


def pack(messages):
    """The body of a PACK from pairs of header and body bytes."""
    body = b"".join(msgpack.packb(part) for message in messages for part in message)
    assert len(messages) <= PACK_MESSAGES and len(body) <= PACK_BYTES
    return body


def unpack(body):
    """The pairs of header and body bytes of a PACK."""
    reader = msgpack.Unpacker(max_buffer_size=PACK_BYTES + 1)
    reader.feed(body)
    parts = list(reader)
    if len(parts) % 2 or len(parts) > 2 * PACK_MESSAGES or not all(type(part) is bytes for part in parts):
        raise WireError(Status.MALFORMED, "not pairs of bin")
    return list(zip(parts[::2], parts[1::2]))
