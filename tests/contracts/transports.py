"""Each transport with the service that it leads to in the sandbox, and one way to make that service misbehave."""

from __future__ import annotations

import json
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Literal, TypeAlias

from sandbox.wire import report_bytes
from thingmeter.clock import SystemClock
from thingmeter.config.settings import Mqtt, Tls
from thingmeter.destinations.defender.pace import Pace
from thingmeter.destinations.defender.transport import DefenderTransport, topic_of
from thingmeter.destinations.devrev.account import Account
from thingmeter.destinations.devrev.mqtt_route import MqttUsageTransport
from thingmeter.destinations.devrev.pause import Pause
from thingmeter.destinations.devrev.points import Group, UsagePoint
from thingmeter.destinations.devrev.transport import UsageTransport
from thingmeter.destinations.devrev.usage import body, encode
from thingmeter.health import Health
from thingmeter.mqtt.session import Session
from thingmeter.protocols import Transport
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.devrev import Fault
from thingmeter.sandbox.http.messages import HttpRequest

THING = "pump-7"
TOPIC = f"usage/{THING}"
NEVER_S = 3600.0
PATIENCE_S = 20.0
AT = datetime(2026, 1, 1, 0, 7, 30, tzinfo=UTC)

Trouble: TypeAlias = Literal["denied", "throttled", "rejected", "answer lost", "silent", "down"]
"""answer lost: it was taken, and the connection or the acknowledgement is lost. silent: it was taken, and nothing
comes ever after. down: nobody listens."""


class Rig(ABC):
    """A transport and its service; ``close`` ends what the rig made."""

    transport: Transport

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        self.sandbox = sandbox
        self.folder = folder

    @abstractmethod
    def message(self, number: int) -> tuple[str, bytes]:
        """Return the key and the payload of a good message."""

    @abstractmethod
    def make(self, trouble: Trouble) -> None:
        """Make the service misbehave at the next message; what was made before ends."""

    @abstractmethod
    def received(self, count: int) -> list[bytes]:
        """Wait for so many messages to arrive, accepted or not, and return the payloads of all."""

    @abstractmethod
    def recover(self) -> None:
        """Wait until the next message can be sent after "answer lost"."""

    def close(self) -> None:
        self.transport.close()

    def send(self, number: int, timeout_s: float = 10) -> None:
        key, payload = self.message(number)
        self.transport.send(payload, key=key, timeout_s=timeout_s)


class OverMqtt(Rig):
    """What the two transports over MQTT share."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        super().__init__(sandbox, folder)
        own = sandbox.credentials(THING)
        files = Tls(
            ca_file=str(sandbox.ca_file),
            certificate_file=str(own.certificate_file),
            private_key_file=str(own.private_key_file),
        )
        settings = Mqtt(host=sandbox.host, port=sandbox.port, client_id=THING, tls=files)
        self.session = Session(settings, THING, clock=SystemClock(), random=_Hasty())
        self._connects = threading.Semaphore(0)
        self.session.on_connect(self._connects.release)
        self.session.start()
        self.recover()

    def make(self, trouble: Trouble) -> None:
        faults = self.sandbox.faults
        faults.remaining = 1
        match trouble:
            case "throttled":
                faults.puback, faults.puback_reason = "refused", 0x97
            case "answer lost":
                faults.puback = "close before"
            case "silent":
                faults.puback = "missing"
            case "down":
                self.sandbox.broker_down()
            case _:
                raise AssertionError(trouble)

    def recover(self) -> None:
        assert self._connects.acquire(timeout=PATIENCE_S)

    def close(self) -> None:
        super().close()
        self.session.close(5)


class DefenderRig(OverMqtt):
    """Reports to Device Defender."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        super().__init__(sandbox, folder)
        self._number = 0
        self.transport = self._transport(THING)

    def _transport(self, thing: str) -> Transport:
        class Ledger:
            def publishing(self, mark: bytes) -> None:
                pass

            def published(self, mark: bytes) -> None:
                pass

        return DefenderTransport(self.session, topic_of(thing, "json"), Pace(0, SystemClock()), Ledger(), Health())

    def message(self, number: int) -> tuple[str, bytes]:
        return str(number), report_bytes(number)

    def make(self, trouble: Trouble) -> None:
        faults = self.sandbox.faults
        match trouble:
            case "denied":
                self.transport = self._transport("another")
            case "throttled" | "rejected":
                faults.answer, faults.remaining = "rejected", 1
                faults.error_code = "InvalidPayload" if trouble == "rejected" else "Throttled"
            case "silent":
                faults.answer, faults.remaining = "missing", 1
            case _:
                super().make(trouble)

    def received(self, count: int) -> list[bytes]:
        return [verdict.payload for verdict in self.sandbox.verdicts.wait(count)]


