"""Frames of the protocol for what the tests play themselves: those of the package in adapters/python, which is written from
docs/protocol.md and held against it, against the vectors and against the codec in C by the tests beside this file."""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "adapters", "python"))

from pons.errors import Status  # noqa: E402,F401
from pons.wire import *  # noqa: E402,F401,F403
