"""sd_notify(3): tells a supervisor that this process is ready, stopping, alive."""

from __future__ import annotations

import os
import socket


def notify(line: str) -> None:
    """Does nothing where nobody listens."""
    path = os.environ.get("NOTIFY_SOCKET")
    if not path:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as one:
            one.sendto(line.encode(), "\0" + path[1:] if path.startswith("@") else path)
    except OSError:
        pass  # the supervisor has gone; it is no matter of ours


def watchdog_s() -> float | None:
    """How often to say that we are alive: twice as often as is asked for."""
    wanted, pid = os.environ.get("WATCHDOG_USEC", ""), os.environ.get("WATCHDOG_PID", "")
    if not wanted.isdigit() or pid not in ("", str(os.getpid())):
        return None
    return int(wanted) / 2e6
