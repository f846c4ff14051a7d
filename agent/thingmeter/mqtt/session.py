"""Publish and subscribe as blocking calls over a connection that is kept up by a thread of its own.

    caller threads                 thread "mqtt"                      an MQTT library
    publish(), subscribe() ──────► waits, connects, serves, waits ──► one new Client for each attempt
           ◄── Future ─────────────────────────────────────────────────┘

Nothing is queued: without a connection a caller waits for one, at most as long as it said, and then has its message
back. Each attempt reads the files of [mqtt.tls] anew. With a status topic the broker's retained message there is
{"thing": NAME, "status": "online"}, and "offline" after ``close()`` or, by the last will, after any other end.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime
from random import Random

from thingmeter.config.settings import Mqtt
from thingmeter.errors import DeliveryError, Denied, Rejected, Unreachable
from thingmeter.mqtt import reasons, topics
from thingmeter.mqtt.backoff import LASTED_S, Backoff
from thingmeter.mqtt.client import Answer, Client, ConnectFailed, Lost, Options, Will, load
from thingmeter.mqtt.connection import Connection
from thingmeter.mqtt.probe import Cause, name_cause
from thingmeter.protocols import Clock

log = logging.getLogger(__name__)

CONNECT_TIMEOUT_S = 10.0  # for TCP, TLS and CONNACK each; a satellite link needs about 3
SUSPICIOUS = 3  # connections in a row; some brokers (Mosquitto 2.0) do not tell the older client of a takeover
OFFLINE_SHARE = 0.5  # of the time that close() has, for publishing "offline"; the rest is for DISCONNECT


@dataclass(frozen=True, slots=True)
class SessionState:
    """How the session fares.

    Attributes:
        client_id: as the broker knows it.
        connected_since: aware UTC; None without a connection.
        connects: connections made since the start.
        attempts: of connecting, successful ones included.
        last_error: why the newest attempt failed or the newest connection ended; empty at first.
        takeovers: connections that another client with the same client id took over.
    """

    client_id: str
    connected_since: datetime | None = None
    connects: int = 0
    attempts: int = 0
    last_error: str = ""
    takeovers: int = 0


class Session:
    """The agent's one MQTT 5 session; every method may be called from any thread."""

    def __init__(self, settings: Mqtt, thing: str, *, clock: Clock, random: Random | None = None) -> None:
        """Load the library of ``settings.client``; nothing is opened before ``start``.

        Raises:
            ConfigError: the library is not installed.
        """
        self._settings = settings
        self._clock = clock
        self._make = load(settings.client)
        self._statuses = {
            status: json.dumps({"thing": thing, "status": status}).encode() for status in ("online", "offline")
        }
        client_id = settings.client_id or thing
        will = Will(settings.status_topic, self._statuses["offline"]) if settings.status_topic else None
        self._options = Options(settings, client_id, will)
        self._backoff = Backoff(random or Random())  # noqa: S311 - jitter, not a secret
        self._changed = threading.Condition()  # guards everything below
        self._connecting: Client | None = None
        self._connection: Connection | None = None
        self._state = SessionState(client_id)
        self._cause = Cause("mqtt: not connected yet")
        self._closing = False
        self._routes: dict[str, Callable[[str, bytes], None]] = {}
        self._callbacks: list[Callable[[], None]] = []
        self._thread: threading.Thread | None = None
        self._said = ""  # this and the next: touched by the thread alone
        self._hung_up = 0  # connections in a row that the broker closed soon and without a reason

    def start(self) -> None:
        """Begin to connect, on a thread of the session's own; return at once, network or not."""
        with self._changed:
            if self._thread is not None or self._closing:
                return
            # a daemon thread, since name resolution and a handshake cannot be interrupted and must not hold up the stop
            self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
            self._thread.start()

    def close(self, timeout_s: float) -> None:
        """End the connection in good order within ``timeout_s``, whatever is stuck; a second call does nothing.

        "offline" is published to the status topic, then DISCONNECT is sent. Whoever still waits gets Unreachable.
        """
        deadline = time.monotonic() + timeout_s
        with self._changed:
            if self._closing:
                return
            self._closing = True
            self._cause = Cause("mqtt: the session is closed")
            connecting, connection, thread = self._connecting, self._connection, self._thread
            self._changed.notify_all()
        if connecting is not None:  # a CONNECT from now on would throw out the session that comes after this one
            connecting.disconnect("the session is closed")
        if connection is not None:
            self._say_offline(connection, timeout_s * OFFLINE_SHARE)
            connection.client.disconnect("the session is closed")
        if thread is not None and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                log.warning("mqtt: still busy connecting after %g s, left behind", timeout_s)
        if connection is not None:
            connection.abandon("the session is closed")

    def publish(self, topic: str, payload: bytes, *, timeout_s: float, retain: bool = False) -> None:
        """Send ``payload`` with QoS 1 and return once the broker has acknowledged it.

        Without a connection, waits for one; ``timeout_s`` bounds both. A reason below 0x80 is success, also when
        nobody has subscribed. A lost connection is reported at once: the caller decides on sending again.

        Raises:
            Unreachable: no acknowledgement, for the cause given; safe to send again.
            Denied: not authorized, by PUBACK, DISCONNECT or at connecting.
            Throttled: the broker's quota is exceeded.
            Rejected: topic or payload can never be accepted.
            RuntimeError: called from on_message or on_connect, where it would wait for itself.
        """
        problem = topics.name_problem(topic)
        if problem:
            raise Rejected(f"mqtt: topic {topic!r} {problem}")
        self._on_connection(
            timeout_s,
            lambda connection, remaining_s: connection.publish(topic, payload, retain=retain, timeout_s=remaining_s),
        )

    def subscribe(self, filters: Sequence[str], on_message: Callable[[str, bytes], None], *, timeout_s: float) -> None:
        """Return once ``filters`` are granted (QoS 1) on the present connection, at once when they already are.

        They are asked for again on every later connection. ``on_message(topic, payload)`` runs on the session's
        thread, one call at a time: it must not block, and what it raises is logged. A filter has one callback, the
        newest.

        Raises:
            Unreachable: no connection, or no answer within ``timeout_s``.
            Denied: the broker refused a filter.
            RuntimeError: called from on_message or on_connect, where it would wait for itself.
        """
        with self._changed:
            self._routes.update(dict.fromkeys(filters, on_message))
        self._on_connection(
            timeout_s, lambda connection, remaining_s: connection.subscribe(filters, timeout_s=remaining_s)
        )

    def on_connect(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called after each successful connect, on the session's thread; it must not block."""
        with self._changed:
            self._callbacks.append(callback)

    def state(self) -> SessionState:
        """Return how the session fares now."""
        with self._changed:
            return self._state

    def _on_connection(self, timeout_s: float, call: Callable[[Connection, float], None]) -> None:
        """Make ``call`` with a connection and the time left; again on the next one if nothing could be sent."""
        if threading.current_thread() is self._thread:
            raise RuntimeError("the session's own thread cannot wait for the session")
        deadline = time.monotonic() + timeout_s
        while True:
            connection = self._await_connection(deadline)
            try:
                call(connection, deadline - time.monotonic())
            except Lost:  # it has ended, and the session's thread is about to find out
                with self._changed:
                    if self._connection is connection:
                        self._connection = None
                continue
            return

    def _await_connection(self, deadline: float) -> Connection:
        with self._changed:
            remaining_s = max(0.0, deadline - time.monotonic())
            self._changed.wait_for(lambda: self._connection is not None or self._closing, remaining_s)
            if self._connection is not None and not self._closing:
                return self._connection
            raise (Denied if self._cause.denied else Unreachable)(self._cause.text)

    def _run(self) -> None:
        """Connect and serve until closed: the session's thread."""
        attempted_at = float("-inf")
        while True:
            delay_s = self._backoff.delay_s(time.monotonic() - attempted_at) if self._state.attempts else 0.0
            with self._changed:
                if self._changed.wait_for(lambda: self._closing, max(0.0, delay_s)):
                    return
                self._state = replace(self._state, attempts=self._state.attempts + 1)
            attempted_at = time.monotonic()
            try:
                self._attempt()
            except Exception as error:  # the top of a thread
                log.exception("mqtt: attempt to connect ended unexpectedly")
                self._backoff.failed()
                self._note(Cause(f"mqtt: {type(error).__name__}: {error}"))

    def _attempt(self) -> None:
        """Make one connection and serve it until it ends."""
        client = self._make(self._options)
        with self._changed:
            self._connecting = None if self._closing else client
            if self._closing:
                client.close()
                return
        try:
            granted = client.connect(CONNECT_TIMEOUT_S)
            self._serve(client, Connection(client, granted))
        except ConnectFailed as failure:
            client.close()  # before the probe: a broker may count connections
            self._backoff.failed()
            self._hung_up = 0
            self._note(name_cause(failure, self._settings, self._clock.now()))
        finally:
            with self._changed:
                self._connecting = None
            client.close()

    def _serve(self, client: Client, connection: Connection) -> None:
        began = time.monotonic()
        with self._changed:
            if self._closing:
                client.disconnect("the session is closed")
            self._connecting, self._connection = None, connection
            connects = self._state.connects + 1
            self._state = replace(self._state, connected_since=self._clock.now(), connects=connects)
            filters, callbacks = list(self._routes), list(self._callbacks)
            self._changed.notify_all()
        log.info("mqtt: connected to %s:%d as %s", self._settings.host, self._settings.port, self._options.client_id)
        lost = Lost("the agent failed")
        try:
            self._greet(connection, filters, callbacks)
            lost = client.serve(self._deliver)
        finally:
            self._ended(lost, time.monotonic() - began)

    def _ended(self, lost: Lost, lasted_s: float) -> None:
        taken_over = lost.code == reasons.TAKEN_OVER
        self._hung_up = self._hung_up + 1 if lost.hung_up and lasted_s < LASTED_S else 0
        suspicious = self._hung_up >= SUSPICIOUS
        with self._changed:
            self._connection = None
            takeovers = self._state.takeovers + taken_over
            self._state = replace(self._state, connected_since=None, takeovers=takeovers)
        self._backoff.ended(lasted_s, taken_over=taken_over or suspicious)
        if lasted_s >= LASTED_S and not taken_over:
            self._said = ""  # what ends a long connection is news, even if it is what ended the one before
        rival = f'another client with the client id "{self._options.client_id}"'
        if taken_over:
            self._note(Cause(f"mqtt: {rival} took the connection over; each must have its own"))
        elif suspicious:
            self._note(Cause(f"mqtt: the broker closes each connection soon after accepting it; is there {rival}?"))
        else:
            self._note(Cause(f"mqtt: connection lost: {lost}", denied=lost.code in reasons.DENIED))

    def _greet(self, connection: Connection, filters: Sequence[str], callbacks: Sequence[Callable[[], None]]) -> None:
        """Do what each new connection begins with; none of it waits for an answer."""
        try:
            connection.request(filters)
            if self._settings.status_topic:
                online = connection.client.publish(self._settings.status_topic, self._statuses["online"], retain=True)
                online.add_done_callback(self._status_answered)
        except Lost:
            return  # serve() will say why
        for callback in callbacks:
            try:
                callback()
            except Exception:  # somebody else's code must not end the session
                log.exception("mqtt: a callback of on_connect failed")

    def _status_answered(self, future: Future[Answer]) -> None:
        refusal = None if future.exception() else reasons.refusal(future.result(), self._settings.status_topic)
        if refusal is not None:
            log.warning("%s", refusal)

    def _say_offline(self, connection: Connection, timeout_s: float) -> None:
        topic = self._settings.status_topic
        if not topic:
            return
        try:
            connection.publish(topic, self._statuses["offline"], retain=True, timeout_s=timeout_s)
        except (DeliveryError, Lost) as error:
            log.debug("mqtt: offline was not said: %s", error)

    def _deliver(self, topic: str, payload: bytes) -> None:
        with self._changed:
            wanted = [callback for filter_, callback in self._routes.items() if topics.matches(filter_, topic)]
        for callback in dict.fromkeys(wanted):
            try:
                callback(topic, payload)
            except Exception:  # somebody else's code must not end the session
                log.exception("mqtt: the callback for a message on %s failed", reasons.clean(topic))

    def _note(self, cause: Cause) -> None:
        """Remember why there is no connection; say it when it is another cause than the last one said."""
        with self._changed:
            self._state = replace(self._state, last_error=cause.text)
            if self._closing:
                return
            self._cause = cause
        log.log(logging.DEBUG if cause.text == self._said else logging.WARNING, "%s", cause.text)
        self._said = cause.text
