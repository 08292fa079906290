#!/usr/bin/python3
"""Writes the vectors of this folder, with Python's msgpack and the positions of docs/protocol.md.

make.py            compares the files with what it would write, and ends with 1 if they differ
make.py --write    writes them

A file has a sentence, `header:` in hex (blanks mean nothing), `body:` in hex if there is one, `result:` what a receiver
makes of the header (OK, or the status of its ERROR), `canonical: yes` if the codec writes these very bytes from the
meaning, and the meaning: each field that is there. Ids are as text, traces and annotations in hex."""

import json
import os
import struct
import sys

import msgpack

HERE = os.path.dirname(os.path.abspath(__file__))
POSITIONS = ("kind id attempt hop service method deadline priority flags trace content_type credit number window status"
             " session annotations age execution").split()
KINDS = ("HELLO WELCOME BYE PING PONG REQUEST CHUNK REPLY ERROR CANCEL FORWARD NACK PROBE HAVE PASS CREDIT WINDOW PACK"
         " PUBLISH EVENT SUBSCRIBE UNSUBSCRIBE LEASE FLAGS DRAIN GOAWAY WARM").split()
CLIENT, SEQUENCE = 0x0123456789ABCDEF, 42
ID = struct.pack(">QQ", CLIENT, SEQUENCE)
EXECUTION = 0xFEDCBA9876543211
TRACE = bytes(range(0x10, 0x29))
NOTES = {"sticky": "alice"}


def row(kind, **fields):
    """A header as a list, without trailing nils."""
    fields["kind"] = KINDS.index(kind) + 1 if isinstance(kind, str) else kind
    cells = [fields.get(name) for name in POSITIONS]
    while cells and cells[-1] is None:
        cells.pop()
    return cells


def text_of(name, value):
    if name == "kind" and 1 <= value <= len(KINDS):
        return f"{value} {KINDS[value - 1]}"
    if name == "id":
        client, sequence = struct.unpack(">QQ", value)
        return f"{client:016x}-{sequence:x}"
    if name == "annotations":
        return f"{msgpack.packb(value).hex()} {json.dumps(value)}"
    return value.hex() if isinstance(value, bytes) else str(value)


def vector(sentence, cells, body=None, result="OK", canonical=True, header=None):
    """The text of one file. header: the bytes, where they are not those that msgpack writes from cells."""
    lines = [sentence, ("header: " + (msgpack.packb(cells) if header is None else header).hex()).rstrip()]
    if body is not None:
        data = body if isinstance(body, bytes) else msgpack.packb(body)
        lines.append("body: " + data.hex())
        if not isinstance(body, bytes):
            lines.append("body_means: " + json.dumps(body, default=bytes.hex))
    lines.append(f"result: {result}")
    if result == "OK":
        lines.append("canonical: " + ("yes" if canonical else "no"))
    if result in ("OK", "UNSUPPORTED", "TOO_LARGE"):
        lines += [f"{name}: {text_of(name, value)}" for name, value in zip(POSITIONS, cells)
                  if value is not None and (result == "OK" or name == "id")]
    return "\n".join(lines) + "\n"


HELLO = {"version": 1, "min_version": 1, "client": CLIENT, "agent": "echo", "incarnation": 1700000000000000, "site": "desk",
         "library": "vectors 1", "pid": 4711,
         "services": [{"service": "Echo", "version": "1", "weight": 100, "tier": "cpu", "role": "primary",
                       "methods": [{"method": "echo", "flags": 1, "hash": 0}]}],
         "calls": [{"service": "Clock", "method": "now", "hash": 81985529216486895}]}
WELCOME = {"version": 1, "session": 65537, "broker": "b1", "site": "desk", "incarnation": 1700000000000001, "epoch": 0,
           "ping_interval_us": 50000, "ping_timeout_us": 150000, "idle_interval_us": 5000000, "body_max_bytes": 258048,
           "outstanding_max": 4096, "mismatches": []}
ERROR = {"message": "the body does not fit the contract", "path": "messages[3].role", "origin": "echo"}
FORWARD = {"targets": [{"service": "Gpu", "method": "run"}, {"service": "Cpu", "method": "run"}]}
PROBE = {"requests": [{"id": ID, "attempt": 2, "age_us": 250000}]}
PROBE_STREAM = {"requests": [{"id": ID, "attempt": 2, "hop": 1, "age_us": 250000, "chunk": 9, "window_bytes": 69632}]}
PAIRS = [(row("PING", number=7), b""), (row("REPLY", id=ID), b"\xa2hi"), (row("CREDIT", session=65537, credit=32), b"")]
PACKED = b"".join(msgpack.packb(msgpack.packb(cells)) + msgpack.packb(body) for cells, body in PAIRS)


