"""pons for Python: ask, stream, publish, subscribe, and be an agent. Needs pyzmq and msgpack alone.

`Client` is for everybody, `aio.Client` for asyncio, `Agent` makes a process that answers. docs/python.md is the manual."""

from . import aio
from ._version import VERSION
from .agent import Agent, Call, Forward
from .bus import AskOptions, Collected, Raw
from .client import Client
from .contract import Contracts
from .durable import Kept
from .errors import *  # noqa: F401,F403
from .errors import PonsError, Retry, Status
from .events import Event
from .flag import FlagState
from .key import BadKey
from .request import Answer
from .wire import BATCH, INTERACTIVE, NORMAL

__version__ = VERSION
__all__ = ["Agent", "Answer", "AskOptions", "BATCH", "BadKey", "Call", "Client", "Collected", "Contracts", "Event", "FlagState",
           "Forward", "INTERACTIVE", "Kept", "NORMAL", "PonsError", "Raw", "Retry", "Status", "aio", *(kind.__name__ for kind in PonsError.__subclasses__())]
