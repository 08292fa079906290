#!/usr/bin/python3
"""clang-tidy over the rooms' .c files: tidy.py BUILD_FOLDER [--analyze|--self-test].

Reads BUILD_FOLDER/compile_commands.json. --analyze: clang's analyzer instead of the checks of .clang-tidy. A file that was
found clean is not looked at again until what the preprocessor makes of it changes."""

import concurrent.futures
import hashlib
import json
import os
import shlex
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROOMS = ("bus/", "agents/", "adapters/")
ANALYZER = ",".join([  # left out: leaks (it does not know the cleanup attribute; LeakSanitizer finds them), null pointers,
    # shifts and divisions (it does not know what stands in our lists and tables; UBSan does), vfork (used on purpose)
    "-*", "clang-analyzer-core.uninitialized.*", "clang-analyzer-core.StackAddressEscape", "clang-analyzer-core.CallAndMessage",
    "clang-analyzer-core.VLASize", "clang-analyzer-core.NonNullParamChecker", "clang-analyzer-deadcode.*",
    "clang-analyzer-unix.API", "clang-analyzer-unix.MismatchedDeallocator", "clang-analyzer-unix.cstring.*",
    "clang-analyzer-security.FloatLoopCounter", "clang-analyzer-security.insecureAPI.UncheckedReturn",
    "clang-analyzer-security.insecureAPI.gets", "clang-analyzer-security.insecureAPI.mktemp",
    "clang-analyzer-security.insecureAPI.strcpy"])
ANALYZE = ["--checks=" + ANALYZER]
BAD = [  # what .clang-tidy must refuse: text, name of the check
    ("typedef int lower;\n", "invalid case style for typedef 'lower'"),
    ("enum Colour { red };\n", "invalid case style for enum constant 'red'"),
    ("int camelCase(void);\n", "invalid case style for function 'camelCase'"),
    ("static int f(int BadName) {\n  return BadName;\n}\nint g(void) {\n  return f(1);\n}\n", "parameter 'BadName'"),
    ("#define lower_macro 1\n", "invalid case style for macro definition 'lower_macro'"),
    ("void g(void);\nvoid f(int x);\nvoid f(int x) {\n  if (x);\n    g();\n}\n", "bugprone-suspicious-semicolon"),
]
BAD_ANALYZED = [
    ("int f(int a);\nint f(int a) {\n  int x;\n  if (a)\n    x = 1;\n  return x;\n}\n", "garbage value"),
    ("int *f(void);\nstatic int *keep;\nint *f(void) {\n  int x = 1;\n  keep = &x;\n  return 0;\n}\n", "still referred to"),
]


def digest(entry, settings):
    """What clang-tidy would see of one file: its text after the preprocessor, with comments, and our settings."""
    command = shlex.split(entry["command"])
    command = command[:command.index("-o")] + ["-E", "-C", entry["file"]]
    run = subprocess.run(command, cwd=entry["directory"], capture_output=True, check=False)
    return hashlib.sha256(settings + run.stdout + run.stderr).hexdigest()


def tidy(build, entry, settings, options):
    """Findings in one file, as lines."""
    mark = os.path.join(build, "tidy", digest(entry, settings))
    if os.path.exists(mark):
        return []
    run = subprocess.run(["clang-tidy", "--quiet", *options, "-p", build, entry["file"]], capture_output=True, text=True, check=False)
    if run.returncode == 0:
        os.makedirs(os.path.dirname(mark), exist_ok=True)
        with open(mark, "w", encoding="utf-8"):
            return []
    return [line for line in (run.stdout or run.stderr).split("\n") if line]


def check_rooms(build, options):
    with open(os.path.join(build, "compile_commands.json"), encoding="utf-8") as file:
        entries = {entry["file"]: entry for entry in json.load(file)}
    with open(os.path.join(ROOT, ".clang-tidy"), "rb") as file:
        settings = file.read() + " ".join(options).encode()
    paths = sorted(path for path in entries if os.path.relpath(path, ROOT).startswith(ROOMS))
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for lines in pool.map(lambda path: tidy(build, entries[path], settings, options), paths):
            if lines:
                failed += 1
                print(*lines, sep="\n")
    print(f"clang-tidy: {len(paths)} files, {failed} with findings")
    return 1 if failed or not paths else 0


def self_test():
    mistakes = 0
    cases = [(*case, []) for case in BAD] + [(*case, ANALYZE) for case in BAD_ANALYZED]
    with tempfile.TemporaryDirectory(prefix="pons-tidy-") as folder:
        for number, (text, words, options) in enumerate(cases):
            path = os.path.join(folder, f"bad_{number}.c")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            run = subprocess.run(["clang-tidy", "--quiet", f"--config-file={ROOT}/.clang-tidy", *options, path, "--", "-std=gnu17"],
                                 capture_output=True, text=True, check=False)
            if run.returncode == 0 or words not in run.stdout:
                mistakes += 1
                print(f"not refused as '{words}':\n{text}{run.stdout}")
    print(f"clang-tidy: {len(cases)} bad texts, {mistakes} mistakes")
    return 1 if mistakes else 0


if __name__ == "__main__":
    sys.exit(self_test() if "--self-test" in sys.argv else check_rooms(sys.argv[1], ANALYZE if "--analyze" in sys.argv else []))
