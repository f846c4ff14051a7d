"""The client over paho-mqtt, driven by a loop of ours on the session's thread.

paho's own loop wakes each second and lets every caller write to the socket; here one thread touches the library.
Other threads leave requests in a deque and ring an eventfd, so an idle connection wakes only for its keep-alive.
Times are the real monotonic ones, as paho's are: they bound waits in the kernel.
"""

from __future__ import annotations

import contextlib
import math
import os
import select
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any, TypeVar

import socks
from paho.mqtt.client import Client as Library
from paho.mqtt.client import ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, LogLevel, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from thingmeter.mqtt.client import (
    LEAVE_TIMEOUT_S,
    MAXIMUM_INCOMING_BYTES,
    PEER_TIMEOUT_S,
    Answer,
    ConnectFailed,
    Granted,
    Lost,
    Options,
    lose,
    settle,
)
from thingmeter.mqtt.proxy import proxy_of
from thingmeter.mqtt.reasons import clean, describe
from thingmeter.mqtt.tls import client_context

T = TypeVar("T")

LONGEST_WAIT_S = 3600.0  # without a keep-alive; every wait has an end
READ_BYTES = 65_536
# What paho's decoder raises on garbage besides its own MalformedPacket, and its socket layer on a broken connection.
UNREADABLE = (ArithmeticError, AssertionError, AttributeError, LookupError, OSError, TypeError, ValueError)


class _Socket(ssl.SSLSocket):
    """Closes itself when the handshake fails, which paho leaves to the collector, and reads in bounded pieces.

    paho asks for as many bytes as a packet announces, up to 256 MB, and Python would set them aside at once.
    """

    def do_handshake(self, block: bool = False) -> None:  # noqa: FBT001, FBT002 - the standard library's signature
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        return super().recv(min(buflen, READ_BYTES), flags)


