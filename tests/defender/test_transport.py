"""The transport of reports: what counts as the answer to the report in flight."""

from __future__ import annotations

import json

import pytest

from brokers import OBSERVER_NAME, PATIENCE_S, Mosquitto
from mqtt.clients import Sessions
from thingmeter.clock import SystemClock
from thingmeter.destinations.defender.pace import Pace
from thingmeter.destinations.defender.transport import DefenderTransport, topic_of
from thingmeter.errors import Unconfirmed
from thingmeter.health import Health

TOPIC = topic_of("pump-7", "json")
NAMELESS = json.dumps({"thingName": "pump-7", "status": "ACCEPTED", "timestamp": 1}).encode()


@pytest.mark.needs_mosquitto
def test_an_answer_that_names_no_report_and_came_before_the_publish_is_to_an_earlier_one(
    mosquitto: Mosquitto, sessions: Sessions
) -> None:
    session = sessions.start(mosquitto.settings(OBSERVER_NAME))  # it may publish answers

    class Ledger:
        def publishing(self, _mark: bytes) -> None:
            session.publish(f"{TOPIC}/accepted", NAMELESS, timeout_s=PATIENCE_S)
            transport.close()  # nobody is going to answer this one

        def published(self, _mark: bytes) -> None:
            pass

    transport = DefenderTransport(session, TOPIC, Pace(300, SystemClock()), Ledger(), Health())

    with pytest.raises(Unconfirmed):
        transport.send(b"{}", key="1", timeout_s=PATIENCE_S)
