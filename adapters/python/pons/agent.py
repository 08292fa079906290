"""An agent: a table of methods becomes a process on the bus.

    agent = pons.Agent("greeter")

    @agent.method("greeter.hello", idempotent=True)
    def hello(call, request):
        return {"text": "Hello, " + request["name"]}

    agent.run()

A handler is a function, which runs in one of `concurrency` threads; a generator function, whose `yield`s are pieces of a stream
and whose `return` is the reply; or an `async def`, which runs in the loop. It returns the reply, a Raw, or a Forward, and raises an
exception of errors.py to refuse; any other exception is INTERNAL, and its traceback is logged. The runtime connects to the
brokers, keeps the credit right, holds requests and replies against the contract, keeps to deadlines and cancels, remembers what
was answered so that nothing is done twice, and on SIGTERM finishes what it has, takes nothing new and ends."""

from __future__ import annotations

import argparse
import asyncio
import concurrent.futures
import inspect
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from . import aio, contract, wire
from . import call as core_call
from .bus import Raw, annotations_size, default_endpoint, packed, split_target
from .driver import boot_us
from .durable import Kept
from .errors import BadName, Cancelled, Internal, Invalid, PonsError, Status
from .instance import Instance, Service
from .notify import notify, watchdog_s
from .wire import MSGPACK, MethodFlag, value_of

log = logging.getLogger("pons")
READY_S = 0.2  # the second broker is waited for, before READY is said
THREADS_MAX = 1024
EXIT_FAILED, EXIT_USAGE, EXIT_REFUSED = 1, 2, 3
Handler = Callable[..., Any]


def _check_target(target: str) -> None:
    """Raises BadName for what is no SERVICE.METHOD."""
    service, method = split_target(target)
    name, _, _ = service.partition("@")
    if not wire.is_name(name) or not wire.is_name(method) or len(service.encode()) > wire.LIMITS["TARGET_BYTES"]:
        raise BadName(f"{target!r}: {Status.BAD_NAME.about}")


@dataclass(frozen=True)
class Forward:
    """What a handler returns to hand the request on, body and all, to the first of 1 to 4 targets that can begin."""

    targets: tuple[str, ...]
    annotations: dict[str, Any] | None

    def __init__(self, *targets: str, annotations: dict[str, Any] | None = None) -> None:
        """targets: SERVICE.METHOD or SERVICE@INSTANCE.METHOD. annotations replace those of the request; None = kept. Raises ValueError, and
        TypeError, for what no broker would take."""
        if not 1 <= len(targets) <= wire.LIMITS["FORWARD_TARGETS"]:
            raise ValueError(f"1 to {wire.LIMITS['FORWARD_TARGETS']} targets, not {len(targets)}")
        for target in targets:
            _check_target(target)
        if annotations_size(annotations) > wire.LIMITS["ANNOTATIONS_BYTES"]:
            raise ValueError(f"annotations: at most {wire.LIMITS['ANNOTATIONS_BYTES']} bytes as msgpack")
        object.__setattr__(self, "targets", targets)
        object.__setattr__(self, "annotations", annotations)


@dataclass(frozen=True)
class _Method:
    handler: Handler
    flags: int
    contract: contract.Method | None

    @property
    def is_async(self) -> bool:
        return inspect.iscoroutinefunction(self.handler)


