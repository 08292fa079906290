#!/usr/bin/python3
"""Runs one model through spin: run.py NAME. The table of runs is in README.md of this folder: | name | model | switches |
expected |, where expected is `none`, or the words of the assertion that the mutant breaks."""

import os
import re
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
MEMORY_MB, DEPTH = 2000, 1000000


def runs():
    with open(os.path.join(HERE, "README.md"), encoding="utf-8") as file:
        rows = re.findall(r"^\| `([\w-]+)` \| `(\w+\.pml)` \| `([^`]*)` \| `([^`]*)` \|", file.read(), re.M)
    return {name: (model, switches.split(), expected) for name, model, switches, expected in rows}


def check(model, switches, folder, is_large):
    """What pan says of a model: its output, or an AssertionError with what spin or the compiler said. For most models the compiler's
    time is longer than the search."""
    how = "-O2" if is_large else "-O0"
    spin = subprocess.run(["spin", "-a", *switches, os.path.join(HERE, model)], cwd=folder, capture_output=True, text=True, check=False)
    assert spin.returncode == 0 and "rror" not in spin.stdout, spin.stdout + spin.stderr
    subprocess.run(["gcc", how, "-w", "-DSAFETY", "-DCOLLAPSE", "-DVECTORSZ=2048", f"-DMEMLIM={MEMORY_MB}", "-o", "pan", "pan.c"], cwd=folder, check=True)
    return subprocess.run(["./pan", f"-m{DEPTH}", "-E", "-w22"], cwd=folder, capture_output=True, text=True, check=False).stdout


def main(name):
    model, switches, expected = runs()[name]
    with tempfile.TemporaryDirectory(prefix="pons-model-") as folder:
        said = check(model, switches, folder, name.endswith("-large"))
    found = re.search(r"assertion violated (.*) \(at depth", said)
    whole = "errors: 0" in said and not re.search(r"out of memory|max search depth too small|search was not completed", said)
    print("\n".join(line for line in said.split("\n") if re.search(r"errors:|states, stored|violated|out of|too small", line)))
    if expected == "none":
        return 0 if whole else 1
    return 0 if found and expected in found.group(1) else 1


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in runs():
        sys.exit("usage: run.py " + "|".join(runs()))
    sys.exit(main(sys.argv[1]))