def kinds():
    """One message of each kind, with the fields that it commonly has."""
    yield "hello", vector("HELLO of an instance that offers one method and calls another.", row("HELLO"), HELLO)
    yield "welcome", vector("WELCOME.", row("WELCOME", session=65537), WELCOME)
    yield "bye", vector("BYE with nothing outstanding.", row("BYE", flags=16))
    yield "ping", vector("PING.", row("PING", number=1234567890123))
    yield "pong", vector("PONG echoes the number of PING.", row("PONG", number=1234567890123))
    yield "request", vector("The smallest REQUEST that is accepted.",
                            row("REQUEST", id=ID, service="Echo", method="echo", deadline=30000000), {"text": "hi"})
    yield "request_stream", vector("REQUEST that takes a stream, from a client that moved.",
                                   row("REQUEST", id=ID, attempt=2, service="Llm@gpu0", method="chat", deadline=1800000000,
                                       priority=0, flags=2, trace=TRACE, content_type="application/json", window=65536,
                                       annotations=NOTES), b'{"prompt":"hi"}')
    yield "request_more", vector("The first part of a REQUEST with a body in parts.",
                                 row("REQUEST", id=ID, service="Echo", method="echo", deadline=1, priority=2, flags=5), b"\xc4\x06abc")
    yield "chunk", vector("CHUNK number 0 of a stream: the number may be left out.", row("CHUNK", id=ID), b"\xa5hello")
    yield "chunk_first", vector("CHUNK number 0 of a stream, with the execution that it and those behind it are of.",
                                row("CHUNK", id=ID, execution=EXECUTION), b"\xa5hello")
    yield "chunk_more", vector("CHUNK 3 of a request's body; more follow.", row("CHUNK", id=ID, flags=1, number=3), b"\0" * 8)
    yield "chunk_part", vector("CHUNK 2, a part of the reply: it is no piece of the stream.", row("CHUNK", id=ID, flags=64, number=2), b"\xa4part")
    yield "chunk_collect", vector("CHUNK with one instance's ERROR to service@*.",
                                  row("CHUNK", id=ID, flags=32, number=1, status=20, annotations={"instance": "echo:5"}), {"message": "no"})
    yield "reply", vector("REPLY after three chunks.", row("REPLY", id=ID, number=3, execution=EXECUTION), {"usage": 7})
    yield "error", vector("ERROR with the path of the field at fault.", row("ERROR", id=ID, status=13), ERROR)
    yield "error_alone", vector("ERROR that belongs to no request.", row("ERROR", status=24))
    yield "cancel", vector("CANCEL.", row("CANCEL", id=ID))
    yield "forward", vector("FORWARD to two targets, with new annotations.", row("FORWARD", id=ID, annotations=NOTES), FORWARD)
    yield "forward_cleared", vector("FORWARD that clears the annotations: an empty map is not an absent one.",
                                    row("FORWARD", id=ID, annotations={}), FORWARD)
    yield "nack", vector("NACK BUSY.", row("NACK", id=ID, status=7))
    yield "probe", vector("PROBE for one request.", row("PROBE"), PROBE)
    yield "probe_stream", vector("PROBE for a stream of which chunk 9 is wanted next.", row("PROBE"), PROBE_STREAM)
    yield "have", vector("HAVE: it runs; CHUNK 9 is the next, 4,096 bytes went before it.",
                         row("HAVE", id=ID, attempt=2, number=9, window=4096, execution=EXECUTION), {"state": "running"})
    yield "have_forwarded", vector("HAVE: it was forwarded; the FORWARD follows.", row("HAVE", id=ID, attempt=2, hop=1), {"state": "forwarded"})
    yield "pass", vector("PASS: never begun, and that is sure.", row("PASS", id=ID, attempt=2))
    yield "pass_unsure", vector("PASS: not that this instance remembers, but it cannot vouch for it.", row("PASS", id=ID, attempt=2, status=12))
    yield "credit", vector("CREDIT 32.", row("CREDIT", credit=32, session=65537))
    yield "credit_none", vector("CREDIT 0: no new work. Zero is left out.", row("CREDIT", session=2**64 - 1))
    yield "window", vector("WINDOW: chunk 9 is wanted next, bytes up to 131,072 are taken.", row("WINDOW", id=ID, number=9, window=131072))
    yield "pack", vector("PACK of PING, REPLY and CREDIT.", row("PACK"), PACKED)
    yield "publish", vector("PUBLISH of a value that is kept.", row("PUBLISH", id=ID, service="gpu.0.load", flags=8), 93)
    yield "event", vector("EVENT; this session has lost 4 so far.", row("EVENT", id=ID, service="gpu.0.load", flags=8, number=4), 93)
    yield "subscribe", vector("SUBSCRIBE.", row("SUBSCRIBE", service="gpu.*.>"))
    yield "unsubscribe", vector("UNSUBSCRIBE.", row("UNSUBSCRIBE", service="gpu.*.>"))
    yield "lease", vector("LEASE, reserved.", row("LEASE"))
    yield "flags", vector("FLAGS, reserved.", row("FLAGS"))
    yield "drain", vector("DRAIN.", row("DRAIN"))
    yield "goaway", vector("GOAWAY.", row("GOAWAY"))
    yield "warm", vector("WARM.", row("WARM"))
    yield "request_again", vector("REQUEST that was sent first 250 ms ago; chunk 9 of its stream is wanted next.",
                                  row("REQUEST", id=ID, attempt=2, service="Llm", method="chat", deadline=29000000, flags=2, number=9,
                                      window=69632, age=250000, execution=EXECUTION), b'{"prompt":"hi"}')


