#!/usr/bin/python3
"""What docs/two-machines.md says under "Setting it up", done: three boxes of network namespaces with the addresses and the very files of
the page, keys that go from box to box, a fleet on two of them and a witness on the third."""

import os
import re
import shutil
import signal
import subprocess
import time
import unittest

import harness

EXAMPLES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/examples/two-machines")
BOXES = {"mainpc": "192.168.1.10", "pc2": "192.168.1.11", "witness": "192.168.1.12"}


def can_lab():
    return os.geteuid() == 0 and subprocess.run(["unshare", "--net", "ip", "link"], capture_output=True, check=False).returncode == 0


@unittest.skipUnless(can_lab(), "network namespaces can't be made here")
class SettingUp(harness.Fleet):
    BROKER = False

    def setUp(self):
        super().setUp()
        own = os.readlink("/proc/self/ns/net")
        self.boxes = {name: self.start("/usr/bin/unshare", "--net", "sleep", "infinity", ready=False) for name in BOXES}
        due = time.monotonic() + harness.DEADLINE_S
        for name, box in self.boxes.items():
            box.expects = (-signal.SIGTERM,)
            while os.readlink(f"/proc/{box.pid}/ns/net") == own:
                self.assertLess(time.monotonic(), due)
            self.do(name, "ip", "link", "set", "lo", "up")
            os.mkdir(self.path(name))
        for one, other in (("mainpc", "pc2"), ("mainpc", "witness"), ("pc2", "witness")):
            self.lay_cable(one, other)

    def lay_cable(self, one, other):
        cable = f"{one[0]}-{other[0]}"
        self.do(one, "ip", "link", "add", cable, "type", "veth", "peer", "name", cable, "netns", str(self.boxes[other].pid))
        for here, there in ((one, other), (other, one)):
            self.do(here, "ip", "address", "add", f"{BOXES[here]}/32", "dev", cable)
            self.do(here, "ip", "link", "set", cable, "up")
        for here, there in ((one, other), (other, one)):
            self.do(here, "ip", "route", "add", f"{BOXES[there]}/32", "dev", cable)

    def path(self, box, *names):
        return os.path.join(self.folder, "box-" + box, *names)

    def inside(self, box, *command, ready=False):
        folder = self.path(box)
        return self.start("/usr/bin/nsenter", f"--net=/proc/{self.boxes[box].pid}/ns/net", *command, ready=ready,
                          environment={"PONS_CONFIG": self.path(box, "pons.yaml"), "PONS_RUNTIME_DIR": folder, "PONS_STATE_DIR": folder,
                                       "PONS_KEYS_DIR": self.path(box, "keys"), **harness.PATIENT_HEARTBEATS})

    def do(self, box, *command, expect=0):
        done = self.inside(box, *command)
        done.expects = (expect,)
        self.assertEqual(done.wait(), expect, done.log())
        return done.log()

    def pons(self, box, *words, expect=0):
        return self.do(box, harness.program("pons"), *words, expect=expect)

    def carry_keys(self, one, other):
        os.makedirs(self.path(other, "keys"), exist_ok=True)
        shutil.copy(self.path(one, "keys", "keys.yaml"), self.path(other, "keys", "keys.yaml"))

    def test_what_the_page_says(self):
        for box in BOXES:
            shutil.copy(os.path.join(EXAMPLES, f"{box}.yaml"), self.path(box, "pons.yaml"))
        self.pons("mainpc", "keys", "init")
        self.assertIn("has no key broker.pc2", self.pons("mainpc", "config", "check", expect=2))
        self.carry_keys("mainpc", "pc2")
        self.pons("pc2", "keys", "init")
        self.carry_keys("pc2", "witness")
        self.pons("witness", "keys", "add", "witness", "--role", "witness")
        for box in ("mainpc", "pc2"):
            self.carry_keys("witness", box)
            self.assertIn("is good", self.pons(box, "config", "check"))
        self.inside("witness", harness.program("pons-broker"), "--witness", ready=True)
        for box in ("mainpc", "pc2"):
            self.pons(box, "up", "-d")
            self.addCleanup(self.pons, box, "down")
        due = time.monotonic() + harness.DEADLINE_S
        for box in ("mainpc", "pc2"):
            while not re.search(r"broker mainpc is \w+, linked.*\n\w+ leads in epoch \d+; broker pc2 is \w+, linked", status := self.pons(box, "status")):
                self.assertLess(time.monotonic(), due, status)
            self.assertNotIn("witness NOT heard", status)
        self.assertIn("pc2 leads", self.pons("pc2", "lead"))
        self.assertIn("hello", self.pons("pc2", "call", "echo.say", '{"text": "hello"}'))


if __name__ == "__main__":
    harness.main()
