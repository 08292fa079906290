"""The shell around the core: its sockets, its clock and its timers in an asyncio loop. It decides nothing."""

from __future__ import annotations

import asyncio
import struct
import time
from collections import deque

import zmq

from .core import Core
from .errors import Status
from .key import Key
from .session import State
from .wire import LIMITS

RECEIVE_MAX = 256  # messages of one socket per turn
SEND_QUEUE = 1024  # messages that may wait in a socket; a pack is one
AGAIN_S = 0.001  # what a full socket did not take is tried again
ANSWERS_BYTES = 2 * LIMITS["CLIENT_BYTES"]  # what an instance answers, besides request bodies that are kept
COPY_BYTES = 65536  # frames above it are not copied
EVENTS = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL | \
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_AUTH
REFUSALS = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "the broker does not admit the key of this process, or has another key itself; see its log and `pons keys list`",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "only one of broker and this process has keys; see keys.dir in pons.yaml"}

LOSSES = {  # which need not be a refusal
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "the broker hung up in the handshake; it does so too when only one of broker and this process has keys"}


def boot_us() -> int:
    """The clock that goes on while the machine is suspended; the loop's stands still."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def _option(socket: zmq.Socket[bytes], option: int) -> int:
    value = socket.getsockopt(option)
    assert isinstance(value, int)
    return value


class _Link:
    """One connection: a socket that is used once, and its monitor."""

    def __init__(self, driver: Driver, index: int, endpoint: str, key: Key | None) -> None:
        self.driver, self.index = driver, index
        self.outbox: deque[list[bytes]] = deque()
        self.outbox_bytes = 0
        self.socket = driver.context.socket(zmq.DEALER)
        for option, value in ((zmq.LINGER, 0), (zmq.SNDHWM, SEND_QUEUE), (zmq.RECONNECT_IVL, -1), (zmq.HANDSHAKE_IVL, 5000),
                              (zmq.MAXMSGSIZE, LIMITS["MESSAGE_BYTES"])):
            self.socket.setsockopt(option, value)
        if key:
            self.socket.curve_serverkey = driver.core.sessions[index].key.encode()
            self.socket.curve_publickey, self.socket.curve_secretkey = key.public, key.secret
        self.monitor = self.socket.get_monitor_socket(EVENTS)
        self.fds = [_option(self.socket, zmq.FD), _option(self.monitor, zmq.FD)]
        for fd in self.fds:
            driver.loop.add_reader(fd, driver.schedule)
        try:
            self.socket.connect(endpoint)
        except BaseException:  # the loop must not watch descriptors that are another's soon
            self.close(0)
            raise

    def close(self, linger_ms: int) -> None:
        for fd in self.fds:
            self.driver.loop.remove_reader(fd)
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.socket.close(linger_ms)

    # --- out ---

    def send(self, frames: list[bytes]) -> None:
        if self.outbox or not self._try(frames):
            self.outbox.append(frames)
            self.outbox_bytes += sum(map(len, frames))

    def _try(self, frames: list[bytes]) -> bool:
        try:
            self.socket.send_multipart(frames, zmq.DONTWAIT, copy=len(frames[-1]) < COPY_BYTES)
        except zmq.Again:
            return False
        return True

    def flush(self) -> None:
        while self.outbox and self._try(self.outbox[0]):
            self.outbox_bytes -= sum(map(len, self.outbox.popleft()))

    # --- in ---

    def receive(self, core: Core) -> bool:
        """Takes a bounded number of messages; whether there may be more."""
        for _ in range(RECEIVE_MAX):
            if self.socket.closed:
                return False
            try:
                frames = self.socket.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return False
            core.received(self.index, frames)
        return True

    def take_events(self, core: Core) -> None:
        while not self.monitor.closed:
            try:
                frames = self.monitor.recv_multipart(zmq.DONTWAIT)
            except zmq.Again:
                return
            event, value = struct.unpack("=Hi", frames[0])
            if event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                core.connected(self.index)
                continue
            while self.receive(core):  # what the broker sent before it went is in our hands
                pass
            if event in REFUSALS:
                core.refused(self.index, REFUSALS[event])
            else:
                core.disconnected(self.index, LOSSES.get(event, "the connection to the broker is gone"))


class Driver:
    """Runs a core in the running loop."""

    def __init__(self, core: Core, key: Key | None = None) -> None:
        self.core, self.key = core, key
        self.loop = asyncio.get_running_loop()
        self.context = zmq.Context.instance()
        self.closed = False
        self._links: dict[int, _Link] = {}
        self._scheduled = False
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        self._set_time()

    def now(self) -> int:
        return int(self.loop.time() * 1e6)

    def _set_time(self) -> None:
        boot = boot_us()
        self.core.begin(self.now(), boot)

    def start(self) -> None:
        self.begin()
        self.core.start()

    def begin(self) -> None:
        """Before the core is given something to do, outside of a turn."""
        self._set_time()
        self.schedule()

    def schedule(self) -> None:
        """A turn soon: all that is asked until then leaves together."""
        if not self._scheduled and not self.closed:
            self._scheduled = True
            self.loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._scheduled = False
        if self.closed:
            return
        core, more = self.core, False
        self._set_time()
        for link in list(self._links.values()):
            more |= link.receive(core)
            link.take_events(core)
        core.wake(self.now())
        self._apply()
        for link in list(self._links.values()):
            link.flush()
            if link.outbox_bytes > core.kept_max_bytes + ANSWERS_BYTES:
                core.sessions[link.index].lose(Status.UNAVAILABLE, "the broker does not read")
                more = True
        # A socket says only once that there is something to read, so it is asked after each use.
        if more or any((_option(link.socket, zmq.EVENTS) | _option(link.monitor, zmq.EVENTS)) & zmq.POLLIN for link in self._links.values()):
            self.schedule()
        self._set_timer()

    def _apply(self) -> None:
        """Does what the core wants. Actions of sockets that can't be made are the loss of their session."""
        while actions := self.core.flush():
            for action in actions:
                kind, index = action[0], action[1]
                if kind == "send":
                    if index in self._links:
                        self._links[index].send(action[2])
                elif kind == "close":
                    if link := self._links.pop(index, None):
                        link.flush()
                        link.close(action[2])
                else:
                    self._connect(index, action[2])

    def _connect(self, index: int, endpoint: str) -> None:
        try:
            self._links[index] = _Link(self, index, endpoint, self.key)
        except (zmq.ZMQError, OSError) as error:
            if self.core.sessions[index].state == State.CONNECTING:
                self.core.disconnected(index, f"{endpoint}: {error}")

    def _set_timer(self) -> None:
        at = self.core.next_wake()
        if any(link.outbox for link in self._links.values()):
            soon = self.now() + int(AGAIN_S * 1e6)
            at = soon if at is None else min(at, soon)
        if self._timer:
            if at == self._timer_at:
                return
            self._timer.cancel()
        self._timer = self.loop.call_at(at / 1e6, self._on_timer) if at is not None else None
        self._timer_at = at or 0

    def _on_timer(self) -> None:
        self._timer = None
        self.schedule()

    def close(self) -> None:
        """Ends every request, says BYE and drops the sockets; what was said leaves within 100 ms in the background."""
        if self.closed:
            return
        self._set_time()
        self.core.close()
        self._apply()
        self.closed = True
        if self._timer:
            self._timer.cancel()
        for link in self._links.values():
            link.close(0)
        self._links.clear()
