"""Durable requests, pure: what a broker is asked to keep, and the wait for an end (docs/durable.md).

Whether a request has ended is asked of whichever broker can be asked; if the question comes to nothing, because that one went away or
does not know the request yet, it is asked again until the caller's time is over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgpack

from . import wire
from .errors import Status
from .request import Answer, Ask, Pending
from .timers import Timer

if TYPE_CHECKING:
    from .core import Core

SERVICE = "pons.durable"
AGAIN_US = 200_000
PRIORITIES = {wire.INTERACTIVE: "interactive", wire.NORMAL: "normal", wire.BATCH: "batch"}


@dataclass(frozen=True)
class Kept:
    """A durable request, on disk: it will be done whatever becomes of this process."""

    id: str  # good for `result`, here and in any other process, and for `pons deadletter`
    target: str = ""  # SERVICE.METHOD, for the contract of its reply
    copies: int = 1  # on whose disk it was when it was accepted: 2 = both brokers'


def wish(ask: Ask, id: str, patience_us: int) -> dict[str, Any]:
    """A DurableWish. patience_us: when it is a dead letter; 0 = as the broker's configuration says."""
    row: dict[str, Any] = {"id": id, "service": ask.service, "method": ask.method, "body": ask.body,
                           "priority": PRIORITIES[ask.priority], "idempotent": ask.idempotent}
    if ask.content_type:
        row["content_type"] = ask.content_type
    if ask.annotations:
        row["annotations"] = msgpack.packb(ask.annotations)
    if patience_us:
        row["deadline_us"] = patience_us
    return row


class Waiting:
    """One question at a time, until an answer is the last word."""

    def __init__(self, core: Core, id: str, deadline_us: int, on_end: Callable[[Answer], None], kept: bool) -> None:
        """kept: a broker has told us that it keeps it, so that another does not know it is not the last word."""
        self._core, self._on_end, self._kept = core, on_end, kept
        self._body = msgpack.packb({"id": id})
        self._due = core.now + min(deadline_us, wire.LIMITS["DEADLINE_US"])
        self._timer = Timer(lambda now: self._look())
        self._asked: Pending | None = None
        self._over = False
        core.waiting.add(self)
        core.timers.set(self._timer, core.now)

    def _look(self) -> None:
        if self._core.now >= self._due:
            self._end(Answer(Status.DEADLINE, message="its end did not come in time; it goes on, and can be waited for again"))
            return
        self._asked = self._core.ask(Ask(SERVICE, "await", self._body, self._due - self._core.now, self._on_answer, idempotent=True, attempts=1))

    def _end(self, answer: Answer) -> None:
        if not self._over:
            self._stop()
            self._on_end(answer)

    def _stop(self) -> None:
        self._over = True
        self._core.waiting.discard(self)
        self._core.timers.stop(self._timer)

    def close(self) -> None:
        """The client is closed: a wait between two questions ends too."""
        self._end(Answer(Status.CANCELLED, message="the client was closed"))

    def _is_last_word(self, answer: Answer) -> bool:
        """Whether an error is about the request, and not about the way to who could tell."""
        if answer.status in (Status.CANCELLED, Status.DENIED, Status.INVALID, Status.GONE):
            return True
        return bool(answer.code) and (answer.code != "durable_unknown" or not self._kept)

    def _on_answer(self, answer: Answer) -> None:
        self._asked = None
        if answer.status == Status.OK:
            self._end(reply_of(answer))
        elif self._is_last_word(answer):
            self._end(answer)
        elif not self._over:
            self._core.timers.set(self._timer, min(self._core.now + AGAIN_US, self._due))

    def cancel(self) -> None:
        """Waits no longer; the request goes on."""
        self._stop()
        if self._asked:
            self._asked.cancel()


def reply_of(answer: Answer) -> Answer:
    """A DurableAnswer as the reply that is in it."""
    try:
        row = msgpack.unpackb(answer.body)
        return replace(answer, body=bytes(row["body"]), content_type=str(row.get("content_type", "")))
    except Exception:  # not a DurableAnswer
        return Answer(Status.INTERNAL, answer.id, message="the broker's answer can't be read")
