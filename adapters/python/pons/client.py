"""The client for everybody else: the same as aio.Client, driven by a thread of its own. Any thread may use it.

    with pons.Client("tcp://127.0.0.1:7100") as bus:
        print(bus.ask("echo.say", {"text": "hello"}))
        for piece in bus.stream("echo.stream", {"text": "la", "pieces": 3}):
            print(piece)
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from . import aio, watch
from .bus import AskOptions, Collected
from .contract import Contracts
from .durable import Kept
from .errors import Cancelled, PonsError
from .events import Event
from .flag import FlagState
from .lease import Token
from .request import Answer, Pending

T = TypeVar("T")


class Client:
    def __init__(self, endpoint: str | None = None, agent: str = "python", *, site: str = "", contracts: Contracts | None = None,
                 calls: list[str] | None = None, deadline_s: float = 30.0, attempts: int = 3, key: str | os.PathLike[str] | None = None) -> None:
        """As aio.Client. It begins to connect at once. It belongs to the process that makes it: after a fork the child makes its own."""
        self._aio = aio.Client(endpoint, agent, site=site, contracts=contracts, calls=calls, deadline_s=deadline_s, attempts=attempts,
                               key=key)
        self._loop = asyncio.new_event_loop()
        self._closed, self._ended, self._pid = False, False, os.getpid()
        self._lock = threading.Lock()  # over _closed: what the loop was given before it was closed is done
        self._thread = threading.Thread(target=self._run, name="pons", daemon=True)
        self._thread.start()
        self._call(self._aio.start)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        while not self._ended:
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:  # of a callback: a thread can't end the process
                self._loop.call_exception_handler({"message": "a callback wants to end the process", "exception": error})
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    @property
    def _is_here(self) -> bool:
        """On the client's own thread, in a callback."""
        return threading.current_thread() is self._thread

    @contextlib.contextmanager
    def _open(self) -> Iterator[None]:
        """The loop takes what it is given in here, and does it."""
        if os.getpid() != self._pid:
            raise PonsError("the client belongs to the process that has made it; after a fork make another")
        with self._lock:
            if self._closed:
                raise PonsError("the client was closed")
            yield

    def _must_wait_elsewhere(self) -> None:
        if self._is_here:
            raise PonsError("a callback runs on the client's own thread, which can't wait for itself; have another thread do it")

    def _call(self, fn: Callable[[], T]) -> T:
        """Runs fn in the loop and returns what it returns."""
        if self._is_here:
            return fn()
        done: concurrent.futures.Future[T] = concurrent.futures.Future()

        def begin() -> None:
            try:
                done.set_result(fn())
            except BaseException as error:
                done.set_exception(error)

        with self._open():
            self._loop.call_soon_threadsafe(begin)
        return done.result()

    def _call_if_open(self, fn: Callable[[], Any]) -> None:
        """What is over with the client anyway."""
        if not self._closed and os.getpid() == self._pid:
            with contextlib.suppress(PonsError):
                self._call(fn)

    def _await(self, make: Callable[[], Any]) -> Any:
        """Waits for a coroutine in the loop; whoever is interrupted takes it back."""
        self._must_wait_elsewhere()
        with self._open():
            future = asyncio.run_coroutine_threadsafe(make(), self._loop)
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise Cancelled("the client was closed") from None
        except BaseException:
            future.cancel()
            raise

    # --- life ---

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Gives its leases back, says BYE and ends what is unanswered with Cancelled. Returns when that is done, whoever began it."""
        self._must_wait_elsewhere()
        if os.getpid() != self._pid:
            return  # it is the parent's
        with self._lock:
            if not self._closed:
                self._closed = True
                self._loop.call_soon_threadsafe(self._end)
        self._thread.join()

    def _end(self) -> None:
        try:
            self._aio.close()
        finally:
            self._ended = True
            self._loop.stop()

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
        self._must_wait_elsewhere()
        bus, driver = self._aio.bus, self._aio._begin
        done: concurrent.futures.Future[Answer] = concurrent.futures.Future()
        ask, asked = bus.prepare(target, value, AskOptions(**how), done.set_result), list[Pending]()

        def begin() -> None:
            try:
                driver()
                asked.append(bus.core.ask(ask))
            except BaseException as error:
                done.set_exception(error)

        def cancel() -> None:
            for pending in asked:
                driver()
                pending.cancel()

        with self._open():
            self._loop.call_soon_threadsafe(begin)
        try:
            return done.result()
        except BaseException:
            if not done.done():  # a signal's handler has raised, whatever it is
                self._call_if_open(cancel)
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

    # --- asking so that it outlives this process and a broker: docs/durable.md ---

    def submit(self, target: str, value: Any = None, **how: Any) -> Kept:
        """Has SERVICE.METHOD kept on disk, and done whatever dies meanwhile; returns when it is kept. See aio.Client.submit."""
        kept: Kept = self._await(lambda: self._aio.submit(target, value, **how))
        return kept

    def result(self, kept: Kept | str, *, deadline_s: float | None = None) -> Any:
        """Waits for the end of a durable request, of whatever process, and returns what its reply says; see aio.Client.result."""
        return self._await(lambda: self._aio.result(kept, deadline_s=deadline_s))

    # --- leases and flags: docs/authority.md ---

    def lease(self, name: str, **how: Any) -> Lease:
        """Wants a lease, and keeps it: `with bus.lease("nightly") as lease:` waits until this process is the holder, and gives it back.
        See aio.Client.lease; what it calls, it calls on the client's thread, which must not wait there: no `ask` in a callback."""
        return Lease(self, self._call(lambda: self._aio.lease(name, **how)))

    def flag(self, name: str) -> Flag:
        """Watches a flag: `flag.value`, and `for state in flag` as it changes."""
        return Flag(self, self._call(lambda: self._aio.flag(name)))

    def get_flag(self, name: str) -> FlagState:
        """What the broker has; its value is None when there is none."""
        state: FlagState = self._await(lambda: self._aio.get_flag(name))
        return state

    def set_flag(self, name: str, value: str) -> int:
        """Writes it, through whoever leads; returns on how many brokers' disks it is."""
        copies: int = self._await(lambda: self._aio.set_flag(name, value))
        return copies

    def unset_flag(self, name: str) -> int:
        """Removes it; raises Refused with the code flag_unknown when it was never set."""
        copies: int = self._await(lambda: self._aio.unset_flag(name))
        return copies

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
        self._client._call_if_open(self._stream.cancel)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        """Whoever leaves early takes it back."""
        self.cancel()


