"""The client for everybody else: the same as aio.Client, driven by a thread of its own. Any thread may use it.

    with pons.Client("tcp://127.0.0.1:7100") as bus:
        print(bus.ask("echo.say", {"text": "hello"}))
        for piece in bus.stream("echo.stream", {"text": "la", "pieces": 3}):
            print(piece)
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from . import aio
from .bus import AskOptions, Collected
from .contract import Contracts
from .errors import PonsError
from .events import Event
from .request import Answer, Pending

T = TypeVar("T")


class Client:
    def __init__(self, endpoint: str | None = None, agent: str = "python", *, site: str = "", contracts: Contracts | None = None,
                 calls: list[str] | None = None, deadline_s: float = 30.0, attempts: int = 3, key: str | os.PathLike[str] | None = None) -> None:
        """As aio.Client. It begins to connect at once."""
        self._aio = aio.Client(endpoint, agent, site=site, contracts=contracts, calls=calls, deadline_s=deadline_s, attempts=attempts,
                               key=key)
        self._loop = asyncio.new_event_loop()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="pons", daemon=True)
        self._thread.start()
        self._call(self._aio.start)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    def _call(self, fn: Callable[[], T]) -> T:
        """Runs fn in the loop and returns what it returns."""
        if self._closed:
            raise PonsError("the client was closed")
        done: concurrent.futures.Future[T] = concurrent.futures.Future()

        def begin() -> None:
            try:
                done.set_result(fn())
            except BaseException as error:
                done.set_exception(error)

        self._loop.call_soon_threadsafe(begin)
        return done.result()

    def _await(self, make: Callable[[], Any]) -> Any:
        """Waits for a coroutine in the loop; whoever is interrupted takes it back."""
        if self._closed:
            raise PonsError("the client was closed")
        future = asyncio.run_coroutine_threadsafe(make(), self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    # --- life ---

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Says BYE and ends what is unanswered with Cancelled."""
        if self._closed:
            return
        self._call(self._aio.close)
        self._closed = True
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def wait_open(self, timeout_s: float = 10.0) -> None:
        """Returns when a broker can be asked. Raises TimeoutError, which says why there is none."""
        self._await(lambda: self._aio.wait_open(timeout_s))

    @property
    def state(self) -> str:
        return self._aio.state

    @property
    def stats(self) -> Any:
        return self._aio.stats

    @property
    def broker(self) -> str:
        return self._aio.broker

    @property
    def mismatches(self) -> list[dict[str, Any]]:
        return self._aio.mismatches

    # --- asking ---

    def request(self, target: str, value: Any = None, **how: Any) -> Answer:
        """Asks and returns the whole Answer, whatever its status. how: the fields of AskOptions."""
        options, bus, driver = AskOptions(**how), self._aio.bus, self._aio._begin
        if self._closed:
            raise PonsError("the client was closed")
        done: concurrent.futures.Future[Answer] = concurrent.futures.Future()
        ask, asked = bus.prepare(target, value, options, done.set_result), list[Pending]()

        def begin() -> None:
            try:
                driver()
                asked.append(bus.core.ask(ask))
            except PonsError as error:
                done.set_exception(error)

        def cancel() -> None:
            if asked:
                driver()
                asked[0].cancel()

        self._loop.call_soon_threadsafe(begin)
        try:
            return done.result()
        except (KeyboardInterrupt, SystemExit):
            self._loop.call_soon_threadsafe(cancel)
            raise

    def ask(self, target: str, value: Any = None, **how: Any) -> Any:
        """Asks SERVICE.METHOD and returns what the reply says. Raises the exception of its status: NoService, Deadline, ..."""
        return self._aio.bus.reply_of(target, self.request(target, value, **how))

    def stream(self, target: str, value: Any = None, **how: Any) -> Stream:
        """Asks a method that sends pieces: `for piece in stream`, then `stream.reply`."""
        return Stream(self, self._call(lambda: self._aio.stream(target, value, **how)))

    def collect(self, target: str, value: Any = None, **how: Any) -> list[Collected]:
        """Asks all instances: `service@*.method`. Each one's value or error."""
        answers: list[Collected] = self._await(lambda: self._aio.collect(target, value, **how))
        return answers

    # --- events ---

    def publish(self, topic: str, value: Any = None, *, retain: bool = False) -> None:
        """retain: brokers keep it as the topic's last value; with None they forget it."""
        self._call(lambda: self._aio.publish(topic, value, retain=retain))

    def subscribe(self, pattern: str, *, waiting: int = aio.EVENTS_WAITING) -> Events:
        """`for event in client.subscribe("news.*")`: first the last values, then what comes."""
        return Events(self, self._call(lambda: self._aio.subscribe(pattern, waiting=waiting)))


class Stream:
    """A stream as it comes; see aio.Stream."""

    def __init__(self, client: Client, stream: aio.Stream) -> None:
        self._client, self._stream = client, stream

    @property
    def reply(self) -> Any:
        return self._stream.reply

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        async def next_piece() -> tuple[bool, Any]:
            try:
                return True, await self._stream.__anext__()
            except StopAsyncIteration:
                return False, None

        there, value = self._client._await(next_piece)
        if not there:
            raise StopIteration
        return value

    def cancel(self) -> None:
        """Takes it back; what has come can still be read."""
        self._client._call(self._stream.cancel)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        """Whoever leaves early takes it back."""
        self._client._await(lambda: self._stream.__aexit__())


class Events:
    """A subscription as it is read; see aio.Events."""

    def __init__(self, client: Client, events: aio.Events) -> None:
        self._client, self._events = client, events

    @property
    def lost(self) -> int:
        return self._events.lost

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        event = self.next()
        if event is None:
            raise StopIteration
        return event

    def next(self, timeout_s: float | None = None) -> Event | None:
        """The next event; None when the subscription has ended. Raises TimeoutError."""
        async def next_event() -> Event | None:
            try:
                return await asyncio.wait_for(self._events.__anext__(), timeout_s)
            except StopAsyncIteration:
                return None

        event: Event | None = self._client._await(next_event)
        return event

    def close(self) -> None:
        self._client._call(self._events.close)
