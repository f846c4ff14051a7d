"""The broker's packets on their way to one client: flow control, and the faults that concern writing."""

from __future__ import annotations

import asyncio
from collections import deque

from thingmeter.sandbox.codec import encode
from thingmeter.sandbox.faults import Faults
from thingmeter.sandbox.limits import Limits
from thingmeter.sandbox.packets import FromBroker, Message, Publish
from thingmeter.sandbox.tls import TlsChannel

MAXIMUM_UNSENT_BYTES = 4 * 1024 * 1024
PACKET_IDS = 65_536


class Outgoing:
    """Writes packets to one client; nothing here blocks, and what a slow client does not take is bounded."""

    def __init__(self, channel: TlsChannel, limits: Limits, faults: Faults) -> None:
        self.receive_maximum = limits.receive_maximum
        self.maximum_packet_bytes = limits.packet_bytes
        self._channel = channel
        self._limits = limits
        self._faults = faults
        self._unacknowledged: set[int] = set()
        self._waiting: deque[Message] = deque()
        self._last_packet_id = 0
        self._trickle: deque[bytes] = deque()
        self._trickler: asyncio.Task[None] | None = None

    def send(self, packet: FromBroker) -> None:
        """Write a packet."""
        self.send_bytes(encode(packet))

    def send_bytes(self, content: bytes) -> None:
        """Write bytes as they are; a client that leaves too many of them unread is cut off."""
        if self._faults.half_open or self._channel.is_closed:
            return
        if self._channel.unsent_bytes + sum(map(len, self._trickle)) > MAXIMUM_UNSENT_BYTES:
            self._channel.abort()
            return
        if not self._faults.byte_delay_s and self._trickler is None:
            self._channel.write(content)
            return
        self._trickle.append(content)
        if self._trickler is None:
            self._trickler = asyncio.create_task(self._write_slowly())

    def deliver(self, message: Message) -> None:
        """Publish a message to the client; of QoS 1 not more at a time than it takes."""
        if message.qos == 0:
            self._publish(Publish(message))
        elif len(self._unacknowledged) < self.receive_maximum:
            self._publish(Publish(message, self._next_packet_id()))
        elif len(self._waiting) < self._limits.waiting:
            self._waiting.append(message)

    def acknowledged(self, packet_id: int) -> None:
        """Take the client's PUBACK, which makes room for the next message; unknown ones are ignored."""
        self._unacknowledged.discard(packet_id)
        if self._waiting and len(self._unacknowledged) < self.receive_maximum:
            self._publish(Publish(self._waiting.popleft(), self._next_packet_id()))

    def close(self) -> None:
        """Close the connection once what was written is out."""
        if self._trickler is not None:
            self._trickler.add_done_callback(lambda _: self._channel.close())
        else:
            self._channel.close()

    def _publish(self, publish: Publish) -> None:
        content = encode(publish)
        if len(content) > self.maximum_packet_bytes:
            return  # OASIS MQTT 5.0, 3.1.2.11.4: it is then as if it had been sent
        if publish.packet_id:
            self._unacknowledged.add(publish.packet_id)
        self.send_bytes(content)

    def _next_packet_id(self) -> int:
        while True:
            self._last_packet_id = self._last_packet_id % (PACKET_IDS - 1) + 1
            if self._last_packet_id not in self._unacknowledged:
                return self._last_packet_id

    async def _write_slowly(self) -> None:
        while self._trickle and not self._channel.is_closed:
            for byte in self._trickle.popleft():
                self._channel.write(bytes([byte]))
                await asyncio.sleep(self._faults.byte_delay_s)
        self._trickler = None
