#!/usr/bin/python3
"""One broker of a pair stands still while the other's log of changes grows beyond what it keeps: it comes back and is level, told all that there is."""

import harness
import test_authority as authority
from harness import packed

KEPT = 1024  # CHANGES_KEPT
AT_ONCE = 100
NAMES = 50


class Overflow(authority.Pair):
    def setUp(self):
        super().setUp()
        self.leader, self.other = self.start_pair()
        for name in ("kept", "gone", "changed"):
            self.assertEqual(self.ask(self.leader, "pons.flags", "set", name=name, value="before")["copies"], 2)
        self.wait_level()
        self.seen = len(self.nodes[self.other].log())
        self.behind = self.status(self.other)["behind"]

    def freeze(self):
        self.nodes[self.other].freeze()
        self.wait_status(self.leader, lambda status: not status["linked"])

    def thaw(self):
        self.nodes[self.other].thaw()
        self.askers.pop(self.other)  # its session may have been given up meanwhile
        self.wait_level()

    def wait_level(self):
        self.wait_status(self.leader, lambda status: status["linked"] and not status["peer_behind"])
        self.wait_status(self.other, lambda status: status["linked"] and not status["own_behind"])

    def change(self, times):
        """So many changes, each on the leader's disk alone."""
        asker = self.asker(self.leader)
        for start in range(0, times, AT_ONCE):
            asked = [asker.request("pons.flags", "set", {"name": f"f{number % NAMES}", "value": str(number)})
                     for number in range(start, min(start + AT_ONCE, times))]
            for request in asked:
                self.assertEqual(asker.answer(request).data["copies"], 1)

    def flags(self, node):
        return {row["name"]: (row["value"], row["epoch"], row["counter"]) for row in self.ask(node, "pons.flags", "list")["flags"]}

    def said(self):
        """By the other since setUp."""
        return self.nodes[self.other].log()[self.seen:]

    def live(self, node):
        return [row["id"] for row in self.ask(node, "pons.durable", "list", state="live")["rows"]]

    def test_who_has_missed_more_than_is_kept_is_told_all(self):
        self.freeze()
        self.change(KEPT + AT_ONCE)
        self.ask(self.leader, "pons.flags", "set", name="changed", value="after")
        self.ask(self.leader, "pons.flags", "unset", name="gone")
        durable = self.ask(self.leader, "pons.durable", "submit", service="nobody", method="listens", body=packed({}), idempotent=True)
        self.assertEqual(durable["copies"], 1)
        status = self.status(self.leader)
        self.assertGreater(status["peer_behind"], KEPT)
        self.assertGreater(status["peer_behind_us"], 0)
        self.assertGreater(self.counters(self.asker(self.leader))["NOW_PEER_BEHIND"], KEPT)
        self.thaw()
        self.assertIn("all that there is", self.said())
        self.assertRegex(self.said(), rf"broker-{self.other} was behind: it takes over {NAMES + 2} flags of broker-{self.leader} \[PONS-AUTHORITY-BEHIND\]")
        self.assertGreater(self.status(self.other)["behind"], self.behind)
        self.assertGreater(self.counters(self.asker(self.other))["BEHIND"], 0)
        flags = self.flags(self.other)
        self.assertEqual(flags, self.flags(self.leader))
        self.assertEqual((flags["kept"][0], flags["changed"][0], flags["f0"][0]), ("before", "after", str((KEPT + AT_ONCE - 1) // NAMES * NAMES)))
        self.assertNotIn("gone", flags)
        self.assertEqual(self.live(self.other), [durable["id"]])
        self.assertEqual(self.counters(self.asker(self.leader))["NOW_PEER_BEHIND"], 0)
        self.assertEqual(self.ask(self.other, "pons.flags", "set", name="kept", value="now")["copies"], 2)  # it goes on

    def test_who_has_missed_less_is_told_what_it_missed(self):
        self.freeze()
        self.change(AT_ONCE)
        self.assertGreaterEqual(self.status(self.leader)["peer_behind"], AT_ONCE)
        self.thaw()
        self.assertNotIn("all that there is", self.said())
        self.assertEqual(self.flags(self.other), self.flags(self.leader))


if __name__ == "__main__":
    harness.main()
