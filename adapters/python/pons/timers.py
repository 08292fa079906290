"""Timers of a pure core: who is due at which microsecond. The clock is whoever calls."""

from __future__ import annotations

import heapq
from collections.abc import Callable


class Timer:
    """Calls on_due(now) when its time has come; set again at will."""

    __slots__ = ("on_due", "at")

    def __init__(self, on_due: Callable[[int], None]) -> None:
        self.on_due = on_due
        self.at: int | None = None


class Timers:
    """A heap in which what was set anew or stopped stays until it comes up, or until it is most of the heap."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._order = 0
        self._live = 0

    def set(self, timer: Timer, at: int) -> None:
        if timer.at == at:
            return
        if timer.at is None:
            self._live += 1
        timer.at = at
        self._order += 1
        heapq.heappush(self._heap, (at, self._order, timer))
        if len(self._heap) > 2 * self._live + 64:
            self._heap = [entry for entry in self._heap if entry[2].at == entry[0]]
            heapq.heapify(self._heap)

    def stop(self, timer: Timer) -> None:
        if timer.at is not None:
            self._live -= 1
            timer.at = None

    def next(self) -> int | None:
        """When the first is due; None when there is none."""
        while self._heap and self._heap[0][2].at != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def run(self, now: int) -> None:
        while (at := self.next()) is not None and at <= now:
            timer = heapq.heappop(self._heap)[2]
            self.stop(timer)
            timer.on_due(now)
