"""Contracts from tables such as agents/contracts/echo.def: what a method takes and gives (docs/contracts.md). Pure, but for the
file that is read.

    contracts = Contracts("agents/contracts/echo.def")
    contracts.find("echo", "say").request.check({"text": "hi"})     # raises Invalid, whose path names the field
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgpack

from . import wire
from .errors import ContractMismatch, Internal, Invalid, PonsError
from .wire import LIMITS, MethodFlag

CONSTANTS = {"UINT64_MAX": 2**64 - 1, "UINT32_MAX": 2**32 - 1, "UINT16_MAX": 2**16 - 1, "INT64_MAX": 2**63 - 1, "INT64_MIN": -2**63,
             **{f"LIMIT_{name}": value for name, value in LIMITS.items()}}
DEPTH_MAX = 32  # of what ANY holds


class Fault(Exception):
    """A value that does not fit: why, where, and a sentence."""

    def __init__(self, reason: str, path: str, message: str) -> None:
        super().__init__(f"{reason}: {path}: {message}")
        self.reason, self.path, self.message = reason, path, message

    def error(self, kind: type[PonsError]) -> PonsError:
        return kind(f"{self.reason}: {self.message}", path=self.path)


@dataclass
class Field:
    name: str
    type: str  # BOOL INT UINT REAL TEXT NAME BYTES ANY MESSAGE
    required: bool
    low: float = 0
    high: float = 0
    unit: str = ""
    allowed: tuple[str, ...] = ()
    message: Message | None = None
    count: tuple[int, int] | None = None  # of a list

    def canonical(self) -> str:
        head = self.name + ("!" if self.required else "?") + (f"list({self.count[0]}..{self.count[1]})" if self.count else "")
        if self.message:
            return head + self.message.canonical()
        if self.type == "BOOL":
            return head + "bool"
        if self.allowed:
            return f"{head}text({'|'.join(self.allowed)})"
        low, high = (f"{bound:.17g}" if self.type == "REAL" else str(bound) for bound in (self.low, self.high))
        return f"{head}{self.type.lower()}({low}..{high}){self.unit}"

    def wanted(self) -> str:
        kinds = {"BOOL": "true or false", "INT": "a whole number", "UINT": "a whole number", "REAL": "a number", "TEXT": "a text",
                 "NAME": "a name (A-Z a-z 0-9 _ . -)", "BYTES": "bytes", "ANY": "a msgpack value"}
        if self.message:
            return f"a map ({self.message.name})"
        if self.allowed:
            return f"one of {'|'.join(self.allowed)}"
        if self.type == "BOOL":
            return kinds["BOOL"]
        if self.type in ("INT", "UINT", "REAL"):
            return f"{kinds[self.type]} from {self.low} to {self.high}{' ' + self.unit if self.unit else ''}"
        return f"{kinds[self.type]} of {self.low} to {self.high} bytes"

    def check(self, value: Any, path: str) -> None:
        if self.count is None:
            self._check_one(value, path)
            return
        if not isinstance(value, list | tuple):
            raise Fault("WRONG_TYPE", path, f"wanted a list, got {_type(value)}")
        if not self.count[0] <= len(value) <= self.count[1]:
            raise Fault("OUT_OF_RANGE", path, f"wanted a list of {self.count[0]} to {self.count[1]} values, got {len(value)}")
        for i, item in enumerate(value):
            self._check_one(item, f"{path}[{i}]")

    def _check_one(self, value: Any, path: str) -> None:
        if self.message:
            self.message.check_map(value, path)
            return
        fits = _TYPES[self.type](value)
        if not fits:
            raise Fault("WRONG_TYPE", path, f"wanted {self.wanted()}, got {_type(value)}")
        if self.type == "ANY" and not _is_flat(value):
            raise Fault("MALFORMED", path, f"wanted {self.wanted()}, got a value nested over {DEPTH_MAX} deep")
        size = _SIZES[self.type](value)
        if size == -1 and self.type == "ANY":
            raise Fault("WRONG_TYPE", path, f"wanted {self.wanted()}, got one that msgpack can't say")
        wrong = value not in self.allowed if self.allowed else self.type != "BOOL" and not self.low <= size <= self.high
        if wrong or self.type == "NAME" and not wire.is_name(value):
            raise Fault("OUT_OF_RANGE", path, f"wanted {self.wanted()}, got {_told(self.type, value, size)}")


def _type(value: Any) -> str:
    if value is None:
        return "nil (leave an absent field out)"
    names = {bool: "a bool", int: "a whole number", float: "a real number", str: "a text", bytes: "bytes", list: "a list", dict: "a map"}
    return names.get(type(value), f"a {type(value).__name__}")


def _told(kind: str, value: Any, size: float) -> str:
    return str(value) if kind in ("INT", "UINT", "REAL") else f"one of {size} bytes"


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_TYPES: dict[str, Callable[[Any], bool]] = {
    "BOOL": lambda value: isinstance(value, bool), "INT": _is_int, "UINT": _is_int,
    "REAL": lambda value: (isinstance(value, float) and not math.isnan(value)) or _is_int(value),
    "TEXT": lambda value: isinstance(value, str), "NAME": lambda value: isinstance(value, str),
    "BYTES": lambda value: isinstance(value, bytes | bytearray), "ANY": lambda value: value is not None}


def _text_size(value: str) -> int:
    return len(value.encode(errors="surrogatepass"))


def _is_flat(value: Any) -> bool:
    """Whether it is nested at most DEPTH_MAX deep."""
    inside = [value]
    for _ in range(DEPTH_MAX + 1):
        groups = [one for one in inside if isinstance(one, list | tuple | dict)]
        if not groups:
            return True
        inside = [item for one in groups for item in ([*one.keys(), *one.values()] if isinstance(one, dict) else one)]
    return False


def _any_size(value: Any) -> int:
    try:
        return len(msgpack.packb(value))
    except (TypeError, ValueError, OverflowError):
        return -1


_SIZES: dict[str, Callable[[Any], float]] = {
    "BOOL": lambda value: 0, "INT": lambda value: value, "UINT": lambda value: value, "REAL": lambda value: value,  # type: ignore[no-any-return]
    "TEXT": _text_size, "NAME": _text_size, "BYTES": len, "ANY": _any_size}


@dataclass
class Message:
    name: str
    open: bool = False  # fields that are not known are passed over
    fields: dict[str, Field] = field(default_factory=dict)

    def canonical(self) -> str:
        return "{" + ",".join(row.canonical() for row in self.fields.values()) + ("*}" if self.open else "}")

    def check_map(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise Fault("WRONG_TYPE", path, f"wanted a map ({self.name}), got {_type(value)}")
        prefix = f"{path}." if path else ""
        for name, item in value.items():
            row = self.fields.get(name)
            if row:
                row.check(item, prefix + name)
            elif not self.open:
                raise Fault("UNKNOWN_FIELD", f"{prefix}{name}", f"the contract ({self.name}) has no such field")
        for name, row in self.fields.items():
            if row.required and name not in value:
                raise Fault("MISSING", prefix + name, f"is required: {row.wanted()}")

    def check(self, value: Any) -> None:
        """Raises Invalid."""
        try:
            self.check_map(value, "")
        except Fault as fault:
            raise fault.error(Invalid) from None

    def decode(self, body: bytes) -> dict[str, Any]:
        """The message of a body. Raises Fault."""
        seen: list[str] = []

        def as_map(pairs: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
            made: dict[Any, Any] = {}
            for key, value in pairs:
                if key in made:
                    seen.append(str(key))
                made[key] = value
            return made

        try:
            value = msgpack.unpackb(body, object_pairs_hook=as_map, strict_map_key=False)
        except Exception as error:  # cut short, bytes left over, nested too deep, not UTF-8
            raise Fault("MALFORMED", "", f"not one msgpack value: {error}") from error
        if seen:
            raise Fault("DUPLICATE", seen[0], "the field is there twice")
        self.check_map(value, "")
        return value  # type: ignore[no-any-return]


@dataclass
class Method:
    service: str
    name: str
    version: int
    request: Message
    reply: Message
    chunk: Message | None
    flags: int

    def canonical(self) -> str:
        chunk = self.chunk.canonical() if self.chunk else "-"
        return f"{self.version} {int(self.flags)} {self.request.canonical()} {self.reply.canonical()} {chunk}"

    @property
    def hash(self) -> int:
        """FNV-1a of the canonical form, which both sides compare."""
        value = 0xCBF29CE484222325
        for byte in self.canonical().encode():
            value = (value ^ byte) * 0x100000001B3 % 2**64
        return value or 1

    def read_reply(self, body: bytes) -> dict[str, Any]:
        """Raises ContractMismatch when a reply does not fit."""
        try:
            return self.reply.decode(body)
        except Fault as fault:
            raise fault.error(ContractMismatch) from None

    def check_answer(self, value: Any, chunk: bool = False) -> None:
        """Raises Internal: what the agent itself answers does not fit."""
        message = self.chunk if chunk else self.reply
        try:
            if message is None:
                raise Fault("UNKNOWN_FIELD", "", "the method sends no pieces")
            message.check_map(value, "")
        except Fault as fault:
            raise fault.error(Internal) from None


ROW = re.compile(r"^\s*([A-Z_]+)\((.*)\)\s*$")
CELL = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,"]+)\s*(?:,|$)')


class TableError(ValueError):
    """A row of a table that can't be read: file, line and why."""


