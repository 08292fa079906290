"""The session with one broker, pure: connect, HELLO, WELCOME, life signs, the end, and again (docs/protocol.md, section 6).

What waits in a socket would go ahead of the next HELLO, so every loss closes the socket and every session has a new one. The
core is told of what happens here; what is to be done with sockets it hands on as actions."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

import msgpack

from . import wire
from .errors import Status
from .timers import Timer
from .wire import LIMITS, Flag, Kind, Message

if TYPE_CHECKING:
    from .core import Core

TRY_ENDPOINT_US = 500_000  # then the next of several
CONNECT_US = 5_000_000  # the only one, before it is tried anew
GREETING_US = 2_000_000  # HELLO without an answer
BACKOFF_FIRST_US, BACKOFF_LAST_US = 10_000, 1_000_000  # doubled by each failure in a row
REFUSED_US = 5_000_000  # after the broker's no
LEAVE_US = 250_000  # BYE until the broker hangs up
LATE_US = 50_000  # a timer this late means that we were late, not the broker
LINGER_MS = 100


class State(enum.Enum):
    DOWN, CONNECTING, GREETING, OPEN, LEAVING = range(5)


class Session:
    """Broker number `index` of a core; endpoints are tried in turn; key is the broker's public one, or empty."""

    def __init__(self, core: Core, index: int, endpoints: list[str], key: str = "") -> None:
        self.core, self.index, self.endpoints, self.key = core, index, endpoints, key
        self.endpoint = 0
        self.state = State.DOWN
        self.id = 0
        self.welcome: dict[str, Any] = {}
        self.going_away = self.cold = self.refused = False
        self.refusal_told = False  # since the last WELCOME
        self.outstanding = 0  # requests whose answer is expected from here
        self.failures = 0
        self.heard = self.pinged = self.beat_at = 0
        self.life = Timer(self._on_life)
        self.out = wire.Outgoing()

    @property
    def is_open(self) -> bool:
        return self.state == State.OPEN

    @property
    def can_be_asked(self) -> bool:
        return self.is_open and not self.going_away

    @property
    def finds_out(self) -> bool:
        """Whether this broker knows, or finds out, what became of an earlier attempt."""
        return bool(self.welcome.get("features", 0) & wire.BROKER_PROBES)

    def send(self, kind: Kind, body: bytes = b"", **fields: Any) -> bool:
        """Sends with the others of this turn; False when there is no session."""
        if self.state not in (State.GREETING, State.OPEN):
            return False
        self.out.add(wire.encode(kind, **fields), body)
        return True

    # --- connecting ---

    def start(self) -> None:
        self.state = State.CONNECTING
        self.core.actions.append(("connect", self.index, self.endpoints[self.endpoint]))
        self.core.timers.set(self.life, self.core.now + (TRY_ENDPOINT_US if len(self.endpoints) > 1 else CONNECT_US))

    def connected(self) -> None:
        """The transport is there."""
        if self.state != State.CONNECTING:
            return
        self.state = State.GREETING
        self.core.timers.set(self.life, self.core.now + GREETING_US)
        self.send(Kind.HELLO, msgpack.packb(self.core.hello()))

    def disconnected(self, why: str) -> None:
        """The transport is gone, or could not be made."""
        if self.state == State.CONNECTING:
            self.endpoint = (self.endpoint + 1) % len(self.endpoints)
        self.lose(Status.UNAVAILABLE, why)

    def _clear(self, linger_ms: int = 0) -> None:
        if self.state != State.DOWN:
            self.core.actions.append(("close", self.index, linger_ms))
        self.state = State.DOWN
        self.out.clear()
        self.core.timers.stop(self.life)
        self.pinged = 0
        self.going_away = False

    def lose(self, status: Status, why: str) -> None:
        """The session is over, and another is tried for."""
        if self.state == State.DOWN:
            return
        was_open, leaving = self.is_open, self.state == State.LEAVING
        self._clear()
        if leaving:
            self.core.on_left(self)
            return
        largest = REFUSED_US if self.refused else min(BACKOFF_FIRST_US << min(self.failures, 7), BACKOFF_LAST_US)
        self.failures += 1
        self.core.timers.set(self.life, self.core.now + largest // 2 + self.core.random.randrange(largest // 2 + 1))
        if was_open:
            self.core.on_lost(self, why)
        if self.refused and self.core.home and not self.refusal_told:
            self.refusal_told = True
            self.core.tell_refusal(status, f"a session beside the one with the other broker: {why}")
        self.core.tell(status, why)
        self.refused = False

    def leave(self) -> None:
        """Says BYE, and comes no more."""
        if not self.is_open:
            self._clear()
            return
        self.send(Kind.BYE, flags=Flag.CLEAN)
        self.state = State.LEAVING
        self.core.timers.set(self.life, self.core.now + LEAVE_US)

    def close(self, clean: bool) -> None:
        """The end, without waiting."""
        if self.is_open:
            self.send(Kind.BYE, flags=Flag.CLEAN if clean else 0)
            self.core.actions.extend(("send", self.index, frames) for frames in self.out.take())
        self._clear(LINGER_MS)

    # --- life signs ---

    def _ping(self) -> None:
        self.beat_at = self.core.now
        self.send(Kind.PING, number=max(1, self.core.now))

    def _ping_and_wait(self) -> None:
        self.pinged = self.core.now
        self._ping()
        self.core.timers.set(self.life, self.core.now + self.welcome["ping_timeout_us"])

    def watch(self) -> None:
        """Something was asked: a life sign is looked for from now on."""
        due = self.core.now + self.welcome["ping_interval_us"]
        if self.is_open and (self.life.at is None or self.life.at > due):
            self.core.timers.set(self.life, due)

    def _check_life(self, late: bool) -> None:
        """Decides by what was heard; a late turn of our own proves nothing about the broker, which is asked anew."""
        now, timers = self.core.now, self.core.timers
        interval, timeout, idle = (self.welcome[name] for name in ("ping_interval_us", "ping_timeout_us", "idle_interval_us"))
        quiet = now - self.heard
        if self.pinged and late:
            self._ping_and_wait()
        elif self.pinged and now >= self.pinged + timeout:
            self.lose(Status.UNAVAILABLE, "the broker does not answer PING")
        elif self.pinged:
            timers.set(self.life, self.pinged + timeout)
        elif self.outstanding and quiet >= interval:
            self._ping_and_wait()
        elif self.outstanding:
            timers.set(self.life, self.heard + interval)
        elif quiet >= 3 * idle + 1_000_000 and not late:
            self.lose(Status.UNAVAILABLE, "the broker was silent for three idle intervals")
        else:
            if now >= self.beat_at + idle:
                self._ping()
            timers.set(self.life, self.beat_at + idle)

    def _on_life(self, now: int) -> None:
        late = self.core.turn_late_us > LATE_US
        if self.state == State.OPEN:
            self._check_life(late)
        elif self.state == State.GREETING:
            self.lose(Status.UNAVAILABLE, "the broker does not answer HELLO")
        elif self.state == State.LEAVING:
            self._clear()
            self.core.on_left(self)
        else:
            if self.state == State.CONNECTING:
                self._clear()
                self.endpoint = (self.endpoint + 1) % len(self.endpoints)
            self.start()

    # --- what comes ---

    def received(self, frames: list[bytes]) -> None:
        """One ZeroMQ message."""
        if self.state in (State.DOWN, State.CONNECTING):
            return
        self.heard, self.pinged = self.core.now, 0
        messages, dropped = wire.read(frames)
        self.core.stats.dropped += dropped
        for message in messages:
            if self.state == State.DOWN:
                return
            if not self._dispatch(message):
                self.core.stats.dropped += 1

    def _dispatch(self, message: Message) -> bool:
        """True when it was of use."""
        kind = message.kind
        if message.fault:
            self.core.on_fault(self, message, message.fault)
            return False
        if kind == Kind.WELCOME:
            return self._on_welcome(message)
        if kind == Kind.ERROR and not message.id:
            return self._on_error(message)
        if kind == Kind.PING:
            self._pong(message)
        elif kind == Kind.GOAWAY:
            if self.is_open and not self.going_away:
                self.going_away = True
                self.core.on_goaway(self)
                self.core.tell(Status.OK, "the broker is going to stop")
        elif kind == Kind.WARM:
            self.cold = False
            self.core.on_warm(self)
        elif kind == Kind.BYE:
            self.lose(Status.UNAVAILABLE, "the broker said BYE")
        elif kind != Kind.PONG:
            return self.core.on_message(self, message)
        return True

    def _on_welcome(self, message: Message) -> bool:
        if self.state != State.GREETING:
            return False
        try:
            welcome = msgpack.unpackb(message.body)
            self.welcome = {name: int(welcome[name]) for name in
                            ("session", "incarnation", "ping_interval_us", "ping_timeout_us", "idle_interval_us", "outstanding_max")}
            self.welcome |= {"features": int(welcome.get("features", 0)), "broker": str(welcome["broker"]),
                             "kept_max_bytes": int(welcome.get("kept_max_bytes", LIMITS["CLIENT_BYTES"])),
                             "mismatches": list(welcome.get("mismatches", ()))}
            self.cold = bool(welcome.get("warming", False))
        except Exception:  # whatever else a body can be
            self.lose(Status.MALFORMED, "the broker's WELCOME can't be read")
            return False
        self.state, self.id = State.OPEN, message.number("session")
        self.failures, self.beat_at, self.refusal_told = 0, self.core.now, False
        self.core.stats.sessions += 1
        self.core.timers.set(self.life, self.core.now + self.welcome["ping_interval_us"])
        self.core.on_open(self)
        self.core.tell(Status.OK, "the session is open")
        return True

    def _on_error(self, message: Message) -> bool:
        """About the session, and not about a request."""
        status = Status.of(message.number("status"))
        text = f"{status.name}: {error_body(message.body, status)['message']}"
        if self.state == State.GREETING:
            self.refused = status != Status.NO_HELLO
            self.lose(status, text)
        elif status in (Status.NO_HELLO, Status.STALE):
            self.lose(status, text)
        else:
            if status != Status.UNSUPPORTED:  # which a broker of an earlier version says
                self.core.tell_refusal(status, f"an event or a subscription: {text}")
            return False
        return True

    def _pong(self, ping: Message) -> None:
        """A PING about a request asks whether its client has moved with it."""
        stale = bool(ping.id) and not self.core.waits_here(self, ping)
        self.send(Kind.PONG, number=ping.number("number"), id=ping.id, attempt=ping.number("attempt"),
                  status=Status.STALE if stale else 0)


def error_body(body: bytes, status: Status) -> dict[str, Any]:
    """The body of an ERROR; what can't be read is the status's own meaning."""
    try:
        fields = msgpack.unpackb(body) if body else {}
        told = {"message": str(fields.get("message", "")) or status.about, "path": str(fields.get("path", "")),
                "origin": str(fields.get("origin", "")), "code": str(fields.get("code", "")),
                "http_status": int(fields.get("http_status", 0)), "retry_after_us": int(fields.get("retry_after_us", 0))}
    except Exception:  # whatever else a body can be
        told = {"message": status.about, "path": "", "origin": "", "code": "", "http_status": 0, "retry_after_us": 0}
    return told
