"""The seam between the session and an MQTT library: one Client object is one attempt at one connection.

Both implementations are held to the same behaviour by tests/contracts/test_every_mqtt_client.py. Neither reconnects,
queues or retries: what a connection did not finish ends with ``Lost``. ConnectFailed and Lost stay inside this
package; the session turns them into the errors of thingmeter.errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, TypeVar, cast

from thingmeter.config.settings import Mqtt
from thingmeter.errors import ConfigError, Problem

T = TypeVar("T")

# AWS IoT Core takes 128 KB of payload; nothing we subscribe to is larger, and a broker must not send us more than this.
MAXIMUM_INCOMING_BYTES = 262_144
# After this long without an acknowledgement the kernel gives the connection up: a vanished peer is noticed before the
# next ping would be due, without waking for it (tcp(7), TCP_USER_TIMEOUT; ping time-out of awscrt).
PEER_TIMEOUT_S = 30
LEAVE_TIMEOUT_S = 2.0  # to get the DISCONNECT out; a stuck socket is closed without it


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes, retained and with QoS 1, when the connection ends without a DISCONNECT."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Options:
    """What a connection is made from; ``proxy_password`` is read anew for each attempt."""

    settings: Mqtt
    client_id: str
    will: Will | None = None


@dataclass(frozen=True, slots=True)
class Granted:
    """What the CONNACK allows: the largest packet and the number of unacknowledged QoS 1 messages."""

    maximum_packet_bytes: int = 268_435_460  # the most that MQTT can express, when the broker names no limit
    receive_maximum: int = 65_535


@dataclass(frozen=True, slots=True)
class Answer:
    """The reason code of a PUBACK, and the broker's own words if it gave any (not yet cleaned)."""

    code: int
    words: str = ""


class ConnectFailed(Exception):
    """The attempt ended without a connection; ``code`` is the CONNACK's reason when there was one."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class Lost(Exception):
    """The connection has ended.

    Attributes:
        code: the reason in the broker's DISCONNECT; None when it sent none.
        alone: whether this request was the only one in flight, so that ``code`` must be about it.
        hung_up: whether the broker closed the connection in good order and without giving a reason.
    """

    def __init__(self, message: str, code: int | None = None, *, alone: bool = False, hung_up: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.alone = alone
        self.hung_up = hung_up


class Client(Protocol):
    """One attempt at one connection. The session's thread calls connect, serve and close, in this order and once."""

    def connect(self, timeout_s: float) -> Granted:
        """Connect with clean start and session expiry 0; block until the CONNACK.

        Raises:
            ConnectFailed: no connection; name resolution may have taken longer than ``timeout_s``.
        """

    def serve(self, on_message: Callable[[str, bytes], None]) -> Lost:
        """Carry the connection until it ends; return why. ``on_message`` is called from within, one at a time."""

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> Future[Answer]:
        """Send with QoS 1, from any thread; the future ends with the PUBACK or with Lost.

        Raises:
            Lost: the connection has ended already.
        """

    def subscribe(self, filters: Sequence[str]) -> Future[tuple[int, ...]]:
        """Subscribe with QoS 1, from any thread; the future ends with one reason code per filter or with Lost.

        Raises:
            Lost: the connection has ended already.
        """

    def disconnect(self, why: str) -> None:
        """Ask for a clean end, from any thread: ``serve`` sends a DISCONNECT and returns Lost(``why``) soon after."""

    def close(self) -> None:
        """Free what is held; whatever is still in flight ends with Lost."""


def load(name: str) -> Callable[[Options], Client]:
    """Import the client ``name`` and return what makes one; only now is its library loaded.

    Raises:
        ConfigError: the library is not installed.
    """
    try:
        module = import_module(f"thingmeter.mqtt.{name}")
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("thingmeter"):
            raise
        extra = "thingmeter[aws]" if name == "awscrt" else "thingmeter"
        message = f"{error.name} is not installed; install the package {extra}, or choose another client"
        problem = Problem(file="configuration", line=0, setting=f'[mqtt] client = "{name}"', message=message)
        raise ConfigError((problem,)) from error
    return cast("Callable[[Options], Client]", module.Client)


def settle(future: Future[T], result: T | Exception) -> None:
    """End ``future``, unless somebody did so before."""
    try:
        if isinstance(result, Exception):
            future.set_exception(result)
        else:
            future.set_result(result)
    except InvalidStateError:
        pass


def lose(futures: Iterable[Future[T]], lost: Lost) -> None:
    """End every one of ``futures`` with ``lost``, marked as alone when there is just one."""
    waiting = list(futures)
    for future in waiting:
        settle(future, Lost(str(lost), lost.code, alone=len(waiting) == 1))
