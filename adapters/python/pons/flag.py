"""A flag as it changes, pure: its value as soon as a broker is there, if it was ever set, then each newer one, once. Both brokers tell
of it, and one may be behind (docs/authority.md, "Flags")."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgpack

from .events import Event

if TYPE_CHECKING:
    from .core import Core

TOPIC = "pons.flags."


@dataclass(frozen=True)
class FlagState:
    """A flag as it is now."""

    name: str
    value: str | None = None  # None: it was never set, or is removed
    version: tuple[int, int] = (0, 0)  # epoch and counter, which rise with each write and removal; nothing was heard of it yet


class Flag:
    def __init__(self, core: Core, name: str, on_change: Callable[[FlagState], None]) -> None:
        self._core, self._on_change = core, on_change
        self.state = FlagState(name)
        self._subscription = core.events.subscribe(TOPIC + name, self._on_event)

    def _on_event(self, event: Event) -> None:
        try:
            row = msgpack.unpackb(event.body)
            version = int(row["epoch"]), int(row["counter"])
            value = None if row.get("removed") else str(row["value"])
        except Exception:  # not a FlagRow
            return
        if version > self.state.version:
            self.state = FlagState(self.state.name, value, version)
            self._on_change(self.state)

    def close(self) -> None:
        """Nothing is told any more."""
        self._core.events.unsubscribe(self._subscription)