class MqttRig(OverMqtt):
    """Usage records on an MQTT topic."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        super().__init__(sandbox, folder)
        self.transport = MqttUsageTransport(self.session, TOPIC)
        self._padding = 0

    def message(self, number: int) -> tuple[str, bytes]:
        return str(number), usage_body(number) + b" " * self._padding

    def make(self, trouble: Trouble) -> None:
        if trouble == "denied":
            self.transport = MqttUsageTransport(self.session, "usage/another")
        elif trouble == "rejected":
            self._padding = 131_072
        else:
            super().make(trouble)

    def received(self, count: int) -> list[bytes]:
        def is_usage(kind: str, topic: str) -> bool:
            return kind == "published" and topic == TOPIC

        events = self.sandbox.events.wait(count, where=lambda event: is_usage(event.kind, event.detail))
        return [event.payload for event in events]


class HttpsRig(Rig):
    """Usage records by HTTPS."""

    def __init__(self, sandbox: Sandbox, folder: Path) -> None:
        super().__init__(sandbox, folder)
        self.token_file = folder / "token"
        self.token_file.write_text(sandbox.folder.devrev_token())
        self.declare("litres")
        self.clock = SystemClock()
        self.pause = Pause(self.clock)
        account = Account(sandbox.devrev_url, str(self.token_file), ca_file=str(sandbox.ca_file))
        self.transport = UsageTransport(account, self.pause, self.clock)
        self._encode: Callable[[int], bytes] = usage_body

    def declare(self, name: str, aggregation_type: str = "sum") -> None:
        """Create a UOM at DevRev."""
        content = {
            "aggregation_detail": {"aggregation_type": aggregation_type},
            "metric_name": name,
            "name": name,
            "product_id": "PROD-1",
            "unit": {"name": "unit", "type": "number"},
        }
        headers = {
            "authorization": self.sandbox.folder.devrev_token(),
            "x-devrev-scope": "beta",
            "content-type": "application/json",
        }
        request = HttpRequest("POST", "/uoms.create", headers=headers, body=json.dumps(content).encode())
        assert self.sandbox.devrev.answer(request).status == 201

    def message(self, number: int) -> tuple[str, bytes]:
        return str(number), self._encode(number)

    def make(self, trouble: Trouble) -> None:
        faults = self.sandbox.http_faults["devrev"]
        faults.remaining = 1
        match trouble:
            case "denied":
                self.token_file.write_text("an.other.token")
            case "throttled":
                self.sandbox.devrev.switches.faults = [Fault("throttled", remaining=1)]
            case "rejected":
                self._encode = lambda _: b'{"metrics": []}'
            case "answer lost":
                faults.kind = "missing"
            case "silent":
                faults.kind, faults.delay_s = "late", NEVER_S
            case "down":
                self.sandbox.services_down()

    def recover(self) -> None:
        """Nothing: each exchange makes the connection that it needs."""

    def received(self, count: int) -> list[bytes]:
        calls = self.sandbox.calls.wait(count, where=lambda call: call.operation == "metrics.devrev.ingest")
        return [call.request.body for call in calls]


class _Hasty(Random):
    """Draws the shortest delay."""

    def uniform(self, a: float, _b: float) -> float:
        return a


def usage_body(number: int) -> bytes:
    """Return a request of one usage record."""
    return body([encode(UsagePoint(Group("litres", "ACC-1"), number, AT), f"p{number}", "sum")])


RIGS: Mapping[str, type[Rig]] = {"defender": DefenderRig, "usage over mqtt": MqttRig, "usage over https": HttpsRig}