class Events:
    """A subscription as it is read; see watch.Events."""

    def __init__(self, client: Client, events: watch.Events) -> None:
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
        """Ends the subscription; what waits can still be read."""
        self._client._call_if_open(self._events.close)


class Lease:
    """A lease that this process wants and keeps; see watch.Lease."""

    def __init__(self, client: Client, lease: watch.Lease) -> None:
        self._client, self._lease = client, lease
        self.name = lease.name

    @property
    def token(self) -> Token | None:
        """None when this process is not the holder, by the clock: to be asked before each thing that only the holder may do."""
        return self._lease.token

    def wait_held(self, timeout_s: float | None = None) -> Token:
        """Returns when this process is the holder. Raises TimeoutError."""
        token: Token = self._client._await(lambda: self._lease.wait_held(timeout_s))
        return token

    def wait_lost(self) -> None:
        """Returns when this process is not the holder any more."""
        self._client._await(self._lease.wait_lost)

    def want(self, wanted: bool) -> None:
        """Gives it back and asks no more (on_lost is not called), or asks for it again."""
        self._client._call(lambda: self._lease.want(wanted))

    def close(self) -> None:
        """Gives it back, for good."""
        self._client._call_if_open(self._lease.close)

    def __enter__(self) -> Lease:
        self._client._await(self._lease.__aenter__)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Flag:
    """A flag that is watched; see watch.Flag."""

    def __init__(self, client: Client, flag: watch.Flag) -> None:
        self._client, self._flag = client, flag

    @property
    def state(self) -> FlagState:
        return self._flag.state

    @property
    def value(self) -> str | None:
        """None when it was never set, or is removed."""
        return self._flag.value

    def __iter__(self) -> Iterator[FlagState]:
        return self

    def __next__(self) -> FlagState:
        state = self.next()
        if state is None:
            raise StopIteration
        return state

    def next(self, timeout_s: float | None = None) -> FlagState | None:
        """The next version; None when it is watched no longer. Raises TimeoutError."""
        async def next_state() -> FlagState | None:
            try:
                return await asyncio.wait_for(self._flag.__anext__(), timeout_s)
            except StopAsyncIteration:
                return None

        state: FlagState | None = self._client._await(next_state)
        return state

    def close(self) -> None:
        """Watches no longer."""
        self._client._call_if_open(self._flag.close)
