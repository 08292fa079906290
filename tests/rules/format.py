#!/usr/bin/python3
"""clang-format over all C files of the tree: format.py [--repair|--self-test]."""

import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from tree import Tree  # noqa: E402  (found by the line above)

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def repair(root, paths):
    return subprocess.run(["clang-format", "-i", *paths], cwd=root, check=False).returncode


def check(root, paths):
    run = subprocess.run(["clang-format", "--dry-run", "-Werror", "--ferror-limit=3", *paths],
                         cwd=root, capture_output=True, text=True, check=False)
    print(run.stderr, end="")
    if run.returncode:
        print("to repair: cmake --build --preset dev --target format")
    return run.returncode


def self_test():
    with tempfile.TemporaryDirectory(prefix="pons-format-") as folder:
        with open(os.path.join(folder, "bad.c"), "w", encoding="utf-8") as file:
            file.write("int f( void ){return 1;}\n")
        with open(os.path.join(ROOT, ".clang-format"), encoding="utf-8") as ours:
            with open(os.path.join(folder, ".clang-format"), "w", encoding="utf-8") as file:
                file.write(ours.read())
        return 0 if check(folder, ["bad.c"]) else 1


def main(arguments):
    if "--self-test" in arguments:
        return self_test()
    paths = Tree(ROOT).files(".c", ".h")
    return repair(ROOT, paths) if "--repair" in arguments else check(ROOT, paths)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
