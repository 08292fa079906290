"""The client for asyncio.

    async with pons.aio.Client("tcp://127.0.0.1:7100") as bus:
        print(await bus.ask("echo.say", {"text": "hello"}))
        async for piece in bus.stream("echo.stream", {"text": "la", "pieces": 3}):
            print(piece)

With two brokers: Client("tcp://10.0.0.1:7100;tcp://10.0.0.2:7100"), the preferred one first. Every request ends exactly once:
with its reply, with an exception named after its status, or by being cancelled. Nothing outlives its deadline."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import weakref
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any, Protocol

from . import wire
from .bus import AskOptions, Bus, Collected, Pieces, collected, is_collect, microseconds, packed
from .contract import Contracts
from .driver import Driver
from .durable import SERVICE, Kept, Waiting
from .errors import PonsError, Status
from .flag import FlagState
from .key import Key
from .lease import Token
from .request import Answer, Pending
from .watch import Events, Flag, Lease, Reader

log = logging.getLogger("pons")
REFUSAL_QUIET_S = 60.0
EVENTS_WAITING = 1024  # of one subscription; over it the oldest are lost, and counted
OnEnd = Callable[[Answer], None]


class Begun(Protocol):
    """What ends with an Answer, unless it is taken back."""

    def cancel(self) -> None: ...


class Client:
    """One process's place on the bus."""

    def __init__(self, endpoint: str | None = None, agent: str = "python", *, site: str = "", contracts: Contracts | None = None,
                 calls: list[str] | None = None, deadline_s: float = 30.0, attempts: int = 3, key: str | os.PathLike[str] | None = None) -> None:
        """endpoint: one list of addresses per broker, with commas; a semicolon before the second broker's. agent: the name of
        this process on the bus. contracts: what requests and replies are held against. calls: SERVICE.METHOD that are called,
        so that the broker compares contracts. attempts: how often one request may be asked, 1 = no retries. key: where brokers
        have keys, the file of this process's; then each broker's public one stands behind a bar in endpoint: "tcp://10.0.0.1:7100|…"."""
        self._key = None if key is None else Key.read(key)
        self._bus = Bus.make(endpoint, agent, time.time_ns() // 1000, contracts, calls or [], site=site, attempts=attempts,
                             deadline_us=microseconds(deadline_s), on_state=self._on_state, on_refusal=self._on_refusal,
                             has_key=key is not None)
        self._driver: Driver | None = None
        self._changed = asyncio.Event()  # state
        self._quiet_until = 0.0
        self._readers: weakref.WeakSet[Reader] = weakref.WeakSet()
        self._leases: list[Lease] = []
        self.state = "connecting"  # for a person: whether somebody can be asked, and why not

    # --- life ---

    async def __aenter__(self) -> Client:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Begins to connect, in the running loop. Requests wait inside until a broker is there."""
        if self._driver:
            raise PonsError("the client was started before; what was closed is not started again, make another")
        self._driver = Driver(self._bus.core, self._key)
        self._driver.start()

    def close(self) -> None:
        """Gives its leases back, says BYE and ends what is unanswered with Cancelled."""
        for lease in list(self._leases):
            lease.close()
        if self._driver:
            self._driver.close()
        self._changed.set()
        for reader in self._readers:
            reader.wake()

    def _on_state(self, is_open: bool, status: Status, why: str) -> None:
        self.state = "open" if is_open else why
        self._changed.set()

    def _on_refusal(self, status: Status, why: str) -> None:
        """Whoever is refused one event is refused many: said once a minute."""
        now = time.monotonic()
        if now >= self._quiet_until:
            self._quiet_until = now + REFUSAL_QUIET_S
            log.warning("%s: a broker refuses %s", self._bus.core.options.agent, why)

    async def wait_open(self, timeout_s: float = 10.0) -> None:
        """Returns when a broker can be asked. Raises TimeoutError, which says why there is none."""
        try:
            async with asyncio.timeout(timeout_s):
                while not (self._here() and self._bus.core.home):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"no broker within {timeout_s} s: {self.state}") from None

    @property
    def bus(self) -> Bus:
        return self._bus

    @property
    def stats(self) -> Any:
        """A snapshot: asked, answered, retried, resent, moves, sessions, dropped, events_dropped."""
        return self._bus.core.stats

    @property
    def broker(self) -> str:
        """Name of the broker that is asked now, or was last."""
        home = self._bus.core.was_home
        return str(home.welcome.get("broker", "")) if home else ""

    @property
    def mismatches(self) -> list[dict[str, Any]]:
        """Contracts of this process that differ from the other side's, as the broker said when we connected."""
        home = self._bus.core.was_home
        return list(home.welcome.get("mismatches", ())) if home else []

    def _begin(self) -> Driver:
        if not self._driver or self._driver.closed:
            raise PonsError("the client is not running; use `async with`, or start()")
        self._driver.begin()
        return self._driver

    def _here(self) -> Driver:
        """For who waits: another loop would never hear of the end."""
        driver = self._begin()
        if driver.loop is not asyncio.get_running_loop():
            raise PonsError("the client runs in another event loop; each loop needs its own, and threads have pons.Client")
        return driver

    async def _end_of(self, begin: Callable[[OnEnd], Begun]) -> Answer:
        """Begins something and waits for its end; whoever is cancelled takes it back."""
        driver = self._here()
        future: asyncio.Future[Answer] = driver.loop.create_future()

        def on_end(answer: Answer) -> None:
            if not future.done():
                future.set_result(answer)

        begun = begin(on_end)
        try:
            return await future
        except asyncio.CancelledError:
            if not driver.closed:
                driver.begin()
                begun.cancel()
            raise

    # --- asking ---

    async def request(self, target: str, value: Any = None, **how: Any) -> Answer:
        """Asks and returns the whole Answer, whatever its status. how: the fields of AskOptions."""
        return await self._end_of(lambda on_end: self._bus.core.ask(self._bus.prepare(target, value, AskOptions(**how), on_end)))

    async def ask(self, target: str, value: Any = None, **how: Any) -> Any:
        """Asks SERVICE.METHOD and returns what the reply says. Raises the exception of its status: NoService, Deadline, ..."""
        return self._bus.reply_of(target, await self.request(target, value, **how))

    def stream(self, target: str, value: Any = None, **how: Any) -> Stream:
        """Asks a method that sends pieces: `async for piece in stream`, then `stream.reply`."""
        return Stream(self, target, value, AskOptions(**how))

    async def collect(self, target: str, value: Any = None, **how: Any) -> list[Collected]:
        """Asks all instances: `service@*.method`. Each one's value or error."""
        answers = list[Collected]()

        def on_chunk(message: wire.Message) -> None:
            if is_collect(message):
                answers.append(collected(message))

        answer = await self._end_of(lambda on_end: self._bus.core.ask(
            self._bus.prepare(target, value, AskOptions(**how), on_end, on_chunk)))
        if answer.status:
            raise answer.error()
        return answers

    # --- asking so that it outlives this process and a broker: docs/durable.md ---

    async def submit(self, target: str, value: Any = None, *, id: str = "", patience_s: float | None = None, **how: Any) -> Kept:
        """Has SERVICE.METHOD kept on disk, and done whatever dies meanwhile; returns when it is kept. id: an own one, in the form of a
        request id; said again it is the same request. patience_s: when it is a dead letter; None = as the broker's configuration says.
        how: deadline_s (to be kept), idempotent, priority, annotations."""
        self._begin()
        options = AskOptions(**how)
        wish = self._bus.wish(target, value, options, id, patience_s)
        kept = await self.ask(f"{SERVICE}.submit", wish, idempotent=True, deadline_s=options.deadline_s)
        return Kept(str(kept["id"]), target, int(kept["copies"]))

    async def result(self, kept: Kept | str, *, deadline_s: float | None = None) -> Any:
        """Waits for the end of a durable request, of whatever process, and returns what its reply says. Raises what it ended with;
        `code` is dead_letter when a person has to look. Deadline: it goes on, and can be waited for again."""
        mine = kept if isinstance(kept, Kept) else Kept(kept)
        core = self._bus.core
        deadline_us = core.options.deadline_us if deadline_s is None else microseconds(deadline_s)
        answer = await self._end_of(lambda on_end: Waiting(core, mine.id, deadline_us, on_end, mine is kept))
        return self._bus.reply_of(mine.target, answer)

    # --- leases and flags: docs/authority.md ---

    def lease(self, name: str, *, may_double: bool = False, duration_s: float | None = None,
              on_held: Callable[[Token], None] | None = None, on_lost: Callable[[str], None] | None = None) -> Lease:
        """Wants a lease, and keeps it: `async with bus.lease("nightly") as lease:` waits until this process is the holder, and gives it
        back. may_double: two holders do no harm. on_held, on_lost: called by the loop, soon; on_lost is told why."""
        self._begin()
        return Lease(self, name, may_double, duration_s, on_held, on_lost)

    def flag(self, name: str) -> Flag:
        """Watches a flag: `flag.value`, and `async for state in flag` as it changes."""
        self._begin()
        return Flag(self, name)

    async def get_flag(self, name: str) -> FlagState:
        """What the broker has; its value is None when there is none."""
        try:
            row = await self.ask("pons.flags.get", {"name": name}, idempotent=True)
        except PonsError as error:
            if error.code != "flag_unknown":
                raise
            return FlagState(name)
        return FlagState(name, str(row["value"]), (int(row["epoch"]), int(row["counter"])))

    async def set_flag(self, name: str, value: str) -> int:
        """Writes it, through whoever leads; returns on how many brokers' disks it is."""
        return int((await self.ask("pons.flags.set", {"name": name, "value": value}, idempotent=True))["copies"])

    async def unset_flag(self, name: str) -> int:
        """Removes it; raises Refused with the code flag_unknown when it was never set."""
        return int((await self.ask("pons.flags.unset", {"name": name}, idempotent=True))["copies"])

    # --- events ---

    def publish(self, topic: str, value: Any = None, *, retain: bool = False) -> None:
        """retain: brokers keep it as the topic's last value; with None they forget it."""
        self._begin()
        self._bus.core.events.publish(topic, packed(value), retain)

    def subscribe(self, pattern: str, *, waiting: int = EVENTS_WAITING) -> Events:
        """`async for event in client.subscribe("news.*")`: first the last values, then what comes. waiting: how many may wait
        to be read; over it the oldest are lost."""
        if waiting < 1:
            raise ValueError("waiting: how many events may wait to be read, from 1 on")
        self._begin()
        return Events(self, pattern, waiting)


