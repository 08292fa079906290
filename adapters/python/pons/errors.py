"""How a request can end, and the exceptions that say so: one class per status of docs/protocol.md, section 13.

The same classes are raised by a client's `ask` and by a handler that refuses: `raise pons.Refused("...", code="...")`."""

from __future__ import annotations

import enum


class Retry(enum.Enum):
    """What a caller may do after a failure."""

    NEVER = "never"
    LATER = "after retry_after"
    KNOWN = "at once: it took no effect"
    UNSURE = "only if the request is idempotent"


class Status(enum.IntEnum):
    """Number, retry, HTTP status, meaning."""

    retry: Retry
    http: int
    about: str

    def __new__(cls, number: int, retry: str, http: int, about: str) -> Status:
        status = int.__new__(cls, number)
        status._value_ = number
        status.retry, status.http, status.about = Retry[retry], http, about
        return status

    OK = 0, "NEVER", 200, "done"
    CANCELLED = 1, "NEVER", 499, "the caller took the request back"
    DEADLINE = 2, "UNSURE", 504, "no answer before the deadline; ask with a longer one, or look at `pons trace`"
    NO_SERVICE = 3, "KNOWN", 503, "no instance offers this service; start its agent"
    NO_METHOD = 4, "NEVER", 404, "the service has no such method; `pons contract show SERVICE` lists them"
    OVERLOADED = 5, "LATER", 429, "the service's queue is full; wait for retry_after"
    QUOTA = 6, "LATER", 429, "this client has too many requests or bytes unanswered; wait for some to end"
    BUSY = 7, "KNOWN", 503, "the instance runs all it can (in NACK)"
    OTHER_BROKER = 8, "KNOWN", 503, "this broker is warming; ask the other one"
    WORKER_LOST = 9, "UNSURE", 503, "the instance went away before it answered"
    STREAM_LOST = 10, "NEVER", 502, "the instance went away in mid-stream; what came before is all there is"
    UNAVAILABLE = 11, "KNOWN", 503, "no broker could be reached before the deadline; the request was never sent"
    UNKNOWN = 12, "NEVER", 502, "nobody can know whether the request took effect"
    INVALID = 13, "NEVER", 400, "the body does not fit the contract; path names the field"
    MALFORMED = 14, "NEVER", 400, "the frame is not of this protocol"
    UNSUPPORTED_VERSION = 15, "NEVER", 400, "peer and broker share no protocol version; upgrade the older one"
    UNSUPPORTED = 16, "NEVER", 501, "this broker does not know this kind of message"
    TOO_LARGE = 17, "NEVER", 413, "the message or body is over its limit"
    TOO_MANY_HOPS = 18, "NEVER", 508, "the request was forwarded more than 8 times: a loop of agents"
    DENIED = 19, "NEVER", 403, "the rights of this peer don't allow it"
    INTERNAL = 20, "NEVER", 500, "the handler failed; the agent's log says why"
    CONTRACT_MISMATCH = 21, "NEVER", 409, "caller and callee were built from different contracts; rebuild the older one"
    DUPLICATE = 22, "NEVER", 409, "this request id is in use"
    NO_DEADLINE = 23, "NEVER", 400, "a request needs a deadline between 1 us and half an hour"
    NO_HELLO = 24, "NEVER", 400, "the session does not exist or is over; say HELLO on a new connection"
    STALE = 25, "NEVER", 409, "a higher attempt or a newer incarnation has been seen"
    FOREIGN_ID = 26, "NEVER", 400, "the request id belongs to another client"
    DRAINING = 27, "KNOWN", 503, "the peer takes nothing new"
    BAD_NAME = 28, "NEVER", 400, "a name must be 1 to 64 of A-Z a-z 0-9 _ . -"
    LIMIT = 29, "NEVER", 429, "a count is over its limit; the message says which"
    GONE = 30, "NEVER", 410, "the request was answered before and the reply is no longer kept"
    REFUSED = 31, "NEVER", 400, "who does the work refuses this request as it is; the message says what to change"
    FAILED = 32, "UNSURE", 502, "what does the work failed; the message has the first cause and what was tried after it"

    @classmethod
    def of(cls, number: int) -> Status:
        """The status of an ERROR; what we don't know, or OK, is INTERNAL."""
        return next((status for status in cls if status == number and number), cls.INTERNAL)


