"""An open session: what follows each packet once a client is connected, as at AWS IoT Core.

QoS 2, topic aliases, subscription identifiers and shared subscriptions are refused, as CONNACK said beforehand.
Source: OASIS MQTT 5.0, chapter 3; docs.aws.amazon.com/iot/latest/developerguide/mqtt.html
"""

from __future__ import annotations

import asyncio
from typing import assert_never

from thingmeter.sandbox.errors import Cut, Refused
from thingmeter.sandbox.faults import PubAckFault
from thingmeter.sandbox.hub import Hub
from thingmeter.sandbox.outgoing import Outgoing
from thingmeter.sandbox.packets import (
    Connect,
    Disconnect,
    FromClient,
    Message,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    Reason,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
)
from thingmeter.sandbox.permission import ENDS_THE_CONNECTION, REPORT_TOPIC, judge_filter, judge_publish
from thingmeter.sandbox.policy import Policy, allowed


class OpenSession:
    """The session of one client; it ends with the connection."""

    def __init__(self, client_id: str, policy: Policy, hub: Hub, out: Outgoing) -> None:
        self.client_id = client_id
        self._policy = policy
        self._hub = hub
        self._out = out
        self._unacknowledged: set[int] = set()

    def deliver(self, message: Message) -> None:
        """Send a message on if the policy lets the client receive it."""
        if allowed(self._policy.receive, message.topic):
            self._out.deliver(message)

    def handle(self, packet: FromClient) -> None:
        """Do what follows a packet.

        Raises:
            Refused: the connection is to be ended with a reason code.
            Cut: the connection is to be closed without a word.
        """
        match packet:
            case Publish():
                self._publish(packet)
            case PubAck():
                self._out.acknowledged(packet.packet_id)
            case Subscribe():
                self._subscribe(packet)
            case Unsubscribe():
                self._unsubscribe(packet)
            case PingReq():
                self._out.send(PingResp())
            case Disconnect():
                raise Cut("the client disconnected", with_will=packet.reason == Reason.DISCONNECT_WITH_WILL)
            case Connect():
                raise Refused("a second CONNECT", reason=Reason.PROTOCOL_ERROR)
            case never:
                assert_never(never)

    def _publish(self, packet: Publish) -> None:
        reason = judge_publish(packet, self._policy, self._hub.limits)
        if reason is not Reason.SUCCESS:
            self._deny(packet, reason)
        elif packet.message.qos == 0:
            self._route(packet.message)
        else:
            self._unacknowledged.add(packet.packet_id)
            if len(self._unacknowledged) > self._hub.limits.receive_maximum:
                raise Refused("too many messages without a PUBACK", reason=Reason.RECEIVE_MAXIMUM_EXCEEDED)
            fault = self._hub.faults.take_puback()
            if fault == "refused":
                self._acknowledge(PubAck(packet.packet_id, self._hub.faults.puback_reason))
                return
            reached = self._route(packet.message)
            reason = Reason.SUCCESS if reached else Reason.NO_MATCHING_SUBSCRIBERS
            self._acknowledge_with(fault, PubAck(packet.packet_id, reason))

    def _deny(self, packet: Publish, reason: Reason) -> None:
        words = f"publishing to {packet.message.topic!a}: {reason.name.lower().replace('_', ' ')}"
        self._hub.tell("denied", self.client_id, words)
        disconnects = self._hub.faults.denied_publish == "disconnect" or packet.message.qos == 0
        if disconnects or reason in ENDS_THE_CONNECTION:
            raise Refused(words, reason=reason)
        self._out.send(PubAck(packet.packet_id, reason))

    def _route(self, message: Message) -> int:
        if not message.topic.startswith("$"):
            self._hub.tell("published", self.client_id, message.topic, message.payload)
        return self._hub.router.publish(message)

    def _acknowledge(self, puback: PubAck) -> None:
        self._unacknowledged.discard(puback.packet_id)
        self._out.send(puback)

    def _acknowledge_with(self, fault: PubAckFault, puback: PubAck) -> None:
        """Send the PUBACK in the way that the fault asks for."""
        match fault:
            case "once" | "refused":
                self._acknowledge(puback)
            case "missing":
                pass
            case "late":
                delay_s = self._hub.faults.puback_delay_s
                asyncio.get_running_loop().call_later(delay_s, self._acknowledge, puback)
            case "twice":
                self._acknowledge(puback)
                self._acknowledge(puback)
            case "wrong id":
                self._acknowledge(PubAck(puback.packet_id % 65_535 + 1, puback.reason))
            case "garbage":
                self._out.send_bytes(self._hub.faults.garbage)
            case "close before":
                raise Cut("closed before the PUBACK, as the faults ask")
            case "close after":
                self._acknowledge(puback)
                raise Cut("closed after the PUBACK, as the faults ask")
            case never:
                assert_never(never)

    def _subscribe(self, packet: Subscribe) -> None:
        if packet.has_identifier:
            raise Refused("subscription identifiers", reason=Reason.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED)
        if any(REPORT_TOPIC.fullmatch(topic_filter) for topic_filter, _, _ in packet.filters):
            raise Refused("a subscription to the topic of the reports themselves", reason=Reason.NOT_AUTHORIZED)
        if len(packet.filters) > self._hub.limits.filters:
            self._out.send(SubAck(packet.packet_id, (Reason.QUOTA_EXCEEDED,) * len(packet.filters)))
            return
        reasons = tuple(self._subscribe_one(*each) for each in packet.filters)
        self._out.send(SubAck(packet.packet_id, reasons))

    def _subscribe_one(self, topic_filter: str, qos: int, wants_retained: bool) -> int:  # noqa: FBT001 - as in Subscribe
        reason = judge_filter(topic_filter, self._policy, self._hub.limits)
        granted = min(qos, 1)
        if reason is not Reason.SUCCESS:
            self._hub.tell("denied", self.client_id, f"subscribing to {topic_filter!a}: {reason.name.lower()}")
            return reason
        if not self._hub.router.subscribe(self, topic_filter, granted, wants_retained=wants_retained):
            return Reason.QUOTA_EXCEEDED
        self._hub.tell("subscribed", self.client_id, topic_filter)
        return granted

    def _unsubscribe(self, packet: Unsubscribe) -> None:
        found = [self._hub.router.unsubscribe(self, topic_filter) for topic_filter in packet.filters]
        reasons = tuple(Reason.SUCCESS if each else Reason.NO_SUBSCRIPTION_EXISTED for each in found)
        self._out.send(UnsubAck(packet.packet_id, reasons))
