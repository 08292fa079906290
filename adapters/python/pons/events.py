"""Events, pure: publishing with a sequence per topic; subscriptions, each of which sees every event once and notices holes
(docs/protocol.md, section 11)."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import wire
from .session import Session
from .timers import Timer
from .wire import LIMITS, Flag, Kind, Message

if TYPE_CHECKING:
    from .core import Core

SEEN_MAX = 4096  # publishers and topics that one subscription keeps in mind; the oldest is forgotten first
REFETCH_US = 10_000  # holes of that time are mended together


@dataclass
class Event:
    topic: str
    body: bytes
    content_type: str  # empty = msgpack
    publisher: int  # client id; 0 = a broker
    sequence: int  # of this publisher and topic, from 1
    lost: int  # events that this subscriber has lost so far because it read slowly
    retained: bool  # a kept value, not a fresh one
    gap: bool  # between this one and the last of this publisher and topic some are missing; the last values are fetched again

    @property
    def value(self) -> Any:
        """What it says: msgpack becomes a value, everything else stays bytes."""
        return wire.value_of(self.body, self.content_type)


class Subscription:
    def __init__(self, events: Events, pattern: str, on_event: Callable[[Event], None]) -> None:
        self.pattern, self.on_event = pattern, on_event
        self.over = False
        self.refetch = Timer(lambda now: events.send_to_all(Kind.SUBSCRIBE, pattern))
        self._core = events.core
        self._seen: OrderedDict[tuple[int, str], int] = OrderedDict()
        self.lost = [0, 0]

    def _note(self, publisher: int, sequence: int, topic: str) -> bool | None:
        """None when it was seen before; else whether some before it are missing."""
        if not publisher:
            return False
        last = self._seen.get((publisher, topic))
        if last is not None and sequence <= last:
            return None
        self._seen[publisher, topic] = sequence
        if len(self._seen) > SEEN_MAX:
            self._seen.popitem(last=False)
        return last is not None and sequence > last + 1

    def deliver(self, session: Session, message: Message) -> None:
        publisher, sequence = wire.id_parts(message.id) if message.id else (0, 0)
        topic, flags = message.fields["service"], message.number("flags")
        gap = self._note(publisher, sequence, topic)
        if gap is None:
            self._core.stats.events_dropped += 1
            return
        if message.number("number") > self.lost[session.index]:
            self.lost[session.index] = message.number("number")
            gap = True
        retained = bool(flags & Flag.RETAIN)
        if gap and not retained and self.refetch.at is None:
            self._core.timers.set(self.refetch, self._core.now + REFETCH_US)
        self.on_event(Event(topic, message.body, message.fields.get("content_type", ""), publisher, sequence, sum(self.lost),
                            retained, gap))


class Events:
    def __init__(self, core: Core) -> None:
        self.core = core
        self._subscriptions: list[Subscription] = []
        self._sequences: dict[str, int] = {}
        self._waiting: deque[tuple[str, bytes, int, bool]] = deque()

    # --- publishing: by the broker that is asked too, which tells the other ---

    def publish(self, topic: str, body: bytes, retain: bool) -> None:
        if not wire.is_topic(topic):
            raise ValueError(f"{topic!r} is no topic: tokens of A-Z a-z 0-9 _ - with points between, at most 130 bytes")
        if len(body) > LIMITS["BODY_BYTES"]:
            raise ValueError(f"an event has at most {LIMITS['BODY_BYTES']} bytes, and this one {len(body)}")
        if topic not in self._sequences and len(self._sequences) >= LIMITS["TOPICS"]:
            self.core.stats.events_dropped += 1
            return
        sequence = self._sequences[topic] = self._sequences.get(topic, 0) + 1
        if self.core.home:
            self._send(self.core.home, topic, body, sequence, retain)
            return
        self._waiting.append((topic, body, sequence, retain))
        if len(self._waiting) > LIMITS["OUTBOX_EVENTS"]:
            self._waiting.popleft()
            self.core.stats.events_dropped += 1

    def _send(self, session: Session, topic: str, body: bytes, sequence: int, retain: bool) -> None:
        session.send(Kind.PUBLISH, body, id=wire.request_id(self.core.client, sequence), service=topic,
                     flags=Flag.RETAIN if retain else 0)

    def place(self, home: Session) -> None:
        """There is a broker to publish by."""
        while self._waiting:
            self._send(home, *self._waiting.popleft())

    # --- subscribing: at every broker, so that the loss of one loses no event ---

    def subscribe(self, pattern: str, on_event: Callable[[Event], None]) -> Subscription:
        if not wire.is_topic(pattern, pattern=True):
            raise ValueError(f"{pattern!r} is no pattern: a topic in which * stands for one token, and a last > for one or more")
        if len(self._subscriptions) >= LIMITS["SUBSCRIPTIONS"]:
            raise ValueError(f"at most {LIMITS['SUBSCRIPTIONS']} subscriptions at a time")
        subscription = Subscription(self, pattern, on_event)
        self._subscriptions.append(subscription)
        self.send_to_all(Kind.SUBSCRIBE, pattern)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        if subscription.over:
            return
        subscription.over = True
        self.core.timers.stop(subscription.refetch)
        self._subscriptions.remove(subscription)
        if not any(other.pattern == subscription.pattern for other in self._subscriptions):
            self.send_to_all(Kind.UNSUBSCRIBE, subscription.pattern)

    def send_to_all(self, kind: Kind, pattern: str) -> None:
        for session in self.core.sessions:
            if session.is_open:
                session.send(kind, service=pattern)

    def on_open(self, session: Session) -> None:
        for subscription in self._subscriptions:
            subscription.lost[session.index] = 0
            session.send(Kind.SUBSCRIBE, service=subscription.pattern)

    def receive(self, session: Session, message: Message) -> bool:
        for subscription in list(self._subscriptions):
            if not subscription.over and wire.topic_matches(subscription.pattern, message.fields["service"]):
                subscription.deliver(session, message)
        return True