class PonsError(Exception):
    """The end of a request that was not answered. An exception of this class itself is about this process: it was closed, or
    used wrongly."""

    status = Status.INTERNAL
    _of: dict[Status, type[PonsError]] = {}

    def __init__(self, message: object = "", *, path: str = "", code: str = "", http_status: int = 0, retry_after_s: float = 0.0,
                 origin: str = "", request: str = "", attempts: int = 0) -> None:
        """message: one sentence for a person, or what says one, such as another exception. path: the field that is wrong. code: the cause for a program. origin: who says
        so, empty for this process. request: the id that `pons trace` takes. attempts: how often it was asked."""
        self.message = str(message) or self.status.about
        super().__init__(self.message)
        self.path, self.code, self.http_status = str(path), str(code), int(http_status)
        self.retry_after_s, self.origin, self.request, self.attempts = float(retry_after_s), origin, request, attempts

    def __init_subclass__(cls) -> None:
        cls._of.setdefault(cls.status, cls)  # a program's own kinds of them are raised by that program alone

    def __str__(self) -> str:
        return f"{self.status.name}: {self.path + ': ' if self.path else ''}{self.message}"

    @classmethod
    def of(cls, status: Status) -> type[PonsError]:
        """The class of a status."""
        return cls._of[status]


class Cancelled(PonsError): status = Status.CANCELLED  # noqa: E701
class Deadline(PonsError): status = Status.DEADLINE  # noqa: E701
class NoService(PonsError): status = Status.NO_SERVICE  # noqa: E701
class NoMethod(PonsError): status = Status.NO_METHOD  # noqa: E701
class Overloaded(PonsError): status = Status.OVERLOADED  # noqa: E701
class Quota(PonsError): status = Status.QUOTA  # noqa: E701
class Busy(PonsError): status = Status.BUSY  # noqa: E701
class OtherBroker(PonsError): status = Status.OTHER_BROKER  # noqa: E701
class WorkerLost(PonsError): status = Status.WORKER_LOST  # noqa: E701
class StreamLost(PonsError): status = Status.STREAM_LOST  # noqa: E701
class Unavailable(PonsError): status = Status.UNAVAILABLE  # noqa: E701
class Unknown(PonsError): status = Status.UNKNOWN  # noqa: E701
class Invalid(PonsError): status = Status.INVALID  # noqa: E701
class Malformed(PonsError): status = Status.MALFORMED  # noqa: E701
class UnsupportedVersion(PonsError): status = Status.UNSUPPORTED_VERSION  # noqa: E701
class Unsupported(PonsError): status = Status.UNSUPPORTED  # noqa: E701
class TooLarge(PonsError): status = Status.TOO_LARGE  # noqa: E701
class TooManyHops(PonsError): status = Status.TOO_MANY_HOPS  # noqa: E701
class Denied(PonsError): status = Status.DENIED  # noqa: E701
class Internal(PonsError): status = Status.INTERNAL  # noqa: E701
class ContractMismatch(PonsError): status = Status.CONTRACT_MISMATCH  # noqa: E701
class Duplicate(PonsError): status = Status.DUPLICATE  # noqa: E701
class NoDeadline(PonsError): status = Status.NO_DEADLINE  # noqa: E701
class NoHello(PonsError): status = Status.NO_HELLO  # noqa: E701
class Stale(PonsError): status = Status.STALE  # noqa: E701
class ForeignId(PonsError): status = Status.FOREIGN_ID  # noqa: E701
class Draining(PonsError): status = Status.DRAINING  # noqa: E701
class BadName(PonsError): status = Status.BAD_NAME  # noqa: E701
class Limit(PonsError): status = Status.LIMIT  # noqa: E701
class Gone(PonsError): status = Status.GONE  # noqa: E701
class Refused(PonsError): status = Status.REFUSED  # noqa: E701
class Failed(PonsError): status = Status.FAILED  # noqa: E701