def encodings():
    """What a receiver takes although the codec would write it otherwise."""
    cells = row("PING", number=5)
    yield "array32", vector("The array may come in any format.", cells, canonical=False, header=b"\xdd\0\0\0\x0d\x04" + b"\xc0" * 11 + b"\x05")
    yield "uint_long", vector("Numbers may come in any unsigned format.", cells, canonical=False,
                              header=b"\x9d\xcd\0\x04" + b"\xc0" * 11 + b"\xcf\0\0\0\0\0\0\0\x05")
    yield "str_long", vector("Texts may come in any str format.", row("SUBSCRIBE", service="a.b"), canonical=False,
                             header=b"\x95\x15\xc0\xc0\xc0\xdb\0\0\0\x03a.b")
    yield "trailing", vector("Elements after the last that is known are skipped, whatever they are.", row("DRAIN"), canonical=False,
                             header=msgpack.packb(row("DRAIN") + [None] * 18 + [{"new": [1, {2: [b"x", -1.5, True]}]}, msgpack.ExtType(5, b"abc"), "z"]))
    yield "zeros", vector("A number that is 0 and an empty text mean the same as an absent one.", row("PONG"), canonical=False,
                          header=msgpack.packb([5, None, 0, 0, "", "", 0, None, 0, None, "", 0, 0, 0, 0, 0]))
    yield "largest", vector("Every field at its limit.",
                            row("REQUEST", id=b"\xff" * 16, attempt=1000000, hop=127, service="s" * 130, method="m" * 64,
                                deadline=1800000000, priority=2, flags=2**32 - 1, trace=b"\xff" * 25, content_type="c" * 64,
                                credit=65535, number=2**64 - 1, window=2**64 - 1, status=127, session=2**64 - 1,
                                annotations={"k": "a" * 2042}, age=1800000000, execution=2**64 - 1))


def bad(name, sentence, cells, result="MALFORMED", header=None):
    return "bad_" + name, vector(sentence, cells, result=result, header=header)


