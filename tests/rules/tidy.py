#!/usr/bin/python3
"""clang-tidy over the rooms' .c files: tidy.py BUILD_FOLDER [--self-test]. Reads BUILD_FOLDER/compile_commands.json."""

import concurrent.futures
import json
import os
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROOMS = ("bus/", "agents/", "adapters/")
BAD = [  # what .clang-tidy must refuse: text, name of the check
    ("typedef int lower;\n", "invalid case style for typedef 'lower'"),
    ("enum Colour { red };\n", "invalid case style for enum constant 'red'"),
    ("int camelCase(void);\n", "invalid case style for function 'camelCase'"),
    ("static int f(int BadName) {\n  return BadName;\n}\nint g(void) {\n  return f(1);\n}\n", "parameter 'BadName'"),
    ("#define lower_macro 1\n", "invalid case style for macro definition 'lower_macro'"),
    ("void g(void);\nvoid f(int x);\nvoid f(int x) {\n  if (x);\n    g();\n}\n", "bugprone-suspicious-semicolon"),
    ("int f(int *p);\nint f(int *p) {\n  if (!p)\n    return *p;\n  return 0;\n}\n", "null pointer"),
]


def tidy(build, path):
    run = subprocess.run(["clang-tidy", "--quiet", "-p", build, path], capture_output=True, text=True, check=False)
    lines = [line for line in run.stdout.split("\n") if line]
    return run.returncode, lines


def check_rooms(build):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        paths = sorted({entry["file"] for entry in json.load(file)})
    paths = [path for path in paths if os.path.relpath(path, ROOT).startswith(ROOMS)]
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for path, (status, lines) in zip(paths, pool.map(lambda path: tidy(build, path), paths)):
            if status:
                failed += 1
                print(*lines, sep="\n")
    print(f"clang-tidy: {len(paths)} files, {failed} with findings")
    return 1 if failed or not paths else 0


def self_test():
    mistakes = 0
    with tempfile.TemporaryDirectory(prefix="pons-tidy-") as folder:
        for number, (text, words) in enumerate(BAD):
            path = os.path.join(folder, f"bad_{number}.c")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            run = subprocess.run(["clang-tidy", "--quiet", f"--config-file={ROOT}/.clang-tidy", path, "--", "-std=gnu17"],
                                 capture_output=True, text=True, check=False)
            if run.returncode == 0 or words not in run.stdout:
                mistakes += 1
                print(f"not refused as '{words}':\n{text}{run.stdout}")
    print(f"clang-tidy: {len(BAD)} bad texts, {mistakes} mistakes")
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(self_test() if "--self-test" in sys.argv else check_rooms(sys.argv[1]))
