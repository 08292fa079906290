#!/usr/bin/python3
"""Two real builds of the echo agent, from contracts that differ in one bound, beside the command that was built with the first."""

import os

import harness
import test_ctl

OTHER = os.path.join(os.path.dirname(harness.BIN), "tests", "echo-other-contract")


class TwoBuilds(test_ctl.Command):
    def start_other(self):
        return self.start(OTHER, "--endpoint", f"ipc://{self.folder}/bus", "--name", "other")

    def test_the_same_build_agrees(self):
        self.up()
        self.assertNotIn("MISMATCH", self.pons("status").out)
        self.assertNotIn("another contract", self.pons("call", "echo.say", '{"text":"x"}').err)

    def test_another_build_is_told(self):
        self.up()
        other = self.start_other()
        hashes = {}
        for row in self.pons("status", "--json", expect=1).json["registry"]["mismatches"]:
            self.assertEqual((row["caller"].split(":")[0], row["service"], row["method"]), ("pons", "echo", "say"))
            hashes[row["callee_hash"]] = row["caller_hash"]
        self.assertEqual(len(hashes), 1)  # one of the two builds, and not the other
        (callee, caller), = hashes.items()
        self.assertIn(f"calls echo.say as {caller:016x}, the service offers {callee:016x}; rebuild the older one",
                      self.pons("status", expect=1).out)
        # WELCOME says it to whoever calls with the first build's hash
        told = self.peer("third", endpoint=f"ipc://{self.folder}/bus").open(
            calls=[{"service": "echo", "method": "say", "hash": caller}]).welcome["mismatches"]
        self.assertEqual([(row["service"], row["method"], row["caller_hash"], row["callee_hash"]) for row in told],
                         [("echo", "say", caller, callee)])
        ran = self.pons("call", "echo.say", '{"text":"x"}', expect=None)
        self.assertIn("built with another contract of echo.say", ran.err)
        other.terminate()
        self.assertEqual(other.wait(), 0)
        self.assertNotIn("MISMATCH", self.pons("status").out)

    def test_streams_agree_all_the_same(self):
        """Only the method whose contract differs is told of."""
        self.up()
        self.start_other()
        rows = self.pons("status", "--json", expect=1).json["registry"]["mismatches"]
        self.assertNotIn("stream", {row["method"] for row in rows})


if __name__ == "__main__":
    harness.main()