class Client:
    """One connection over paho; the contract is that of ``thingmeter.mqtt.client.Client``."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._lock = threading.Lock()  # guards _requests, _closed and the life of _bell
        self._requests: deque[tuple[Future[Any], Callable[[], object]]] = deque()
        self._closed = False
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._publishes: dict[int, Future[Answer]] = {}
        self._subscribes: dict[int, Future[tuple[int, ...]]] = {}
        self._connack: Answer | None = None
        self._granted = Granted()
        self._lost: Lost | None = None
        self._leaving = ""
        self._last_error = ""
        self._last_in = self._last_out = 0.0
        self._on_message: Callable[[str, bytes], None] | None = None
        self._library = self._make()

    def connect(self, timeout_s: float) -> Granted:
        """Connect; ``timeout_s`` bounds each of TCP, TLS and the CONNACK."""
        self._open(timeout_s)
        deadline = time.monotonic() + timeout_s
        while self._connack is None and self._lost is None:
            if self._leaving:
                raise ConnectFailed(f"mqtt: {self._leaving}")  # before the CONNECT has left, if it can be
            remaining_s = deadline - time.monotonic()
            if remaining_s <= 0:
                raise ConnectFailed(f"mqtt: no CONNACK within {timeout_s:g} s")
            self._turn(remaining_s)
        if self._connack is not None and self._connack.code:
            refused = describe(self._connack.code, self._connack.words)
            raise ConnectFailed(f"mqtt: the broker refused the connection: {refused}", self._connack.code)
        if self._lost is not None:
            raise ConnectFailed(f"mqtt: no CONNACK: {self._lost}", self._lost.code)
        return self._granted

    def serve(self, on_message: Callable[[str, bytes], None]) -> Lost:
        """Turn the loop until the connection ends."""
        self._on_message = on_message
        leave_at = math.inf
        while self._lost is None and time.monotonic() < leave_at:
            while self._requests:
                self._requests.popleft()[1]()
            if self._leaving and leave_at == math.inf:
                leave_at = time.monotonic() + LEAVE_TIMEOUT_S
            self._turn(min(self._until_ping_s(), max(0.0, leave_at - time.monotonic())))
        self._lost = Lost(self._leaving) if self._leaving or self._lost is None else self._lost
        return self._lost

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> Future[Answer]:
        """Hand the message to the loop."""
        future: Future[Answer] = Future()
        return self._ask(future, lambda: self._publish(topic, payload, retain, future))

    def subscribe(self, filters: Sequence[str]) -> Future[tuple[int, ...]]:
        """Hand the filters to the loop."""
        future: Future[tuple[int, ...]] = Future()
        return self._ask(future, lambda: self._subscribe(filters, future))

    def disconnect(self, why: str) -> None:
        """Hand the wish to the loop; nothing to do when the connection has ended."""
        with contextlib.suppress(Lost):
            self._ask(Future[None](), self._library.disconnect)
            self._leaving = why

    def close(self) -> None:
        """Close the socket without a word and end what is in flight."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            os.close(self._bell)
        self._library.on_disconnect = None
        sock = self._library.socket()
        if sock is not None:
            sock.close()
        unsent = [future for future, _ in self._requests]
        lose([*unsent, *self._publishes.values(), *self._subscribes.values()], self._lost or Lost("closed"))

    def _make(self) -> Library:
        options = self._options
        library = Library(
            CallbackAPIVersion.VERSION2,
            client_id=options.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            reconnect_on_failure=False,
        )
        library.max_inflight_messages_set(
            0
        )  # no bound, so that paho never queues; the session bounds what is in flight
        library.on_socket_register_write = _nothing  # its presence keeps paho from writing outside loop_write()
        library.on_socket_open = _tune
        library.on_connect = self._connected
        library.on_disconnect = self._disconnected
        library.on_publish = self._acknowledged
        library.on_subscribe = self._subscribed
        library.on_message = self._received
        library.on_log = self._logged
        if options.will is not None:
            library.will_set(options.will.topic, options.will.payload, qos=1, retain=True)
        return library

    def _open(self, timeout_s: float) -> None:
        """Connect TCP and TLS, through the proxy if there is one, and queue the CONNECT."""
        mqtt, library = self._options.settings, self._library
        context = client_context(mqtt)
        context.sslsocket_class = _Socket
        library.tls_set_context(context)
        proxy = proxy_of(mqtt)
        if proxy is not None:
            library.proxy_set(
                proxy_type=socks.HTTP,
                proxy_addr=proxy.host,
                proxy_port=proxy.port,
                proxy_rdns=True,  # the name is resolved at the proxy; behind one the device often cannot
                proxy_username=proxy.user or None,
                proxy_password=proxy.password or None,
            )
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho types it not
        properties.SessionExpiryInterval = 0
        properties.MaximumPacketSize = MAXIMUM_INCOMING_BYTES
        library.connect_timeout = timeout_s
        try:
            library.connect(mqtt.host, mqtt.port, mqtt.keep_alive_s, clean_start=True, properties=properties)
        except (OSError, ValueError) as error:  # ValueError: a host name that no resolver takes
            raise ConnectFailed(f"mqtt: cannot connect to {mqtt.host}:{mqtt.port}: {error}") from error
        self._last_in = self._last_out = time.monotonic()

    def _ask(self, future: Future[T], request: Callable[[], object]) -> Future[T]:
        with self._lock:
            if self._closed or self._leaving or self._lost is not None:
                raise Lost(str(self._lost or self._leaving or "closed"))
            self._requests.append((future, request))
            os.eventfd_write(self._bell, 1)
        return future

    def _turn(self, timeout_s: float) -> None:
        """Wait for the socket or the bell, then read, write and ping as needed."""
        sock: Any = self._library.socket()
        if sock is None:
            self._lost = self._lost or Lost(self._last_error or "connection closed")
            return
        descriptor = sock.fileno()
        poll = select.poll()  # not select(): descriptors above 1023 must work
        poll.register(descriptor, select.POLLIN | (select.POLLOUT if self._library.want_write() else 0))
        poll.register(self._bell, select.POLLIN)
        ready = dict(poll.poll(math.ceil(timeout_s * 1000)))
        if self._bell in ready:
            os.eventfd_read(self._bell)
        events = ready.get(descriptor, 0)
        if events & ~select.POLLOUT:
            self._last_in = time.monotonic()
            self._read()
        if events & select.POLLOUT and self._library.socket() is not None:
            self._last_out = time.monotonic()
            self._library.loop_write()
        self._ping()

    def _read(self) -> None:
        while True:
            try:
                outcome = self._library.loop_read()
            except UNREADABLE as error:
                self._lost = Lost(f"the broker sent what cannot be read: {clean(str(error))}")
                return
            if outcome == MQTTErrorCode.MQTT_ERR_PROTOCOL:
                self._lost = Lost("the broker broke the MQTT protocol")
            sock: Any = self._library.socket()
            if outcome or sock is None or not sock.pending():  # decrypted bytes that poll() cannot see
                return

    def _ping(self) -> None:
        """Let paho send a ping, or give up on the last one; it does so when the keep-alive is over, not before."""
        due = self._until_ping_s() <= 0
        self._library.loop_misc()
        if due:
            self._last_in = self._last_out = time.monotonic()  # paho counts from its ping on, in both directions

    def _until_ping_s(self) -> float:
        keep_alive_s = self._library.keepalive  # the broker's, if its CONNACK names one
        if not keep_alive_s:
            return LONGEST_WAIT_S
        return max(0.0, min(self._last_in, self._last_out) + keep_alive_s - time.monotonic())

    def _publish(self, topic: str, payload: bytes, retain: bool, future: Future[Answer]) -> None:  # noqa: FBT001
        info = self._library.publish(topic, payload, qos=1, retain=retain)
        if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS:
            self._publishes[info.mid] = future
        else:
            settle(future, self._lost or Lost("connection closed"))

    def _subscribe(self, filters: Sequence[str], future: Future[tuple[int, ...]]) -> None:
        outcome, mid = self._library.subscribe([(filter_, 1) for filter_ in filters])
        if outcome == MQTTErrorCode.MQTT_ERR_SUCCESS and mid is not None:
            self._subscribes[mid] = future
        else:
            settle(future, self._lost or Lost("connection closed"))

    def _connected(
        self, _library: Library, _user: object, _flags: ConnectFlags, reason: ReasonCode, properties: Properties | None
    ) -> None:
        self._connack = Answer(int(reason.value), str(getattr(properties, "ReasonString", "")))
        default = Granted()
        self._granted = Granted(
            int(getattr(properties, "MaximumPacketSize", default.maximum_packet_bytes)),
            int(getattr(properties, "ReceiveMaximum", default.receive_maximum)),
        )

    def _disconnected(
        self,
        _library: Library,
        _user: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        if flags.is_disconnect_packet_from_server:
            code = int(reason.value)
            said = describe(code, str(getattr(properties, "ReasonString", "")))
            self._lost = Lost(f"the broker disconnected: {said}", code)
        elif reason.getName() == "Keep alive timeout":
            self._lost = Lost("no answer to a ping")
        else:
            closed = Lost("the broker closed the connection", hung_up=True)
            self._lost = self._lost or (Lost(self._last_error) if self._last_error else closed)

    def _acknowledged(
        self, _library: Library, _user: object, mid: int, reason: ReasonCode, properties: Properties
    ) -> None:
        future = self._publishes.pop(mid, None)
        if future is not None:
            settle(future, Answer(int(reason.value), str(getattr(properties, "ReasonString", ""))))

    def _subscribed(
        self, _library: Library, _user: object, mid: int, reasons: list[ReasonCode], _properties: Properties
    ) -> None:
        future = self._subscribes.pop(mid, None)
        if future is not None:
            settle(future, tuple(int(reason.value) for reason in reasons))

    def _received(self, _library: Library, _user: object, message: MQTTMessage) -> None:
        try:
            topic = message.topic
        except UnicodeDecodeError:
            return  # it can match no subscription of ours
        if self._on_message is not None:
            self._on_message(topic, bytes(message.payload))

    def _logged(self, _library: Library, _user: object, level: int, message: str) -> None:
        """Keep the newest error: paho reports a broken socket in its log only."""
        if level == LogLevel.MQTT_LOG_ERR:
            self._last_error = clean(message.partition(": ")[2] or message)


def _nothing(_library: Library, _user: object, _sock: object) -> None:
    pass


def _tune(_library: Library, _user: object, sock: Any) -> None:
    """Send each packet at once, and let the kernel notice a vanished peer."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, PEER_TIMEOUT_S * 1000)