def refused():
    """What a receiver can't use, and what it answers."""
    request = row("REQUEST", id=ID, service="Echo", method="echo", deadline=30000000)
    whole = msgpack.packb(request)
    yield bad("empty", "No bytes at all.", [], header=b"")
    yield bad("not_array", "A map instead of an array.", [], header=b"\x80")
    yield bad("no_kind", "An array without a kind.", [], header=b"\x90")
    yield bad("kind_zero", "Kind 0.", [], header=b"\x91\0")
    yield bad("kind_unknown", "A kind that nobody has defined; the id can be read.", row(99, id=ID), "UNSUPPORTED")
    yield bad("kind_negative", "Numbers are unsigned.", [], header=b"\x91\xff")
    yield bad("kind_signed", "A positive number in a signed format.", [], header=b"\x91\xd0\x04")
    yield bad("cut", "The last byte is missing.", [], header=whole[:-1])
    yield bad("too_long", "A byte after the array.", [], header=whole + b"\0")
    yield bad("no_id", "REQUEST without an id.", row("REQUEST", service="Echo", method="echo", deadline=1))
    yield bad("no_method", "REQUEST whose method is empty.", [], header=msgpack.packb([6, ID, None, None, "Echo", "", 1]))
    yield bad("status_zero", "ERROR whose status is 0.", [], header=msgpack.packb([9] + [None] * 13 + [0]))
    yield bad("id_short", "An id of 15 bytes.", [], header=msgpack.packb([10, ID[:15]]))
    yield bad("id_zero", "The client id 0.", [], header=msgpack.packb([10, bytes(16)]))
    yield bad("id_text", "An id as str.", [], header=msgpack.packb([10, "0123456789abcdef"]))
    yield bad("service_bytes", "A service as bin.", [], header=msgpack.packb([21, None, None, None, b"a.b"]))
    yield bad("annotations_array", "Annotations that are no map.", [], header=msgpack.packb(row("FORWARD", id=ID, annotations=[1])))
    yield bad("annotations_cut", "A map that claims more than there is.", [], header=msgpack.packb(row("FORWARD", id=ID, annotations={}))[:-1] + b"\xdf\xff\xff\xff\xff")
    yield bad("never_used", "The byte 0xc1, which msgpack never uses.", [], header=b"\x92\x04\xc1")
    yield bad("service_large", "A target of 131 bytes.", row("REQUEST", id=ID, service="s" * 131, method="m", deadline=1), "TOO_LARGE")
    yield bad("deadline_large", "A deadline over half an hour.", row("REQUEST", id=ID, service="s", method="m", deadline=1800000001), "TOO_LARGE")
    yield bad("priority_large", "Priority 3.", row("REQUEST", id=ID, service="s", method="m", deadline=1, priority=3), "TOO_LARGE")
    yield bad("credit_large", "Credit 65,536.", row("CREDIT", credit=65536, session=1), "TOO_LARGE")
    yield bad("annotations_large", "Annotations of 2,049 bytes.", row("FORWARD", id=ID, annotations={"k": "a" * 2043}), "TOO_LARGE")
    yield bad("header_large", "A header of 4,097 bytes: nothing of it is read.", [], "TOO_LARGE",
              header=msgpack.packb([4] + [None] * 16 + [b"x" * 4076]))


LIFE = 1700000000000000
CHANGES = {  # kind, contract, body
    "snapshot": ("snapshot", "PeerBegins", {"site": "desk"}),
    "level": ("level", "PeerLevel", {"own_for_us": 9000000, "both_for_us": 8000000, "apart_for_us": 0}),
    "lease_clear": ("lease", "PeerLease", {"epoch": 6, "position": 1, "change": "clear"}),
    "lease_put": ("lease", "PeerLease", {"epoch": 6, "position": 2, "change": "put", "name": "hub", "holder": CLIENT, "token_epoch": 6,
                                         "token_counter": 1, "remaining_us": 1900000, "may_double": True}),
    "flag": ("flag", "PeerFlag", {"name": "agent.echo", "value": "off", "epoch": 6, "counter": 3}),
    "flag_unset": ("flag", "PeerFlag", {"name": "agent.echo", "value": "", "epoch": 6, "counter": 4, "removed": True}),
    "has": ("instance", "PeerInstance", {"change": "has", "client": CLIENT, "incarnation": LIFE, "services": ["Echo"]}),
    "left": ("instance", "PeerInstance", {"change": "left", "client": CLIENT, "incarnation": LIFE - 1, "ago_us": 5000000, "services": ["Echo"]}),
    "versions": ("versions", "PeerVersions", {"rows": [{"client": CLIENT, "sequence": 42, "version": 1048577}]}),
    "durable": ("durable", "PeerDurable", {
        "client": CLIENT, "sequence": 42, "delivery_client": 7, "delivery_sequence": 1024, "state": "waiting", "idempotent": True, "priority": 1,
        "status": 9, "round": 0, "tries": 1, "attempts": 1, "accepted_us": LIFE, "since_us": LIFE + 5, "expires_us": LIFE + 3600000000,
        "patience_us": 3600000000, "service": "echo", "method": "say", "content_type": "application/json", "message": "the instance went away",
        "body": b"{}"}),
    "durable_done": ("durable", "PeerDurable", {
        "client": CLIENT, "sequence": 42, "delivery_client": 7, "delivery_sequence": 1024, "state": "done", "priority": 1, "status": 0, "round": 1,
        "tries": 2, "attempts": 0, "accepted_us": LIFE, "since_us": LIFE + 5, "expires_us": LIFE + 3600000000, "patience_us": 3600000000,
        "ended_us": LIFE + 9, "service": "echo", "method": "say", "reply": b"\x80"}),
}


