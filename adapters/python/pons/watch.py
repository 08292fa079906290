"""What a task reads, or waits for, as it changes: events, a lease, a flag. For asyncio; client.py has the same for threads."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

from . import flag as pure_flag
from . import lease as pure_lease
from . import wire
from .driver import boot_us
from .errors import BadName, Cancelled, Status
from .events import Event
from .flag import FlagState
from .lease import Token

if TYPE_CHECKING:
    from .aio import Client
    from .driver import Driver


class Reader:
    """What a task waits for until it changes, or the client is closed."""

    def __init__(self, client: Client) -> None:
        self._client, self._changed = client, asyncio.Event()
        client._readers.add(self)

    def wake(self) -> None:
        """Something has changed for who waits."""
        self._changed.set()

    @property
    def _driver(self) -> Driver | None:
        """None when the client was closed."""
        driver = self._client._driver
        return None if driver is None or driver.closed else driver

    async def _change(self) -> None:
        if not self._driver:
            raise Cancelled("the client was closed")
        self._changed.clear()
        await self._changed.wait()


class Events(Reader):
    """A subscription as it is read."""

    def __init__(self, client: Client, pattern: str, waiting: int) -> None:
        super().__init__(client)
        self._ready: deque[Event] = deque()
        self._waiting = waiting
        self.lost = 0  # because this process read slowly
        self._subscription = client.bus.core.events.subscribe(pattern, self._on_event)

    def _on_event(self, event: Event) -> None:
        if len(self._ready) >= self._waiting:
            self._ready.popleft()
            self.lost += 1
        self._ready.append(event)
        self._changed.set()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self

    async def __anext__(self) -> Event:
        while not self._ready:
            if self._subscription.over:
                raise StopAsyncIteration
            await self._change()
        return self._ready.popleft()

    def close(self) -> None:
        """Ends the subscription; what waits can still be read."""
        if self._driver:
            self._client._begin()
            self._client.bus.core.events.unsubscribe(self._subscription)
        self._changed.set()


class Lease(Reader):
    """A lease that this process wants and keeps: asked for until it is given, renewed in time, given up in time."""

    def __init__(self, client: Client, name: str, may_double: bool, duration_s: float | None, on_held: Callable[[Token], None] | None,
                 on_lost: Callable[[str], None] | None) -> None:
        if duration_s is not None and not 0 < duration_s <= pure_lease.DURATION_US / 1e6:
            raise ValueError(f"duration_s: above 0, and at most {pure_lease.DURATION_US // 10**6}")
        super().__init__(client)
        self.name, self._on_held, self._on_lost = name, on_held, on_lost
        duration_us = pure_lease.DURATION_US if duration_s is None else max(1, int(duration_s * 1e6))
        self._lease = pure_lease.Lease(client.bus.core, name, self._held, self._lost, may_double, duration_us)
        client._leases.append(self)

    @property
    def token(self) -> Token | None:
        """Epoch and counter, which what the lease guards is shown; None when this process is not the holder, by the clock. To be asked,
        from any thread, before each thing that only the holder may do."""
        return self._lease.token(boot_us()) if self._driver else None

    def _held(self) -> None:
        self.wake()
        self._soon(self._tell_held)

    def _tell_held(self) -> None:
        if self._on_held and (token := self.token):
            self._on_held(token)

    def _lost(self, why: str) -> None:
        self.wake()
        self._soon(self._tell_lost, why)

    def _tell_lost(self, why: str) -> None:
        if self._on_lost and self._driver:
            self._on_lost(why)

    def _soon(self, fn: Callable[..., None], *arguments: str) -> None:
        """Not inside the core's turn: what a callback raises is the loop's to tell, and it may do what it likes."""
        if driver := self._driver:
            driver.loop.call_soon(fn, *arguments)

    async def wait_held(self, timeout_s: float | None = None) -> Token:
        """Returns when this process is the holder. Raises TimeoutError."""
        async with asyncio.timeout(timeout_s):
            while (token := self.token) is None:
                await self._change()
        return token

    async def wait_lost(self) -> None:
        """Returns when this process is not the holder any more."""
        while self.token is not None:
            await self._change()

    def want(self, wanted: bool) -> None:
        """Gives it back and asks no more (on_lost is not called), or asks for it again."""
        if self._driver:
            self._client._begin()
            self._lease.want(wanted)
        self.wake()

    def close(self) -> None:
        """Gives it back, for good."""
        if self in self._client._leases:
            self._client._leases.remove(self)
            self.want(False)

    async def __aenter__(self) -> Lease:
        try:
            await self.wait_held()
        except BaseException:
            self.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()


class Flag(Reader):
    """A flag that is watched."""

    def __init__(self, client: Client, name: str) -> None:
        if not wire.is_name(name):
            raise BadName(f"{name!r}: {Status.BAD_NAME.about}")
        super().__init__(client)
        self._flag: pure_flag.Flag | None = pure_flag.Flag(client.bus.core, name, lambda state: self.wake())
        self._told = self.state = self._flag.state

    @property
    def value(self) -> str | None:
        """None when it was never set, or is removed."""
        return self.state.value

    def wake(self) -> None:
        if self._flag:
            self.state = self._flag.state
        super().wake()

    def __aiter__(self) -> AsyncIterator[FlagState]:
        return self

    async def __anext__(self) -> FlagState:
        """The next version: who reads slowly misses those between."""
        while self.state is self._told:
            if self._flag is None:
                raise StopAsyncIteration
            await self._change()
        self._told = self.state
        return self.state

    def close(self) -> None:
        """Watches no longer."""
        gone, self._flag = self._flag, None
        if gone and self._driver:
            self._client._begin()
            gone.close()
        self.wake()