class Contracts:
    """The methods of one or more tables."""

    def __init__(self, *paths: str | os.PathLike[str]) -> None:
        self.messages: dict[str, Message] = {}
        self.methods: dict[tuple[str, str], Method] = {}
        self._open: Message | None = None
        for path in paths:
            self.read(path)

    def find(self, service: str, method: str) -> Method | None:
        """service may have @instance."""
        return self.methods.get((service.partition("@")[0], method))

    def read(self, path: str | os.PathLike[str]) -> None:
        with open(path, encoding="utf-8") as file:
            text = re.sub(r"/\*.*?\*/", lambda match: "\n" * match.group().count("\n"), file.read(), flags=re.S)
        for number, line in enumerate(text.split("\n"), 1):
            if not line.strip():
                continue
            try:
                self._row(line)
            except (ValueError, IndexError, KeyError) as error:
                raise TableError(f"{os.fspath(path)}:{number}: this row of a contract can't be read ({error}); docs/contracts.md has the rows") from None

    def _row(self, line: str) -> None:
        match = ROW.match(line)
        if not match:
            raise ValueError("no row")
        kind = match.group(1)
        cells = [cell.strip() for cell in CELL.findall(match.group(2))]
        cells = [cell[1:-1] if cell.startswith('"') else cell for cell in cells]
        if kind in ("MESSAGE", "OPEN_MESSAGE", "EMPTY"):
            message = self.messages[cells[0]] = Message(cells[0], kind == "OPEN_MESSAGE")
            self._open = None if kind == "EMPTY" else message
        elif kind == "END":
            self._open = None
        elif kind in ("METHOD", "STREAM"):
            self._method(kind == "STREAM", cells)
        elif kind != "CALL":
            self._field(kind, cells)

    def _method(self, streams: bool, cells: list[str]) -> None:
        service, name, version, request, *replies, flag, _ = cells
        chunk = self.messages[replies[0]] if streams else None
        flags = MethodFlag[flag] | (MethodFlag.STREAMING if streams else 0)
        self.methods[service, name] = Method(service, name, int(version), self.messages[request], self.messages[replies[-1]], chunk, flags)

    def _field(self, kind: str, cells: list[str]) -> None:
        required = {"REQUIRED": True, "OPTIONAL": False}[cells[0]]
        count = None
        if kind in ("LIST", "NESTED_LIST"):
            count = (int(_bound(cells[3])), int(_bound(cells[4])))
            cells = cells[:3] + cells[5:]
        if kind == "FLAG":
            row = Field(cells[1], "BOOL", required)
        elif kind == "CHOICE":
            row = Field(cells[1], "TEXT", required, allowed=tuple(cells[2].split("|")))
        elif kind in ("NESTED", "NESTED_LIST"):
            row = Field(cells[2], "MESSAGE", required, message=self.messages[cells[1]], count=count)
        elif kind in ("FIELD", "LIST"):
            if cells[1] not in _TYPES:
                raise ValueError(f"no type {cells[1]}")
            row = Field(cells[2], cells[1], required, _bound(cells[3]), _bound(cells[4]), cells[5], count=count)
        else:
            raise ValueError(f"no row {kind}")
        if self._open is None:
            raise ValueError("a field outside of a message")
        self._open.fields[row.name] = row


def _bound(text: str) -> float:
    """A number, or the name of one."""
    if text in CONSTANTS:
        return CONSTANTS[text]
    return float(text) if re.search(r"[.eE]", text) else int(text)
