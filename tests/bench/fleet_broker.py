#!/usr/bin/python3
"""The broker of the "Python + pyzmq" fleet: one ROUTER that says OK to each registration and each beat."""
import sys

import zmq


def main():
    router = zmq.Context().socket(zmq.ROUTER)
    router.bind(sys.argv[1])
    print("ready", router.getsockopt(zmq.LAST_ENDPOINT).rstrip(b"\0").decode(), flush=True)
    while True:
        sender, _ = router.recv_multipart()
        router.send_multipart([sender, b"OK"])


main()
