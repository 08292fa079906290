"""A file has at most 800 lines (over 500 is told), a function at most 60; tables (.def) excepted. The template agent, which
everybody copies, has at most 40."""

from tree import Finding

WHAT = "files and functions stay small"
FILE_LINES, FILE_LINES_TOLD, FUNCTION_LINES = 800, 500, 60
SHORTER = {"agents/echo.c": 40}
ENDINGS = (".c", ".h", ".py", ".sh", ".cmake", "CMakeLists.txt")


def check(tree):
    for path in tree.files(*ENDINGS):
        lines = tree.text(path).count("\n")
        most = SHORTER.get(path, FILE_LINES)
        if lines > most:
            yield Finding(path, lines, f"{lines} lines, at most {most}: find the second concept in it")
        elif lines > FILE_LINES_TOLD:
            print(f"told: {path} has {lines} lines; {FILE_LINES_TOLD} want a reason")
    for path in tree.files(".c", ".h"):
        for function in tree.functions(path):
            if function.lines > FUNCTION_LINES:
                yield Finding(path, function.first,
                              f"{function.name} has {function.lines} lines, at most {FUNCTION_LINES}")


def body(lines):
    return "void f(void) {\n" + "  x();\n" * lines + "}\n"


GOOD = {"bus/base/a.c": body(58) + "int g(void);\nstatic const int t[] = {\n" + "1,\n" * 100 + "};\n", "bus/t.def": "X(1)\n" * 900}
BAD = {
    "file": ({"bus/base/b.c": "int x;\n" * 801}, "801 lines"),
    "template": ({"agents/echo.c": "int x;\n" * 41}, "41 lines, at most 40"),
    "python": ({"tests/b.py": "x = 1\n" * 801}, "801 lines"),
    "function": ({"bus/base/b.c": body(59)}, "f has 61 lines"),
    "split signature": ({"bus/base/b.c": "static int\nlong_one(int a,\n         int b) {\n" + "\n" * 60 + "}\n"}, "long_one has 63 lines"),
}
