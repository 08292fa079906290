#!/usr/bin/python3
"""Asks the echo agent, with nothing but pyzmq and msgpack: ask.py [WORDS [ENDPOINT]]. The frames: docs/protocol.md."""
import io, os, struct, sys, time
import msgpack, zmq

HELLO, WELCOME, PING, PONG, REQUEST, REPLY, ERROR, PACK = 1, 2, 4, 5, 6, 8, 9, 18
words = sys.argv[1] if len(sys.argv) > 1 else "hello"
bus = zmq.Context().socket(zmq.DEALER)
bus.setsockopt(zmq.RCVTIMEO, 10000)
bus.setsockopt(zmq.LINGER, 1000)
bus.connect(sys.argv[2] if len(sys.argv) > 2 else "tcp://127.0.0.1:7100")
client = int.from_bytes(os.urandom(8), "big") | 1  # who we are; not 0


def send(kind, body=None, **at):  # at: position of the header = value
    header = [kind] + [at.get(f"p{i}") for i in range(1, 17)]
    bus.send_multipart([msgpack.packb(header)] + ([] if body is None else [msgpack.packb(body)]))


def receive():
    while True:
        frames = bus.recv_multipart() + [b""]
        if msgpack.unpackb(frames[0])[0] == PACK:  # several messages in one: header, body, header, body, ...
            frames = list(msgpack.Unpacker(io.BytesIO(frames[1])))
        for header, body in zip(frames[::2], frames[1::2]):
            yield msgpack.unpackb(header) + [None] * 17, body and msgpack.unpackb(body)


messages = receive()
send(HELLO, {"version": 1, "min_version": 1, "client": client, "agent": "ask", "incarnation": time.time_ns() // 1000})
for header, body in messages:
    if header[0] == WELCOME:
        send(REQUEST, {"text": words}, p1=struct.pack(">QQ", client, 1), p4="echo", p5="say", p6=5_000_000)
    elif header[0] == PING:
        send(PONG, p12=header[12])
    elif header[0] == ERROR:
        sys.exit(f"status {header[14]}: {body['message']}")
    elif header[0] == REPLY:
        print(body["text"])
        break
