"""What the two clients share: what is asked becomes an Ask, and what comes back a value. No I/O."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgpack

from . import contract, durable, wire
from .core import Core, Options
from .errors import BadName, ContractMismatch, Invalid, PonsError, Status
from .request import WINDOW_DEFAULT_BYTES, Answer, Ask
from .session import error_body
from .wire import LIMITS, MSGPACK, Flag, Message, value_of


@dataclass(frozen=True)
class Raw:
    """A body as it is: bytes, and what they are."""

    body: bytes
    content_type: str = "application/octet-stream"

    def __post_init__(self) -> None:
        if not isinstance(self.body, bytes | bytearray | memoryview):
            raise TypeError(f"Raw takes bytes, not {type(self.body).__name__}; a text has to be encoded")
        object.__setattr__(self, "body", bytes(self.body))  # which nobody changes any more
        if len(self.content_type.encode()) > LIMITS["CONTENT_TYPE_BYTES"]:
            raise ValueError(f"content_type: at most {LIMITS['CONTENT_TYPE_BYTES']} bytes")


@dataclass
class Collected:
    """One instance's answer to `service@*`: a value, or an error."""

    instance: str
    value: Any = None
    error: PonsError | None = None


@dataclass
class AskOptions:
    """How to ask, beside what."""

    deadline_s: float | None = None  # None = the client's
    idempotent: bool | None = None  # doing it twice is as good as once; None = as the contract says, else no
    priority: int = wire.NORMAL
    annotations: dict[str, Any] | None = None
    trace: bytes = b""
    attempts: int = 0  # greatest number of times that it is asked; 0 = the client's
    window_bytes: int = WINDOW_DEFAULT_BYTES  # how far a stream, or a large reply, may run ahead

    def __post_init__(self) -> None:
        """Raises ValueError for what no broker would take."""
        if self.priority not in (wire.INTERACTIVE, wire.NORMAL, wire.BATCH):
            raise ValueError("priority: INTERACTIVE, NORMAL or BATCH")
        if self.trace and (not isinstance(self.trace, bytes) or len(self.trace) != wire.TRACE_BYTES):
            raise ValueError(f"trace: {wire.TRACE_BYTES} bytes: W3C trace id, parent id and flags")
        if self.attempts < 0 or self.window_bytes < 1:
            raise ValueError("attempts: from 0 on; window_bytes: from 1 on")
        annotations_size(self.annotations)


def annotations_size(annotations: dict[str, Any] | None) -> int:
    """Raises TypeError for what is no map, and ValueError for what msgpack can't say."""
    if annotations is None:
        return 0
    if not isinstance(annotations, dict):
        raise TypeError(f"annotations: a dict, not {type(annotations).__name__}")
    try:
        return wire.map_size(annotations)
    except wire.WireError as error:
        raise ValueError(str(error)) from None


def microseconds(seconds: float) -> int:
    """What is no time is 0, which no request may have as its deadline."""
    return int(seconds * 1e6) if math.isfinite(seconds) else 0


def default_endpoint() -> str:
    """PONS_AGENT_ENDPOINT, else where a broker of this user listens: docs/configuration.md, runtime_dir."""
    if endpoint := os.environ.get("PONS_AGENT_ENDPOINT"):
        return endpoint
    if folder := os.environ.get("PONS_RUNTIME_DIR"):
        return f"ipc://{folder}/broker.sock"
    if os.geteuid() == 0:
        return "ipc:///run/pons/broker.sock"
    if user := os.environ.get("XDG_RUNTIME_DIR"):
        return f"ipc://{user}/pons/broker.sock"
    return f"ipc:///tmp/pons-{os.geteuid()}/broker.sock"


def split_target(target: str) -> tuple[str, str]:
    """echo.say, echo@name.say, pons.lease.acquire: what stands behind the last point is the method."""
    service, _, method = target.rpartition(".")
    if not service:
        raise BadName(f"{target!r} is no SERVICE.METHOD")
    return service, method


