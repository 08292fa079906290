#!/usr/bin/python3
"""deploy/quickstart stays in the foreground until Ctrl-C, SIGTERM, or until somebody else stops the fleet."""

import os
import signal
import socket
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PONS = os.path.join(ROOT, "build", "release", "bin", "pons")


def stop_by_signal(number):
    return lambda process, env: os.killpg(process.pid, number)


def stop_by_down(_process, env):
    subprocess.run([PONS, "down"], env=env, check=True, stdout=subprocess.DEVNULL, timeout=20)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(stop):
    """Starts it, stops it when it says that it is up, and returns its status and what it said."""
    with tempfile.TemporaryDirectory() as folder:
        env = dict(os.environ, DEPLOY_SKIP_PACKAGES="1", PONS_RUNTIME_DIR=folder, PONS_STATE_DIR=folder,
                   PONS_BROKER_LISTEN="ipc://broker.sock", PONS_GATEWAY_LISTEN=f"tcp://127.0.0.1:{free_port()}")
        env.pop("PONS_CONFIG", None)
        process = subprocess.Popen([os.path.join(ROOT, "deploy", "quickstart")], env=env, text=True, start_new_session=True,
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                   preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))
        said = []
        for line in process.stdout:
            said.append(line)
            if "Ctrl-C stops it" in line:
                stop(process, env)
        status = process.wait(timeout=30)
        after = subprocess.run([PONS, "status"], env=env, capture_output=True, text=True, check=False, timeout=20)
        return status, "".join(said), "no fleet runs" in after.stdout + after.stderr


def main():
    failed = 0
    for name, stop, wanted in (("Ctrl-C", stop_by_signal(signal.SIGINT), 130), ("SIGTERM", stop_by_signal(signal.SIGTERM), 130),
                               ("pons down", stop_by_down, 0)):
        status, said, is_gone = run(stop)
        if status != wanted or not is_gone:
            failed += 1
            print(f"{name}: status {status}, wanted {wanted}; fleet {'gone' if is_gone else 'still there'}; it said:\n{said}")
    print(f"quickstart in the foreground: 3 ways to end it, {failed} wrong")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
