"""What the agent makes of Device Defender's answers, and of their absence."""

from __future__ import annotations

import os

import cbor2
import pytest

from brokers import Mosquitto
from end_to_end.agent import Agents
from end_to_end.defender_service import DefenderService, accept, garbage_first, reject, silence

pytestmark = pytest.mark.needs_mosquitto

HOSTILE = (
    b"",
    b"null",
    b"[" * 100_000,
    b"\x9f" * 1000,
    b"\xc2\x5b\xff\xff\xff\xff\xff\xff\xff\xff",
    b'{"reportId": 1e400, "status": "REJECTED"}',
    b'{"reportId": 7, "statusDetails": {"ErrorCode": "InvalidPayload"}}',  # another report's
    b'{"statusDetails": []}'[:-3],
    os.urandom(4096),
    b'{"x": "' + b"A" * 100_000 + b'"}',
    cbor2.dumps({"reportId": "never", "statusDetails": "none"})[:-2],
)


def test_a_report_that_is_invalid_is_set_aside_with_the_reason(
    agents_of_each_client: Agents, broker: Mosquitto, defender: DefenderService
) -> None:
    agent = agents_of_each_client.at(broker)
    defender.script(agent.thing, reject("InvalidPayload", "Malformed metrics report"))

    agent.start()
    rejected, _ = defender.reports(agent.thing, 2)
    agent.stop()

    with agent.outbox() as outbox:
        (kept,) = outbox.set_aside_list("defender")
    assert (kept.message.key, kept.reason) == (str(rejected.report_id), "InvalidPayload: Malformed metrics report")


def test_behind_an_invalid_report_the_next_ones_are_delivered(
    agents: Agents, broker: Mosquitto, defender: DefenderService
) -> None:
    agent = agents.at(broker)
    defender.script(agent.thing, reject("InvalidPayload"))

    agent.start()
    defender.reports(agent.thing, 3)
    agent.stop()

    counts = agent.counts()  # on a busy machine the answer to the last one may come after the agent has ended
    assert counts["delivered"] + counts["unconfirmed"] == len(defender.arrivals(agent.thing)) - 1
    assert counts["delivered"] >= 1


def test_a_throttled_thing_waits_at_least_one_interval_and_nothing_is_set_aside(
    agents: Agents, broker: Mosquitto, defender: DefenderService
) -> None:
    agent = agents.at(broker, interval_s=2, minimum_interval_s=2)
    defender.script(agent.thing, reject("ThrottlingException"))

    agent.start()
    throttled, following = defender.reports(agent.thing, 2)
    agent.stop()

    counts = agent.counts()
    assert (counts["set_aside"], counts["unconfirmed"]) == (0, 0)
    assert following.at - throttled.at > 1.75  # the interval, less how late the first of the two may have come


@pytest.mark.parametrize("encoding", ["json", "cbor"])
def test_an_answer_between_hostile_ones_is_found(
    agents: Agents, broker: Mosquitto, defender: DefenderService, encoding: str
) -> None:
    agent = agents.at(broker, format=encoding)
    defender.script(agent.thing, *[garbage_first(*HOSTILE)] * 2)

    agent.start()
    defender.reports(agent.thing, 3)
    agent.stop()

    counts = agent.counts()  # on a busy machine the answer to the last one may come after the agent has ended
    assert counts["delivered"] + counts["unconfirmed"] == len(defender.arrivals(agent.thing))
    assert counts["delivered"] >= 2
    assert "Traceback" not in agent.log.text()


@pytest.mark.long
def test_a_report_without_an_answer_is_unconfirmed_and_never_sent_again(
    agents: Agents, broker: Mosquitto, defender: DefenderService
) -> None:
    agent = agents.at(broker)
    defender.script(agent.thing, silence)

    agent.start()
    silent, following = defender.reports(agent.thing, 2, timeout_s=60)
    defender.answer(silent, accept)  # too late, and not taken for the next one's
    defender.next_reports(agent.thing, 1)
    agent.stop()

    counts = agent.counts()
    assert (counts["unconfirmed"], counts["delivered"]) == (1, len(defender.arrivals(agent.thing)) - 1)
    assert following.report_id > silent.report_id
    assert "no answer from Device Defender" in agent.log.text()
