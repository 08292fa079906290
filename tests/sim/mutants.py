#!/usr/bin/python3
"""Mutants: each breaks one rule, and a simulator or a unit test has to find it. A mutant is the source with a few words replaced in the build
folder; the source itself knows nothing of it.

mutants.py --list                    the names, with the program that is to find them, and the files that each changes (for CMake)
mutants.py --write NAME FILE OUT     FILE of mutant NAME, as OUT
mutants.py --run FOLDER SEEDS [NAME] runs the mutants in FOLDER; 1 if one is not found
mutants.py --update FOLDER SEEDS     the same, and writes the table of README.md
mutants.py --check FOLDER SEEDS      the same, beginning with the seed that README.md has; and that README.md and docs/proof.md have the mutants

A mutant of a simulator is found from outside when the messages alone give it away (`--blind`), else by core_check."""

import os
import re
import subprocess
import sys

from mutants_one import ONE
from mutants_two import TWO
from mutants_unit import UNIT

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
README, PROOF, MODELS = (os.path.join(ROOT, path) for path in ("tests/sim/README.md", "docs/proof.md", "tests/model/README.md"))
MUTANTS = {**ONE, **TWO, **UNIT}
ROW = re.compile(r"^\| `([\w-]+)` \| (.*?) \| (.*?) \| (.*?) \| .*\|\n", re.M)


def finder(name):
    return UNIT[name][1] if name in UNIT else "pons-sim" if name in ONE else "pons-sim-two"


def found_by(name):
    return f"`{finder(name)}`" if name in UNIT else MUTANTS[name][1]


def path_of(file):
    return file if "/" in file else "bus/core/" + file


def mutated(name, path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as source:
        text = source.read()
    for file, old, new in MUTANTS[name][2]:
        if path_of(file) != path:
            continue
        if old not in text:
            sys.exit(f"mutant {name}: {path} does not have these words any more; write the mutant anew:\n{old}")
        text = text.replace(old, new)
    return text


def files(name):
    return sorted({path_of(file) for file, _, _ in MUTANTS[name][2]})


def search(program, *options):
    """Which seed finds it, and the sentence that says what was seen; (None, text) when none does."""
    run = subprocess.run([program, *options], capture_output=True, text=True, timeout=600, check=False)
    replay = re.search(r"--first (\d+)", run.stderr)
    lines = [line for line in run.stderr.splitlines() if line and not line.startswith(("replay", "="))]
    return (replay.group(1), lines[0]) if run.returncode and replay else (None, (lines or [""])[-1])


def search_seeds(name, program, seeds, hint):
    options = ["--blind"] if MUTANTS[name][1] == "outside" else []
    seed, seen = search(program, *options, "--first", hint, "--seeds", "1") if hint else (None, "")
    return (seed, seen) if seed else search(program, *options, "--seeds", str(seeds))


def search_tests(program):
    run = subprocess.run([program], capture_output=True, text=True, timeout=600, check=False)
    failed = re.findall(r"^\[  FAILED  \] (?:.*: )?([a-z]\w+)$", run.stdout + run.stderr, re.M)
    return ("-", f"`{failed[0]}`" if failed else "it breaks off") if run.returncode else (None, "")


def sentence(text):
    """What was seen, without the numbers of one seed."""
    text = re.sub(r"^sim: seed \d+, step \d+: |^core_check: |^.*Assertion `|' failed\.$", "", text)
    return re.sub(r"\d+", "N", text) if not text.startswith("`") else text


def rows_of_readme():
    with open(README, encoding="utf-8") as file:
        return {match.group(1): match for match in ROW.finditer(file.read())}


def run(folder, seeds, names, hints):
    """The rows of the table, and the names of the mutants that nothing has found."""
    rows, missed = {}, []
    for name in names:
        program = os.path.join(folder, f"{finder(name)}-{name}")
        hint = hints[name].group(4) if name in hints and hints[name].group(4).isdigit() else None
        seed, seen = search_tests(program) if name in UNIT else search_seeds(name, program, seeds, hint)
        if seed is None:
            missed.append(name)
        rows[name] = f"| `{name}` | {MUTANTS[name][0]} | {found_by(name)} | {seed} | {sentence(seen)} |\n"
        print(f"{name:26} {seed or 'NOT FOUND':>9} {sentence(seen)}", flush=True)
    print(f"{len(rows)} mutants, {len(missed)} not found: {' '.join(missed)}")
    return rows, missed


def update(rows):
    with open(README, encoding="utf-8") as file:
        text = file.read()
    places = list(ROW.finditer(text))
    text = text[:places[0].start()] + "".join(rows.values()) + text[places[-1].end():]
    with open(README, "w", encoding="utf-8") as file:
        file.write(text)


def named_in(path, pattern):
    with open(path, encoding="utf-8") as file:
        return set(re.findall(pattern, file.read(), re.M))


def check_documents():
    """README.md has the mutants with what each breaks and who finds it, and docs/proof.md has each, and those of the models."""
    wanted = {(name, MUTANTS[name][0], found_by(name)) for name in MUTANTS}
    found = {(name, row.group(2), row.group(3)) for name, row in rows_of_readme().items()}
    models = named_in(MODELS, r"^\| `([\w-]+)` \| `\w+\.pml` \| `[^`]*` \| `(?!none`)")
    proof = named_in(PROOF, r"`([a-z0-9]+(?:-[a-z0-9]+)*)`")
    wrong = [f"README.md and the table of mutants differ: {row}" for row in sorted(wanted ^ found)]
    wrong += [f"docs/proof.md lacks the mutant {name}" for name in sorted((set(MUTANTS) | models) - proof)]
    print("\n".join(wrong))
    return not wrong


def main(arguments):
    what = arguments.pop(0) if arguments else ""
    if what == "--list":
        print(";".join(f"{name}:{finder(name)}:{','.join(files(name))}" for name in MUTANTS))
    elif what == "--write":
        name, path, out = arguments
        with open(out, "w", encoding="utf-8") as to:
            to.write(mutated(name, path))
    elif what in ("--run", "--update", "--check"):
        names = arguments[2:] or list(MUTANTS)
        rows, missed = run(arguments[0], int(arguments[1]), names, rows_of_readme() if what == "--check" else {})
        if what == "--update" and not missed:
            update(rows)
        return 1 if missed or (what == "--check" and not check_documents()) else 0
    else:
        print(__doc__)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