class Call:
    """One request that this process answers, as its handler sees it."""

    def __init__(self, runtime: _Runtime, call: core_call.Call, method: _Method) -> None:
        self._runtime, self._core, self._method = runtime, call, method
        self.id = wire.id_text(call.id)  # what `pons trace` takes
        self.service, self.method = call.service, call.method
        self.body, self.content_type, self.annotations = call.body, call.content_type, call.annotations
        self.priority, self.trace, self.wants_stream = call.priority, call.trace, call.wants_stream
        self._changed = threading.Condition()
        self._task: asyncio.Task[None] | None = None
        self._room = asyncio.Event()
        self._stopped = False  # who has it in hand was told that nobody waits
        self._asked: set[concurrent.futures.Future[Any]] = set()  # what its threads wait for

    @property
    def instance(self) -> str:
        """name:client of this process, the client id in hex."""
        return self._runtime.name

    @property
    def bus(self) -> aio.Client:
        """For asking others, from an `async def`."""
        return self._runtime.client

    @property
    def cancelled(self) -> bool:
        """Nobody waits any more; stop soon."""
        return self._core.cancelled is not None

    @property
    def left_s(self) -> float:
        """Until the deadline."""
        return max(0.0, float(self._core.due - self._runtime.driver.now()) / 1e6)

    @property
    def token(self) -> tuple[int, int] | None:
        """Of a singleton: epoch and counter of its lease, which what it guards is shown; None when it is not the holder any more. To
        be asked before each thing that only the holder may do."""
        lease = self._runtime.instance.lease
        return lease.token(boot_us()) if lease else None

    def _on_change(self) -> None:
        with self._changed:
            self._changed.notify_all()
            stops, self._stopped = self.cancelled and not self._stopped, self.cancelled
            asked = list(self._asked) if stops else []
        self._room.set()
        if stops and self._task:
            self._task.cancel()
        for future in asked:
            future.cancel()

    def _wait_for(self, make: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """Waits in a thread for what the loop does; it is taken back when nobody waits for the call any more."""
        future = self._runtime.begin(make)
        with self._changed:
            self._asked.add(future)
            stopped = self._stopped
        if stopped:
            future.cancel()
        try:
            return future.result()
        except concurrent.futures.CancelledError:
            raise Cancelled() from None
        finally:
            with self._changed:
                self._asked.discard(future)

    def _piece(self, value: Any) -> bytes:
        if isinstance(value, Raw):
            return value.body
        if self._method.contract:
            self._method.contract.check_answer(value, chunk=True)
        return packed(value)

    def _take(self, data: bytes) -> bool:
        """On the loop: takes a piece if there is room."""
        if self.cancelled or self._core.answered:
            raise Cancelled()
        if self.wants_stream and not self._core.has_room:
            return False
        self._runtime.driver.begin()
        self._core.chunk(data)
        return True

    def send(self, piece: Any) -> None:
        """Sends a piece of the answer, from a thread. Waits while the reader is behind; raises Cancelled when nobody waits. To a
        caller that wants no stream nothing is sent."""
        data = self._piece(piece)
        if len(data) > wire.BODY_BYTES:
            raise ValueError(f"a piece has at most {wire.BODY_BYTES} bytes, and this one {len(data)}")
        async def take() -> bool:
            return self._take(data)

        while not self._runtime.begin(take).result():
            with self._changed:
                self._changed.wait_for(lambda: self.cancelled or self._core.has_room, max(0.001, self.left_s))

    async def asend(self, piece: Any) -> None:
        """The same from an `async def`."""
        data = self._piece(piece)
        if len(data) > wire.BODY_BYTES:
            raise ValueError(f"a piece has at most {wire.BODY_BYTES} bytes, and this one {len(data)}")
        while not self._take(data):
            self._room.clear()
            await self._room.wait()

    def wait(self, seconds: float) -> bool:
        """Waits in a thread, no longer than somebody waits for the answer; False when nobody does."""
        self._runtime.must_be_thread()
        with self._changed:
            return not self._changed.wait_for(lambda: self.cancelled, min(seconds, self.left_s)) and self.left_s > 0

    def ask(self, target: str, value: Any = None, **how: Any) -> Any:
        """Asks others, from a thread; within what is left of our own time, and in its trace."""
        how = {"deadline_s": max(0.001, self.left_s), "trace": self.trace, "priority": self.priority, **how}
        return self._wait_for(lambda: self.bus.ask(target, value, **how))

    def submit(self, target: str, value: Any = None, **how: Any) -> Kept:
        """Has others do it later, whatever dies meanwhile, from a thread: see aio.Client.submit."""
        how = {"deadline_s": max(0.001, self.left_s), "priority": self.priority, **how}
        kept: Kept = self._wait_for(lambda: self.bus.submit(target, value, **how))
        return kept


class Agent:
    def __init__(self, name: str, *, about: str = "an agent on the pons bus", contracts: contract.Contracts | str | os.PathLike[str] | None = None,
                 concurrency: int = 4, calls: list[str] | None = None, singleton: str = "", may_double: bool = False) -> None:
        """contracts: a table such as agents/contracts/echo.def, or several read by Contracts. concurrency: calls executed at a
        time, and the threads for those that are no `async def`. calls: SERVICE.METHOD that the agent calls. singleton: it serves only
        while it holds the lease of this name; may_double: two holders do no harm."""
        if not wire.is_name(name):
            raise BadName(f"{name!r}: {Status.BAD_NAME.about}")
        if not 1 <= concurrency <= wire.LIMITS["CREDIT"]:
            raise ValueError(f"concurrency: a whole number from 1 to {wire.LIMITS['CREDIT']}")
        self.name, self.about, self.concurrency, self.calls = name, about, concurrency, calls or []
        self.singleton, self.may_double = singleton, may_double
        self.contracts = contract.Contracts(contracts) if isinstance(contracts, str | os.PathLike) else contracts
        self._methods: dict[tuple[str, str], _Method] = {}

    def method(self, target: str, *, idempotent: bool = False, streaming: bool = False) -> Callable[[Handler], Handler]:
        """Offers SERVICE.METHOD. Where there is a contract, it says what the method is; else idempotent: doing it twice is as
        good as once, and streaming: it sends pieces."""
        service, name = split_target(target)
        if not wire.is_name(service) or not wire.is_name(name):
            raise BadName(f"{target!r}: {Status.BAD_NAME.about}")
        if (service, name) in self._methods:
            raise ValueError(f"{target} has a handler already")
        known = self.contracts.find(service, name) if self.contracts else None

        def add(handler: Handler) -> Handler:
            if inspect.isasyncgenfunction(handler):
                raise TypeError(f"{target}: an async def sends its pieces with `await call.asend(piece)`, and not with yield")
            streams = streaming or inspect.isgeneratorfunction(handler)
            flags = (MethodFlag.IDEMPOTENT if idempotent else MethodFlag.ONCE) | (MethodFlag.STREAMING if streams else 0)
            self._methods[service, name] = _Method(handler, known.flags if known else flags, known)
            return handler

        return add

    def services(self, **more: Any) -> list[Service]:
        """For HELLO. more: version, weight, tier, role."""
        made: dict[str, Service] = {}
        for (service, name), method in self._methods.items():
            made.setdefault(service, Service(service, {}, **more)).methods[name] = (
                method.flags, method.contract.hash if method.contract else 0)
        return list(made.values())

    def find(self, service: str, name: str) -> _Method:
        return self._methods[service, name]

    def run(self, arguments: list[str] | None = None) -> None:
        """Runs until SIGTERM or SIGINT, and ends the process: 0 after a drain; 1 stopped by a second signal; 2 wrong options;
        3 refused by the broker for good. --help lists the options, which are those of every agent."""
        options = _options(self, arguments)
        logging.basicConfig(level=options.log_level.upper(), format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
        sys.exit(asyncio.run(self._run(options)))

    async def _run(self, options: argparse.Namespace) -> int:
        status = await self.serve(options)
        if status in (EXIT_FAILED, EXIT_REFUSED):
            logging.shutdown()
            sys.stdout.flush()
            os._exit(status)  # else the interpreter would wait for handlers that run yet
        return status

    async def serve(self, options: argparse.Namespace) -> int:
        """The same inside a loop that runs; returns the exit status."""
        try:
            runtime = _Runtime(self, options)
        except (ValueError, OSError) as error:  # an endpoint or a key that is none
            log.error("%s", error)
            return EXIT_USAGE
        return await runtime.run()


class _Runtime:
    """An agent while it runs."""

    def __init__(self, agent: Agent, options: argparse.Namespace) -> None:
        self.agent, self.loop = agent, asyncio.get_running_loop()
        self.client = aio.Client(options.endpoint, options.name, site=options.site or "", contracts=agent.contracts, calls=agent.calls,
                                 key=options.key)
        core = self.client.bus.core
        self.name = f"{options.name}:{core.client:016x}"
        core.options.on_state = self._on_state
        core.begin(int(self.loop.time() * 1e6))
        more = {"version": options.service_version or "", "weight": options.weight, "tier": options.tier or "", "role": options.role or ""}
        concurrency = options.concurrency or agent.concurrency
        self.instance = Instance(core, agent.services(**more), concurrency, self._begin, self._on_ready,
                                 options.singleton or agent.singleton, agent.may_double)
        self.threads = ThreadPoolExecutor(min(concurrency, THREADS_MAX), "pons-call")
        self._loop_thread = threading.get_ident()
        self.done: asyncio.Future[int] = self.loop.create_future()
        self.was_ready = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def driver(self) -> Any:
        return self.client._driver

    def must_be_thread(self) -> None:
        if threading.get_ident() == self._loop_thread:
            raise PonsError("this waits, so it is for handlers that run in a thread; an `async def` says await call.bus.ask, call.bus.submit, "
                            "call.asend, asyncio.sleep")

    def begin(self, make: Callable[[], Coroutine[Any, Any, Any]]) -> concurrent.futures.Future[Any]:
        """Has the loop do it, from a thread."""
        self.must_be_thread()
        return asyncio.run_coroutine_threadsafe(make(), self.loop)

    # --- life ---

    async def run(self) -> int:
        self.client.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            self.loop.add_signal_handler(number, self._on_signal)
        self._beat()
        try:
            return await self.done
        finally:
            self.client.close()
            self.threads.shutdown(wait=False, cancel_futures=True)
            for number in (signal.SIGTERM, signal.SIGINT):
                self.loop.remove_signal_handler(number)

    def _beat(self) -> None:
        """Tells the supervisor's watchdog that the loop turns."""
        every = watchdog_s()
        if every and not self.done.done():
            notify("WATCHDOG=1")
            self.loop.call_later(every, self._beat)

    def _end(self, status: int) -> None:
        if not self.done.done():
            self.done.set_result(status)

    def _on_signal(self) -> None:
        if self.instance.phase.value:
            self._end(EXIT_FAILED)
            return
        notify("STOPPING=1")
        self.driver.begin()
        self.instance.drain(lambda: self._end(0))

    def _on_state(self, is_open: bool, status: Status, why: str) -> None:
        self.client._on_state(is_open, status, why)
        if not is_open and any(session.refused for session in self.client.bus.core.sessions) and status != Status.LIMIT:
            log.error("%s is refused by the broker: %s", self.name, why)
            self._end(EXIT_REFUSED)
        elif not is_open:
            log.info("%s: %s", self.name, why)

    def _on_ready(self) -> None:
        if self.was_ready:
            return
        sessions = self.client.bus.core.sessions
        if all(session.is_open for session in sessions):
            self._say_ready()
        else:
            self.loop.call_later(READY_S, self._say_ready)

    def _say_ready(self) -> None:
        if not self.was_ready:
            self.was_ready = True
            self.loop.call_soon(lambda: self.loop.call_soon(notify, "READY=1"))  # when CREDIT has left
            log.info("%s serves", self.name)

    # --- calls ---

    def _begin(self, call: core_call.Call) -> None:
        """Executes a call. On the loop, inside a turn of the driver."""
        method = self.agent.find(call.service, call.method)
        mine = Call(self, call, method)
        call.on_change = mine._on_change
        try:
            request = self._request_of(call, method)
        except PonsError as error:
            call.forgettable = True
            self._finish(mine, error)
            return
        if method.is_async:
            task = self.loop.create_task(self._run_async(mine, request))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        else:
            self.loop.run_in_executor(self.threads, self._run_thread, mine, request)

    def _request_of(self, call: core_call.Call, method: _Method) -> Any:
        if method.contract and call.content_type in MSGPACK:
            try:
                return method.contract.request.decode(call.body)
            except contract.Fault as fault:
                raise fault.error(Invalid) from None
        try:
            return value_of(call.body, call.content_type)
        except PonsError as error:
            raise Invalid(error.message) from None

    def _outcome(self, call: Call, error: BaseException) -> PonsError:
        """What an exception of a handler is told as."""
        if isinstance(error, PonsError) and not isinstance(error, Cancelled):
            return error
        if call.cancelled:
            return PonsError.of(call._core.cancelled or Status.CANCELLED)()
        if isinstance(error, Cancelled) or self.driver.closed:
            return Cancelled()
        log.error("%s.%s failed", call.service, call.method, exc_info=error)
        return Internal(f"the handler failed: {type(error).__name__}")

    async def _run_async(self, call: Call, request: Any) -> None:
        # Only a task that runs may be cancelled: one that never began would end without an answer.
        call._task = asyncio.current_task()
        try:
            if call.cancelled:
                raise asyncio.CancelledError
            result = await call._method.handler(call, request)
        except BaseException as error:
            result = self._outcome(call, error)
        self.driver.begin()
        self._finish(call, result)

    def _run_thread(self, call: Call, request: Any) -> None:
        try:
            if call.cancelled or call.left_s <= 0:
                raise PonsError.of(Status.DEADLINE)("the deadline came before the work was begun")
            result = call._method.handler(call, request)
            if inspect.isgenerator(result):
                result = self._drive(call, result)
        except BaseException as error:
            result = self._outcome(call, error)
        try:
            self.loop.call_soon_threadsafe(self._finish_from_thread, call, result)
        except RuntimeError:
            pass  # the loop has ended: the process was stopped by a second signal

    def _drive(self, call: Call, pieces: Any) -> Any:
        """Sends what a generator yields; returns what it returns. A generator that nobody reads any more is closed."""
        try:
            while True:
                call.send(next(pieces))
        except StopIteration as end:
            return end.value
        finally:
            pieces.close()

    def _finish_from_thread(self, call: Call, result: Any) -> None:
        if self.driver and not self.driver.closed:
            self.driver.begin()
            self._finish(call, result)

    def _finish(self, call: Call, result: Any) -> None:
        try:
            self._answer(call, result)
        except PonsError as error:
            log.error("%s.%s answered what does not fit: %s", call.service, call.method, error)
            call._core.error(Internal(error.message, path=error.path))
        except Exception as error:  # whatever it is: a call without an answer would keep its place for ever
            log.error("%s.%s answered what can't be sent", call.service, call.method, exc_info=error)
            call._core.error(Internal(f"the handler's answer can't be sent: {type(error).__name__}"))
        self.instance.done()

    def _answer(self, call: Call, result: Any) -> None:
        core = call._core
        if isinstance(result, PonsError):
            core.error(result)
        elif isinstance(result, Forward):
            core.forward([split_target(target) for target in result.targets], result.annotations)
        elif isinstance(result, Raw):
            core.reply(result.body, result.content_type)
        else:
            if call._method.contract:
                call._method.contract.check_answer({} if result is None else result)
            core.reply(packed({} if result is None else result))


# --- options ---

_SETTINGS = (  # option, variable, what it means
    ("endpoint", "PONS_AGENT_ENDPOINT", "where the broker listens: tcp://ADDRESS:PORT, ipc://PATH, with commas between; a second broker's after a semicolon; behind each broker's a bar and its public key, if it has one"),
    ("name", "PONS_AGENT_NAME", "of this process on the bus"),
    ("site", "PONS_AGENT_SITE", "where it runs"),
    ("weight", "PONS_AGENT_WEIGHT", "its share of the work, 0 to 1000; 0 takes nothing but @instance"),
    ("tier", "PONS_AGENT_TIER", "what it runs on: gpu, cpu or remote"),
    ("role", "PONS_AGENT_ROLE", "primary or standby; a standby works when no primary can"),
    ("service-version", "PONS_AGENT_VERSION", "version of its services, for routes"),
    ("concurrency", "PONS_AGENT_CONCURRENCY", "calls executed at a time"),
    ("singleton", "PONS_AGENT_SINGLETON", "serves only while it holds this lease"),
    ("key", "PONS_AGENT_KEY", "the file of its secret key, where brokers have keys"),
    ("log-level", "PONS_LOG_LEVEL", "error, warning, info or debug"))


def _whole(low: int, high: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"a whole number from {low} to {high}")
        return int(text)

    return read


def _name(text: str) -> str:
    if not wire.is_name(text):
        raise argparse.ArgumentTypeError(f"a name is 1 to 64 of A-Z a-z 0-9 _ . -, not {text!r}")
    return text


def _options(agent: Agent, arguments: list[str] | None) -> argparse.Namespace:
    """The environment, then the command line, which wins. Exits with 2 for what is wrong."""
    defaults: dict[str, Any] = {"endpoint": default_endpoint(), "name": agent.name, "log-level": "info"}
    types: dict[str, Any] = {"name": _name, "site": _name, "singleton": _name, "weight": _whole(0, 1000), "concurrency": _whole(1, wire.LIMITS["CREDIT"])}
    choices = {"tier": ("gpu", "cpu", "remote"), "role": ("primary", "standby"), "log-level": ("error", "warning", "info", "debug")}
    parser = argparse.ArgumentParser(description=agent.about, epilog="SIGTERM lets it finish what it has; a second one stops it at once.")
    for option, variable, about in _SETTINGS:
        told = os.environ.get(variable) or None
        default = told if told is not None else defaults.get(option)
        if told is not None and option in choices and told not in choices[option]:
            parser.error(f"{variable} is {told!r}: one of {', '.join(choices[option])}")
        parser.add_argument(f"--{option}", default=default, type=types.get(option, str), choices=choices.get(option),
                            help=f"{about} [{variable}]", metavar=option.upper())
    return parser.parse_args(arguments)
