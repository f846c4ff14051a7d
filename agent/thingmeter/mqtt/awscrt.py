"""The client over the AWS Common Runtime, made by awsiot.mqtt5_client_builder (extra ``aws``).

The runtime has an event loop thread of its own. Its callbacks only complete futures and put messages into a bounded
queue, which the session's thread empties. The library would connect again by itself; it is stopped after the first
failure or loss, before its reconnect delay is over.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

from awscrt import http, io, mqtt5
from awscrt.exceptions import AwsCrtError
from awsiot import mqtt5_client_builder

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
from thingmeter.mqtt.proxy import Proxy, proxy_of
from thingmeter.mqtt.reasons import REFUSED_FROM, describe
from thingmeter.mqtt.tls import client_context

log = logging.getLogger(__name__)

NEVER_MS = 86_400_000  # a day: long before the library would connect again by itself, it has been stopped
WAITING_MESSAGES = (
    100  # received and not yet handed on; what comes on top is dropped, as QoS 1 without a session allows
)
LONGEST_WAIT_S = 3600.0  # every wait has an end
HUNG_UP = frozenset({"AWS_ERROR_MQTT_UNEXPECTED_HANGUP", "AWS_IO_SOCKET_CLOSED"})
LOST_WITH_CONNECTION = frozenset(
    {"AWS_ERROR_MQTT5_OPERATION_FAILED_DUE_TO_OFFLINE_QUEUE_POLICY", "AWS_ERROR_MQTT5_USER_REQUESTED_STOP"}
)


class Client:
    """One connection over awscrt; the contract is that of ``thingmeter.mqtt.client.Client``."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._connected: Future[Granted] = Future()
        self._stopped = threading.Event()
        self._stopping = False
        self._lock = threading.Lock()  # guards _in_flight and _lost
        self._in_flight: set[Future[Any]] = set()
        self._lost: Lost | None = None
        self._inbox: queue.Queue[tuple[str, bytes] | None] = queue.Queue(WAITING_MESSAGES)
        self._library: mqtt5.Client | None = None

    def connect(self, timeout_s: float) -> Granted:
        """Connect; ``timeout_s`` bounds each of TCP, TLS and the CONNACK."""
        client_context(self._options.settings)  # says what is wrong with the files, which the runtime does not
        try:
            self._library = self._make(timeout_s)
            self._library.start()
            return self._connected.result(3 * timeout_s)
        except AwsCrtError as error:
            raise ConnectFailed(f"mqtt: cannot connect: {error.name}: {error.message}") from error
        except TimeoutError as error:
            raise ConnectFailed(f"mqtt: no connection within {3 * timeout_s:g} s") from error

    def serve(self, on_message: Callable[[str, bytes], None]) -> Lost:
        """Hand messages on until the connection ends."""
        while self._lost is None:
            try:
                message = self._inbox.get(timeout=LONGEST_WAIT_S)
            except queue.Empty:
                continue
            if message is not None:
                on_message(*message)
        self._stop()
        return self._lost

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> Future[Answer]:
        """Hand the message to the runtime."""
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE, retain=retain)
        return self._ask(lambda library: library.publish(packet), _puback)

    def subscribe(self, filters: Sequence[str]) -> Future[tuple[int, ...]]:
        """Hand the filters to the runtime."""
        wanted = [mqtt5.Subscription(filter_, qos=mqtt5.QoS.AT_LEAST_ONCE) for filter_ in filters]
        packet = mqtt5.SubscribePacket(subscriptions=wanted)
        return self._ask(lambda library: library.subscribe(packet), _suback)

    def disconnect(self, why: str) -> None:
        """Wake ``connect`` or ``serve``, which stop the runtime's client."""
        settle(self._connected, ConnectFailed(f"mqtt: {why}"))
        self._end(Lost(why))

    def close(self) -> None:
        """Stop the runtime's client and end what is in flight."""
        self._end(Lost("closed"))
        self._stop()
        self._library = None  # the runtime frees a client when the last reference goes

    def _make(self, timeout_s: float) -> mqtt5.Client:
        mqtt, will = self._options.settings, self._options.will
        sockets = io.SocketOptions()
        sockets.connect_timeout_ms = int(timeout_s * 1000)
        packet = None
        if will is not None:
            packet = mqtt5.PublishPacket(
                topic=will.topic, payload=will.payload, qos=mqtt5.QoS.AT_LEAST_ONCE, retain=True
            )
        connect = mqtt5.ConnectPacket(
            client_id=self._options.client_id,
            keep_alive_interval_sec=mqtt.keep_alive_s,
            session_expiry_interval_sec=0,
            maximum_packet_size=MAXIMUM_INCOMING_BYTES,
            will=packet,
        )
        return mqtt5_client_builder.mtls_from_path(
            cert_filepath=mqtt.tls.certificate_file,
            pri_key_filepath=mqtt.tls.private_key_file,
            ca_filepath=mqtt.tls.ca_file,
            cipher_pref=io.TlsCipherPref.PQ_DEFAULT,  # the default one would accept TLS 1.0
            endpoint=mqtt.host,
            port=mqtt.port,  # the builder sets ALPN on 443, and only there
            connect_options=connect,
            client_bootstrap=_bootstrap(),
            socket_options=sockets,
            http_proxy_options=_proxy_options(proxy_of(mqtt)),
            session_behavior=mqtt5.ClientSessionBehaviorType.CLEAN,
            extended_validation_and_flow_control_options=mqtt5.ExtendedValidationAndFlowControlOptions.NONE,
            offline_queue_behavior=mqtt5.ClientOperationQueueBehaviorType.FAIL_ALL_ON_DISCONNECT,
            retry_jitter_mode=mqtt5.ExponentialBackoffJitterMode.NONE,
            min_reconnect_delay_ms=NEVER_MS,
            max_reconnect_delay_ms=NEVER_MS,
            connack_timeout_ms=int(timeout_s * 1000),
            ping_timeout_ms=int(min(PEER_TIMEOUT_S, mqtt.keep_alive_s / 2) * 1000),
            enable_metrics_collection=False,  # else the SDK writes its version and platform into the user name
            on_publish_received=self._received,
            on_lifecycle_stopped=self._has_stopped,
            on_lifecycle_connection_success=self._succeeded,
            on_lifecycle_connection_failure=self._failed,
            on_lifecycle_disconnection=self._disconnected,
        )

    def _ask(self, call: Callable[[mqtt5.Client], Future[Any]], convert: Callable[[Any], Any]) -> Future[Any]:
        future: Future[Any] = Future()
        with self._lock:
            library = self._library
            if self._lost is not None or library is None:
                raise self._lost or Lost("closed")
            self._in_flight.add(future)
        call(library).add_done_callback(lambda done: self._answered(future, done, convert))
        return future

    def _answered(self, future: Future[Any], done: Future[Any], convert: Callable[[Any], Any]) -> None:
        error = done.exception()
        if isinstance(error, AwsCrtError) and error.name in LOST_WITH_CONNECTION:
            return  # the end of the connection is on its way, and it carries the reason
        with self._lock:
            self._in_flight.discard(future)
        settle(future, convert(done.result()) if error is None else Lost(str(error)))

    def _end(self, lost: Lost) -> None:
        with self._lock:
            if self._lost is None:
                self._lost = lost
            waiting, self._in_flight = self._in_flight, set()
        lose(waiting, self._lost)
        with contextlib.suppress(queue.Full):  # serve() is awake, then, and looks after each message
            self._inbox.put_nowait(None)

    def _stop(self) -> None:
        if self._library is None or self._stopping:
            return
        self._stopping = True
        self._library.stop(mqtt5.DisconnectPacket(reason_code=mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION))
        self._stopped.wait(LEAVE_TIMEOUT_S)

    def _received(self, received: mqtt5.PublishReceivedData) -> None:
        packet = received.publish_packet
        try:
            self._inbox.put_nowait((packet.topic, bytes(packet.payload or b"")))
        except queue.Full:
            log.debug("mqtt: dropped a message on %s", packet.topic)

    def _succeeded(self, success: mqtt5.LifecycleConnectSuccessData) -> None:
        agreed = success.negotiated_settings
        granted = Granted(agreed.maximum_packet_size_to_server, agreed.receive_maximum_from_server)
        settle(self._connected, granted)

    def _failed(self, failure: mqtt5.LifecycleConnectFailureData) -> None:
        connack = failure.connack_packet
        if connack is not None and connack.reason_code:
            code = int(connack.reason_code)
            refused = describe(code, connack.reason_string or "")
            settle(self._connected, ConnectFailed(f"mqtt: the broker refused the connection: {refused}", code))
        else:
            settle(self._connected, ConnectFailed(f"mqtt: cannot connect: {_text(failure.exception)}"))

    def _disconnected(self, data: mqtt5.LifecycleDisconnectData) -> None:
        packet = data.disconnect_packet
        if packet is not None and packet.reason_code is not None:
            code = int(packet.reason_code)
            self._end(Lost(f"the broker disconnected: {describe(code, packet.reason_string or '')}", code))
        else:
            hung_up = getattr(data.exception, "name", "") in HUNG_UP
            self._end(Lost("the broker closed the connection" if hung_up else _text(data.exception), hung_up=hung_up))

    def _has_stopped(self, _stopped: mqtt5.LifecycleStoppedData) -> None:
        self._stopped.set()