def packed(value: Any) -> bytes:
    """A value as msgpack; None is no body."""
    try:
        body: bytes = b"" if value is None else msgpack.packb(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise Invalid(f"msgpack can't say this: {error}") from error
    return body


class Pieces:
    """The values of a stream, whose CHUNKs may end anywhere."""

    def __init__(self, method: contract.Method | None) -> None:
        self._chunk = method.chunk if method else None
        self._unpacker = msgpack.Unpacker(max_buffer_size=2 * wire.LIMITS["STREAM_WINDOW_BYTES"], strict_map_key=False)

    def take(self, message: Message) -> list[Any]:
        """The values that have become whole, each held against the contract."""
        if message.fields.get("content_type", "") not in MSGPACK:
            return [message.body]
        try:
            self._unpacker.feed(message.body)
            values = list(self._unpacker)
        except Exception as error:  # whatever else it is
            raise contract.Fault("MALFORMED", "", f"a piece is not msgpack: {error}").error(ContractMismatch) from error
        for value in values:
            if self._chunk:
                try:
                    self._chunk.check_map(value, "")
                except contract.Fault as fault:
                    raise fault.error(ContractMismatch) from None
        return values


def collected(message: Message) -> Collected:
    """A CHUNK with COLLECT."""
    instance = str(message.fields.get("annotations", {}).get("instance", ""))
    status = message.number("status")
    if not status:
        try:
            return Collected(instance, value_of(message.body, message.fields.get("content_type", "")))
        except PonsError as error:
            return Collected(instance, error=error)
    known = Status.of(status)
    return Collected(instance, error=Answer(known, **error_body(message.body, known)).error())


@dataclass
class Bus:
    """A core, and the contracts that it goes by."""

    core: Core
    contracts: contract.Contracts | None = None
    finds: dict[str, contract.Method | None] = field(default_factory=dict)

    @classmethod
    def make(cls, endpoint: str | None, agent: str, incarnation_us: int, contracts: contract.Contracts | None, calls: list[str],
             **more: Any) -> Bus:
        hashes = []
        for target in calls:
            service, name = split_target(target)
            method = contracts.find(service, name) if contracts else None
            hashes.append({"service": service, "method": name, "hash": method.hash if method else 0})
        options = Options(endpoint or default_endpoint(), agent, incarnation_us, pid=os.getpid(), calls=hashes, **more)
        return cls(Core(options), contracts)

    def method_of(self, target: str) -> contract.Method | None:
        return self.contracts.find(*split_target(target)) if self.contracts else None

    def prepare(self, target: str, value: Any, options: AskOptions, on_end: Callable[[Answer], None],
                on_chunk: Callable[[Message], None] | None = None, stream: bool = False) -> Ask:
        """Raises Invalid for what does not fit the contract."""
        service, name = split_target(target)
        method = self.method_of(target)
        if isinstance(value, Raw):
            body, content_type = value.body, value.content_type
        else:
            if method:
                method.request.check({} if value is None else value)
            body, content_type = packed({} if method and value is None else value), ""
        declared = bool(method and method.flags & wire.MethodFlag.IDEMPOTENT)
        deadline_us = self.core.options.deadline_us if options.deadline_s is None else microseconds(options.deadline_s)
        return Ask(service, name, body, deadline_us, on_end, on_chunk, content_type, options.annotations, options.trace,
                   options.priority, declared if options.idempotent is None else options.idempotent, stream, stream,
                   options.window_bytes, options.attempts)

    def wish(self, target: str, value: Any, options: AskOptions, id: str, patience_s: float | None) -> dict[str, Any]:
        """What a broker is asked to keep; raises Invalid for what does not fit the contract."""
        ask = self.prepare(target, value, options, lambda answer: None)
        return durable.wish(ask, id or wire.id_text(self.core.next_id()), int((patience_s or 0) * 1e6))

    def reply_of(self, target: str, answer: Answer) -> Any:
        """The value of a reply; raises what it ended with."""
        if answer.status:
            raise answer.error()
        method = self.method_of(target)
        if method and answer.content_type in MSGPACK:
            return method.read_reply(answer.body)
        return value_of(answer.body, answer.content_type)


def is_collect(message: Message) -> bool:
    return bool(message.number("flags") & Flag.COLLECT)
