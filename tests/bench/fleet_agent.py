#!/usr/bin/python3
"""The idle agent of the "Python + pyzmq" fleet: the same as fleet_agent.c, as people write it."""
import os
import socket
import sys
import time

import zmq


def main():
    context = zmq.Context()
    brokers = [context.socket(zmq.DEALER) for _ in sys.argv[1:]]
    for broker, endpoint in zip(brokers, sys.argv[1:]):
        broker.connect(endpoint)
        broker.send(b"REGISTER echo-" + os.environ.get("BENCH_NUMBER", "0").encode())
    for broker in brokers:
        broker.recv()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"])
    while True:
        time.sleep(1)
        for broker in brokers:
            broker.send(b"BEAT")
        for broker in brokers:
            broker.recv()


main()
