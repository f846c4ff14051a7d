"""One client's connection to the broker, from CONNECT to its end. A session ends with its connection."""

from __future__ import annotations

import asyncio
from typing import assert_never

from thingmeter.sandbox.codec import CONNACK_MQTT_3_REFUSED, decode
from thingmeter.sandbox.errors import Cut, Refused
from thingmeter.sandbox.frames import read_frame
from thingmeter.sandbox.hub import Hub
from thingmeter.sandbox.outgoing import Outgoing
from thingmeter.sandbox.packets import ConnAck, Connect, Disconnect, FromClient, Message, Publish, Reason
from thingmeter.sandbox.permission import judge_publish
from thingmeter.sandbox.policy import allowed
from thingmeter.sandbox.session import OpenSession
from thingmeter.sandbox.tls import TlsChannel

KEEP_ALIVE_GRACE = 1.5
HALF_OPEN_LOOK_S = 0.05  # how often a connection that plays dead looks whether it still should


class Connection:
    """Serves one client, whose certificate is for ``name``, until either side ends it."""

    def __init__(self, channel: TlsChannel, name: str, hub: Hub) -> None:
        self._channel = channel
        self._name = name
        self._hub = hub
        self._policy = hub.policy_of(name)
        self._out = Outgoing(channel, hub.limits, hub.faults)
        self._silence_s = hub.limits.connect_timeout_s
        self._session: OpenSession | None = None
        self._will: Message | None = None
        self._patience: asyncio.Timeout | None = None
        self._ended = False

    async def serve(self) -> None:
        """Serve the client; returns when the connection has ended, and raises nothing but CancelledError."""
        try:
            session = await self._connect()
            while not self._ended:
                session.handle(await self._next_packet())
        except Refused as error:
            self.end(error.reason, str(error))
        except Cut as error:
            if not error.with_will:
                self._will = None
            self._close(str(error))
        except asyncio.IncompleteReadError:
            self._close("the client closed the connection")
        except OSError as error:
            self._close(f"the connection broke: {error}")
        finally:
            self._forget()

    def end(self, reason: int, words: str) -> None:
        """Tell the client why, as far as MQTT allows it, and close the connection. The will is published."""
        if self._ended:
            return
        if reason == 1:
            self._out.send_bytes(CONNACK_MQTT_3_REFUSED)
        elif self._session is None:
            self._out.send(ConnAck(reason, reason_string=words))
        else:
            self._out.send(Disconnect(reason, words))
        self._close(words)

    async def _connect(self) -> OpenSession:
        packet = await self._next_packet()
        if not isinstance(packet, Connect):
            raise Refused("the first packet is not CONNECT", reason=Reason.PROTOCOL_ERROR)
        self._check(packet)
        match self._hub.faults.take_at_connect():
            case "accept":
                return self._accept(packet)
            case "accept and close":
                self._accept(packet)
                raise Cut("closed after CONNACK, as the faults ask")
            case "refuse":
                raise Refused("refused, as the faults ask", reason=self._hub.faults.connack_reason)
            case "close":
                raise Cut("closed after CONNECT, as the faults ask")
            case "garbage":
                self._out.send_bytes(self._hub.faults.garbage)
            case "silence":
                pass
            case never:
                assert_never(never)
        await self._channel.ignore_the_rest()
        raise Cut("the client closed the connection")

    def _check(self, packet: Connect) -> None:
        if packet.authentication_method:
            raise Refused("enhanced authentication", reason=Reason.BAD_AUTHENTICATION_METHOD)
        if not packet.client_id or not allowed(self._policy.client_ids, packet.client_id):
            words = f"the certificate of {self._name!a} does not allow the client id {packet.client_id!a}"
            raise Refused(words, reason=Reason.NOT_AUTHORIZED)
        if packet.will is not None:
            reason = judge_publish(Publish(packet.will), self._policy, self._hub.limits)
            if reason is not Reason.SUCCESS:
                raise Refused(f"a last will to {packet.will.topic!a}", reason=reason)

    def _accept(self, packet: Connect) -> OpenSession:
        reason = self._hub.admit(packet.client_id, self)
        if reason is not Reason.SUCCESS:
            raise Refused(f"{packet.client_id!a} connects too often", reason=reason)
        limits = self._hub.limits
        granted_s = limits.keep_alive_s(packet.keep_alive_s)
        self._silence_s = granted_s * KEEP_ALIVE_GRACE
        self._out.receive_maximum = packet.receive_maximum
        self._out.maximum_packet_bytes = packet.maximum_packet_bytes
        self._out.send(
            ConnAck(
                Reason.SUCCESS,
                receive_maximum=limits.receive_maximum,
                maximum_packet_bytes=limits.packet_bytes,
                server_keep_alive_s=None if granted_s == packet.keep_alive_s else granted_s,
            )
        )
        self._will = packet.will
        self._session = OpenSession(packet.client_id, self._policy, self._hub, self._out)
        self._hub.tell("connected", packet.client_id, f"keep-alive {granted_s} s")
        self._limit_lifetime()
        return self._session

    def _limit_lifetime(self) -> None:
        lifetime_s = self._hub.faults.connection_lifetime_s
        if lifetime_s is not None:
            words = "the connection has lasted long enough"
            asyncio.get_running_loop().call_later(lifetime_s, self.end, Reason.MAXIMUM_CONNECT_TIME, words)

    async def _next_packet(self) -> FromClient:
        try:
            async with asyncio.timeout(self._silence_s) as self._patience:
                first_byte, body = await read_frame(self._channel, self._hub.limits.packet_bytes)
        except TimeoutError:
            raise Refused("the client was silent for too long", reason=Reason.KEEP_ALIVE_TIMEOUT) from None
        finally:
            self._patience = None
        while self._hub.faults.half_open and not self._ended:  # noqa: ASYNC110 - another thread flips the switch
            await asyncio.sleep(HALF_OPEN_LOOK_S)
        return decode(first_byte, body)

    def _close(self, words: str) -> None:
        """Close, and note why; only the first reason counts."""
        if self._ended:
            return
        self._ended = True
        self._out.close()
        if self._patience is not None:  # serve() is reading; a client that does not close would keep it there
            self._patience.reschedule(asyncio.get_running_loop().time())
        if self._session is None:
            self._hub.tell("refused", self._name, words)
        else:
            self._hub.tell("disconnected", self._session.client_id, words)

    def _forget(self) -> None:
        """Leave nothing behind but the will, for those who are still there."""
        self._close("the broker stopped")
        if self._session is not None:
            self._hub.forget(self._session.client_id, self)
            self._hub.router.forget(self._session)
        if self._will is not None:
            self._hub.router.publish(self._will)
