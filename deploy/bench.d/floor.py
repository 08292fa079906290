"""What the libraries themselves cost for a paced stream: libcurl that reads it, and libzmq that carries its events on two hops.
The sum is what no gateway over a bus can be below; pons is held against it."""
import os
import time

import measure
from bus import sleep_until
from procs import Stage

ANSWER_S = 40
EVENT_BYTES = 240  # a chat.completion.chunk with one word, as the mock provider writes it
PEERS = ("curl", "libzmq")


def drive(case, pids):
    """CPU seconds of the processes in the measured window, and how long that was."""
    start = time.monotonic()
    sleep_until(start + case.warm_ms / 1000)
    before, at = sum(map(measure.cpu_s, pids)), time.monotonic()
    sleep_until(start + (case.warm_ms + case.measure_ms) / 1000)
    return sum(map(measure.cpu_s, pids)) - before, time.monotonic() - at


def run_curl(build, case, start_mock, add):
    with Stage() as stage:
        _, port = start_mock(stage, build)
        url = f"http://127.0.0.1:{port}/mock/{case.variant}/v1/chat/completions"
        client = stage.start([os.path.join(build, "tests", "bench-curl-stream"), url, str(case.number), str(case.events),
                              str(case.warm_ms), str(case.measure_ms)])
        client.ready(ANSWER_S)
        client.go()
        spent, wall = drive(case, [client.pid])
        result = client.result(ANSWER_S)
    rate = result["count"] / result["seconds"]
    add(case.name, "curl", "rate", rate, "1/s")
    add(case.name, "curl", "cpu", spent / wall / case.number * 1e6, "us/request")
    add(case.name, "curl", "lost", result["sent"] - result["received"], "requests")
    add(case.name, "curl", "answered", result["received"], "requests")


def run_libzmq(build, case, add):
    """As many messages per second as all streams have events."""
    program, rate = os.path.join(build, "tests", "bench-zmq-stream"), case.number * case.events
    with Stage() as stage:
        endpoint = "ipc://" + stage.path("relay.sock")
        relay = stage.start([program, "relay", endpoint])
        relay.ready(ANSWER_S)
        receiver = stage.start([program, "receiver", endpoint])
        receiver.ready(ANSWER_S)
        sender = stage.start([program, "sender", endpoint, str(rate), str(EVENT_BYTES)])
        sender.ready(ANSWER_S)
        spent, wall = drive(case, [relay.pid, receiver.pid, sender.pid])
        receiver.go()
        received = receiver.result(ANSWER_S)["received"]
    streams = received / case.events
    add(case.name, "libzmq", "rate", streams / (case.warm_ms + case.measure_ms) * 1000, "1/s")
    add(case.name, "libzmq", "cpu", spent / wall / case.number * 1e6, "us/request")
    add(case.name, "libzmq", "answered", int(streams), "requests")
    add(case.name, "libzmq", "lost", 0, "requests")


def run(build, cases, start_mock, add):
    """Both, for each case whose streams are paced."""
    for case in cases:
        if case.events and case.variant:
            run_curl(build, case, start_mock, add)
            run_libzmq(build, case, add)


def add_ratio(report):
    """What pons takes, over the sum of the two in the same round."""
    for case in report.cases():
        pons, curl, libzmq = (report.values.get((case, peer, "cpu"), []) for peer in ("pons", *PEERS))
        for one, two, three in zip(pons, curl, libzmq):
            report.add(case, "pons", "cpu_floor_ratio", one / (two + three) if two and three else None, "ratio")