@functools.cache
def _bootstrap() -> io.ClientBootstrap:
    """Return the process's one event loop; the runtime's own default is a thread for each processor."""
    loops = io.EventLoopGroup(1)
    return io.ClientBootstrap(loops, io.DefaultHostResolver(loops))


def _proxy_options(proxy: Proxy | None) -> http.HttpProxyOptions | None:
    if proxy is None:
        return None
    options = http.HttpProxyOptions(proxy.host, proxy.port, connection_type=http.HttpProxyConnectionType.Tunneling)
    if proxy.user and proxy.password:
        options.auth_type = http.HttpProxyAuthenticationType.Basic
        options.auth_username, options.auth_password = proxy.user, proxy.password
    return options


def _puback(completed: mqtt5.PublishCompletionData) -> Answer:
    puback = completed.puback
    return Answer(_code(puback.reason_code), puback.reason_string or "")


def _suback(suback: mqtt5.SubackPacket) -> tuple[int, ...]:
    return tuple(_code(reason) for reason in suback.reason_codes or ())


def _code(reason: int | None) -> int:
    return REFUSED_FROM if reason is None else int(reason)  # None: a code that the runtime does not know


def _text(error: Exception | None) -> str:
    return f"{error.name}: {error.message}" if isinstance(error, AwsCrtError) else str(error)