def changes(names):
    """Rows of a log: each the kind and the map of its contract, packed."""
    return [{"kind": CHANGES[name][0], "body": msgpack.packb(CHANGES[name][2])} for name in names.split()]


PEER = {  # kind, contract, body
    "beat": ("beat", "PeerBeat", {"number": 7, "heard": 5, "heard_life": LIFE + 9, "seen": 4, "leads": 4, "told": 3, "broker": "desk",
                                  "vote_us": 2000000, "witness": True}),
    "beat_first": ("beat", "PeerBeat", {"number": 1, "seen": 0, "broker": "desk", "vote_us": 2000000, "witness": False}),
    "ask_vote": ("vote", "PeerVote", {"say": "ask", "epoch": 6, "life": LIFE, "ask_us": 12345678, "leading": True}),
    "give": ("vote", "PeerVote", {"say": "give", "epoch": 6, "seen": 6, "life": LIFE, "ask_us": 12345678}),
    "hand_over": ("vote", "PeerVote", {"say": "hand_over", "epoch": 6, "position": 17, "wait_us": 1000}),
    "log": ("log", "PeerLog", {"life": LIFE, "position": 41, "changes": changes("snapshot lease_clear flag has versions level")}),
    "heard": ("heard", "PeerHeard", {"life": LIFE, "position": 47, "durable": 45, "told_life": LIFE + 9, "told": 31}),
    "heard_again": ("heard", "PeerHeard", {"life": 0, "position": 0, "again": True}),
    "ask": ("ask", "PeerAsk", {"number": 1, "service": "pons.flags", "method": "set", "client": CLIENT, "body": b"\x80"}),
    "event": ("event", "PeerEvent", {"topic": "gpu.0.load", "publisher": CLIENT, "sequence": 42, "retain": True, "body": b"\x5d"}),
    "kept": ("kept", "PeerKept", {"topic": "gpu.0.load", "publisher": CLIENT, "sequence": 42, "age_us": 3500000, "body": b"\x5d"}),
    "durable_fetch": ("durable_fetch", "PeerDurableFetch", {"client": CLIENT, "sequence": 43, "part": "body", "offset": 57344}),
    "durable_piece": ("durable_piece", "PeerDurablePiece", {"client": CLIENT, "sequence": 43, "part": "body", "offset": 57344, "total": 57346,
                                                            "bytes": b"{}"}),
    "answer": ("answer", "PeerAnswer", {"number": 1, "status": 11, "body": b"\x80"}),
}


def peer():
    """Messages of the peer link: two frames, each the map of its contract in the order of its table."""
    alone = {f"change_{name}": row for name, row in CHANGES.items()}  # the body of a change, by itself
    for name, (kind, contract, body) in (PEER | alone).items():
        header = {"kind": "log" if name in alone else kind, "from": 0, "life": LIFE}
        means = json.dumps(body, default=lambda data: data.hex())
        yield "peer/" + name, "\n".join([f"contract: {contract}", "header: " + msgpack.packb(header).hex(), "body: " + msgpack.packb(body).hex(),
                                         f"means: {kind} {means}"]) + "\n"


def main(arguments):
    wanted = {name + ".txt": text for group in (kinds, encodings, refused, peer) for name, text in group()}
    there = {os.path.join(folder, file) for folder in ("", "peer") for file in os.listdir(os.path.join(HERE, folder))
             if file.endswith(".txt")}
    differ = 0
    for name in sorted(set(wanted) | there):
        path = os.path.join(HERE, name)
        there = open(path, encoding="utf-8").read() if os.path.exists(path) else None
        if there == wanted.get(name):
            continue
        if arguments == ["--write"] and name in wanted:
            with open(path, "w", encoding="utf-8") as file:
                file.write(wanted[name])
        else:
            differ += 1
            print(f"tests/vectors/{name} is not what make.py writes")
    print(f"{len(wanted)} vectors, {differ} differ")
    return 1 if differ else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
