#!/usr/bin/python3
"""test_two_brokers.py again with brokers that are a pair: they know each other's instances, so they also know when nobody else
can have begun a request."""

import harness
import test_two_brokers as two


class Linked:
    """Instead of two brokers that have never heard of each other."""

    def setUp(self):
        self.ports = [harness.free_port(), harness.free_port()]
        super().setUp()
        for asker in self.askers:
            self.wait_linked(asker)

    def revive(self, number):
        super().revive(number)
        for asker in self.askers:
            if not asker.socket.closed:
                self.wait_linked(asker)

    def wait_linked(self, asker):
        """Asks until the other broker is there; the answer is what is waited for each time."""
        due = harness.time.monotonic() + harness.DEADLINE_S
        while not (status := asker.ask("pons.authority", "status", {}))["linked"]:
            self.assertLess(harness.time.monotonic(), due, status)
            asker.socket.poll(5)

    def start_one(self, number):
        addresses = [f"tcp://127.0.0.1:{port}" for port in self.ports]
        return self.start_broker(endpoints=[self.ends[number]], name="ab"[number],
                                 environment={"PONS_AUTHORITY_NODE": "ab"[number], "PONS_AUTHORITY_LISTEN": addresses[number],
                                              "PONS_AUTHORITY_PEER": addresses[1 - number]})


class Loss(Linked, two.Loss):
    test_both_gone_and_back = None  # with one broker at the end, which knows what the other could tell


class Streams(Linked, two.Streams):
    pass


class Agents(Linked, two.Agents):
    pass


if __name__ == "__main__":
    harness.main()
