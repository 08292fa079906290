"""Where the tests of the Python package find it, and the tree."""

import os
import sys

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(HERE))))
sys.path.insert(0, os.path.join(ROOT, "adapters", "python"))


def path(*parts):
    return os.path.join(ROOT, *parts)


def text(*parts):
    with open(path(*parts), encoding="utf-8") as file:
        return file.read()
