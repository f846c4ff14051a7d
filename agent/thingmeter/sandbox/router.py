"""Brings published messages to their subscribers and to the services behind reserved topics."""

from __future__ import annotations

from typing import Protocol

from thingmeter.sandbox.limits import Limits
from thingmeter.sandbox.packets import Message
from thingmeter.sandbox.topics import matches


class Subscriber(Protocol):
    """A connection, as the router knows it."""

    def deliver(self, message: Message) -> None:
        """Send a message on, or drop it; never blocks."""


class Service(Protocol):
    """A service behind reserved topics, such as Device Defender."""

    def takes(self, topic: str) -> bool:
        """Return whether messages on ``topic`` are for this service."""

    def receive(self, message: Message) -> None:
        """Take a message; answers, if any, are published later, never before this returns."""


class Router:
    """Subscriptions, retained messages and services. Not thread-safe: it belongs to the sandbox's loop."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._subscriptions: dict[Subscriber, dict[str, int]] = {}
        self._retained: dict[str, Message] = {}
        self._services: list[Service] = []

    def attach(self, service: Service) -> None:
        """Hand what the service takes to it from now on."""
        self._services.append(service)

    def subscribe(self, subscriber: Subscriber, topic_filter: str, qos: int, *, wants_retained: bool = True) -> bool:
        """Subscribe and send what is retained; False when the subscriber has all the subscriptions it may have."""
        held = self._subscriptions.setdefault(subscriber, {})
        if topic_filter not in held and len(held) >= self._limits.subscriptions:
            return False
        held[topic_filter] = qos
        if wants_retained:
            for message in tuple(self._retained.values()):
                if matches(topic_filter, message.topic):
                    subscriber.deliver(Message(message.topic, message.payload, min(qos, message.qos), retain=True))
        return True

    def unsubscribe(self, subscriber: Subscriber, topic_filter: str) -> bool:
        """Return whether there was such a subscription, which is now gone."""
        return self._subscriptions.get(subscriber, {}).pop(topic_filter, None) is not None

    def forget(self, subscriber: Subscriber) -> None:
        """Drop all subscriptions of a connection that has ended."""
        self._subscriptions.pop(subscriber, None)

    def publish(self, message: Message) -> int:
        """Hand a message to all that it is for, once each, and return how many there are."""
        if message.retain:
            self._retain(message)
        count = 0
        for subscriber, held in tuple(self._subscriptions.items()):
            granted = [qos for topic_filter, qos in held.items() if matches(topic_filter, message.topic)]
            if granted:
                subscriber.deliver(Message(message.topic, message.payload, min(message.qos, max(granted))))
                count += 1
        for service in self._services:
            if service.takes(message.topic):
                service.receive(message)
                count += 1
        return count

    def _retain(self, message: Message) -> None:
        """Keep the newest message of a topic; an empty one deletes it. Reserved topics keep nothing."""
        if not message.payload:
            self._retained.pop(message.topic, None)
        elif not message.topic.startswith("$") and (
            message.topic in self._retained or len(self._retained) < self._limits.retained
        ):
            self._retained[message.topic] = message