class Stream:
    """A stream as it comes. Reading on opens its window, so a slow reader slows its producer."""

    def __init__(self, client: Client, target: str, value: Any, options: AskOptions) -> None:
        self._client, self._target = client, target
        self._ready: deque[tuple[Any, int]] = deque()  # values; with the last of a CHUNK its size
        self._pieces = Pieces(client.bus.method_of(target))
        self._answer: Answer | None = None
        self._fault: PonsError | None = None
        self._changed = asyncio.Event()
        client._here()
        self._pending: Pending = client.bus.core.ask(client.bus.prepare(target, value, options, self._on_end, self._on_chunk, True))
        self.reply: Any = None  # of the end

    def _on_end(self, answer: Answer) -> None:
        self._answer = answer
        self._changed.set()

    def _on_chunk(self, message: wire.Message) -> None:
        try:
            values = self._pieces.take(message)
        except PonsError as fault:
            self._fault = fault
            self._pending.cancel()
            return
        if not values:
            self._pending.consumed(len(message.body))
        for i, value in enumerate(values):
            self._ready.append((value, len(message.body) if i == len(values) - 1 else 0))
        self._changed.set()

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            while not self._ready and self._answer is None:
                self._changed.clear()
                await self._changed.wait()
        except asyncio.CancelledError:
            self.cancel()
            raise
        if not self._ready:
            assert self._answer is not None
            if self._fault:
                raise self._fault
            self.reply = self._client.bus.reply_of(self._target, self._answer)
            raise StopAsyncIteration
        value, size = self._ready.popleft()
        if size and self._client._driver and not self._client._driver.closed:
            self._client._begin()
            self._pending.consumed(size)
        return value

    def cancel(self) -> None:
        """Takes it back; what has come can still be read."""
        if self._client._driver and not self._client._driver.closed:
            self._client._begin()
            self._pending.cancel()

    async def __aenter__(self) -> Stream:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Whoever leaves early takes it back."""
        if self._answer is None:
            self.cancel()
