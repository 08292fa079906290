"""What the kernel says of a process: CPU, switches, memory. And of the machine: who else was busy."""
import glob
import os
import platform
import resource
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_s(pid):
    """Seconds on a CPU of all threads of the process, from /proc/PID/task/*/schedstat (nanoseconds)."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        try:
            with open(path) as file:
                total += int(file.read().split()[0])
        except (OSError, IndexError):
            pass
    return total / 1e9


def switches(pid):
    """Context switches of all threads of the process, voluntary and not."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/status"):
        try:
            with open(path) as file:
                total += sum(int(line.split()[1]) for line in file if "ctxt_switches" in line)
        except OSError:
            pass
    return total


def memory_kib(pid):
    """(RSS, PSS) of the process."""
    sizes = {}
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            fields = line.split()
            if fields[0] in ("Rss:", "Pss:"):
                sizes[fields[0]] = int(fields[1])
    return sizes["Rss:"], sizes["Pss:"]


def family(pid):
    """The process and those that it has started, down to the last."""
    found = [pid]
    for path in glob.glob(f"/proc/{pid}/task/*/children"):
        try:
            with open(path) as file:
                for child in file.read().split():
                    found += family(int(child))
        except OSError:
            pass
    return found


class Foreign:
    """Cores that were busy and not with us, between two calls."""

    def __init__(self):
        self.mark()

    @staticmethod
    def busy_s():
        with open("/proc/stat") as file:
            fields = [int(x) for x in file.readline().split()[1:9]]
        return (sum(fields) - fields[3] - fields[4]) / TICKS

    @staticmethod
    def ours_s():
        own, ended = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
        return own.ru_utime + own.ru_stime + ended.ru_utime + ended.ru_stime

    def mark(self):
        self.at, self.busy, self.ours = time.monotonic(), self.busy_s(), self.ours_s()

    def cores(self):
        """To be called when all that was started has ended: only then are its seconds among ours."""
        wall, busy, ours = time.monotonic() - self.at, self.busy_s() - self.busy, self.ours_s() - self.ours
        self.mark()
        return max(0.0, (busy - ours) / wall)


def processor():
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.machine()


def package(name):
    try:
        return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", name], capture_output=True, text=True,
                              check=False).stdout.strip()
    except OSError:
        return ""


def machine():
    """The lines that belong above every table."""
    with open("/proc/meminfo") as file:
        gib = int(file.readline().split()[1]) / (1 << 20)
    names = ["libzmq5", "nats-server", "libnats3.4", "redis-server", "libhiredis0.14", "python3-zmq", "libcurl4",
             "libmicrohttpd12", "nginx-light", "haproxy", "nodejs"]
    versions = [f"{name} {version}" for name in names if (version := package(name))]
    return [f"{os.cpu_count()} CPU {processor()}, {gib:.0f} GiB, Linux {platform.release()}", ", ".join(versions)]
