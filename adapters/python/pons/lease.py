"""A lease that this process wants and keeps, pure: asked for until it is given, renewed in time, given up in time.

The holder counts from when it asked, by the clock that goes on while the machine is suspended, and stops at 0.8 of what it was given, so
that it has stopped before anybody else is given the lease (docs/authority.md, "Leases"). What it guards looks at the token all the same: a process that is frozen in the middle of a
write does not know that its time is over."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgpack

from . import wire
from .errors import Status
from .request import Answer, Ask
from .timers import Timer

if TYPE_CHECKING:
    from .core import Core

ACQUIRE_DEADLINE_US = 1_000_000
PAUSE_US, PAUSE_LEAST_US, PAUSE_MOST_US = 50_000, 5_000, 250_000  # before the next question
DURATION_US = 3_600_000_000
Token = tuple[int, int]  # epoch and counter: they rise from holder to holder


class Lease:
    """One question at a time: acquire while it is not held, renew while it is."""

    def __init__(self, core: Core, name: str, on_held: Callable[[], None], on_lost: Callable[[str], None], may_double: bool = False,
                 duration_us: int = DURATION_US) -> None:
        """Begins to ask when the core turns. duration_us: how long at a time; what is given is at most a vote."""
        if not wire.is_name(name):
            raise ValueError(f"a lease is 1 to 64 of A-Z a-z 0-9 _ . -, not {name!r}")
        self._core, self.name, self._on_held, self._on_lost, self._may_double = core, name, on_held, on_lost, may_double
        self._duration_us = duration_us
        self._timer = Timer(lambda now: self._look())
        self._asking = self._renewing = False
        self._wanted = True
        self._sent = self._next = 0
        self._sent_boot = 0
        self._held: tuple[Token, int] | None = None  # until when, by boot; one object, since other threads look at it
        core.timers.set(self._timer, core.now)

    def token(self, boot: int) -> Token | None:
        """Of the holder; None when this process is not it, by the clock. From any thread."""
        held = self._held
        return held[0] if held and boot < held[1] else None

    def want(self, wanted: bool) -> None:
        """Gives it back and asks no more (on_lost is not called), or asks for it again."""
        self._wanted, self._next = wanted, 0
        self._core.timers.set(self._timer, self._core.now)
        if not wanted and self._held:
            (token, _), self._held = self._held, None
            self._give_back(token)

    def _ask(self, method: str, body: dict[str, Any], deadline_us: int, on_end: Callable[[Answer], None]) -> None:
        body = {"name": self.name, **body}
        self._core.ask(Ask("pons.lease", method, msgpack.packb(body), max(1, deadline_us), on_end, attempts=1))

    def _give_back(self, token: Token) -> None:
        self._ask("release", {"epoch": token[0], "counter": token[1]}, ACQUIRE_DEADLINE_US, lambda answer: None)

    def _lose(self, why: str) -> None:
        self._held = None
        self._on_lost(why)

    def _end_in_time(self) -> None:
        if self._held and self._core.boot >= self._held[1]:
            self._lose("its time was over before it could be renewed")

    def _look(self) -> None:
        """Does what is due, and sets the timer for what is next."""
        now, boot = self._core.now, self._core.boot
        self._end_in_time()
        if not self._asking and self._wanted and now >= self._next:
            self._asking, self._renewing = True, self._held is not None
            self._sent, self._sent_boot = now, boot
            if self._held:
                (epoch, counter), until = self._held
                self._ask("renew", {"epoch": epoch, "counter": counter, "duration_us": self._duration_us}, until - boot, self._on_end)
            else:
                double = {"may_double": True} if self._may_double else {}
                self._ask("acquire", {"duration_us": self._duration_us, **double}, ACQUIRE_DEADLINE_US, self._on_end)
        due = [self._next] if not self._asking and self._wanted else []
        due += [now + self._held[1] - boot] if self._held else []
        if due:
            self._core.timers.set(self._timer, min(due))
        else:
            self._core.timers.stop(self._timer)

    def _on_end(self, answer: Answer) -> None:
        now, given = self._core.now, None
        self._asking = False
        if answer.status == Status.OK:
            try:
                row = msgpack.unpackb(answer.body)
                given = (int(row["epoch"]), int(row["counter"])), int(row["duration_us"])
            except Exception:  # whatever else a body can be
                given = None
        if not self._wanted or answer.status == Status.CANCELLED:
            if given:
                self._give_back(given[0])
            return
        self._end_in_time()
        if given:
            self._take(*given)
        else:
            self._next = now + min(max(answer.retry_after_us or PAUSE_US, PAUSE_LEAST_US), PAUSE_MOST_US)
            if self._renewing and self._held and answer.status == Status.REFUSED:
                self._lose("it is not in force any more")
                self._next = now
        self._look()

    def _take(self, token: Token, duration_us: int) -> None:
        """What comes after the holder has stopped changes nothing: another may have been the holder in between."""
        now, until = self._core.now, self._sent_boot + duration_us // 5 * 4
        if not self._held if self._renewing else until <= self._core.boot:
            self._next = now + (0 if self._renewing else PAUSE_US)
            return
        self._next = self._sent + duration_us // 3
        is_new, self._held = self._held is None, (token, until)
        if is_new:
            self._on_held()
