"""What every transport must do, held against the real protocols on loopback."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.transports import RIGS, Rig, Trouble
from thingmeter.errors import DeliveryError, Denied, Rejected, Throttled, Unconfirmed, Unreachable
from thingmeter.sandbox.cloud import Sandbox, Settings
from thingmeter.sandbox.limits import Limits

PROXY_VARIABLES = ("https_proxy", "all_proxy", "HTTPS_PROXY", "ALL_PROXY")
PATIENCE_S = 20.0


@pytest.fixture(params=RIGS)
def rig(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rig]:
    for name in PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    settings = Settings(minimum_interval_s=0, limits=Limits(connect_interval_s=0))
    with Sandbox(tmp_path / "sandbox", things=("pump-7",), settings=settings) as sandbox:
        made = RIGS[request.param](sandbox, tmp_path)
        yield made
        made.close()


def test_it_returns_once_the_message_is_accepted(rig: Rig) -> None:
    rig.send(1)

    assert rig.received(1) == [rig.message(1)[1]]


def test_messages_arrive_in_order(rig: Rig) -> None:
    for number in (1, 2, 3):
        rig.send(number)

    assert rig.received(3) == [rig.message(number)[1] for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("trouble", "error"),
    [
        ("denied", Denied),
        ("throttled", Throttled),
        ("rejected", Rejected),
        ("answer lost", Unreachable),
        ("down", Unreachable),
    ],
)
def test_each_refusal_has_its_class(rig: Rig, trouble: Trouble, error: type[DeliveryError]) -> None:
    rig.make(trouble)

    with pytest.raises(error) as caught:
        rig.send(1, timeout_s=4)

    assert "\n" not in str(caught.value)


def test_a_throttled_message_may_be_sent_after_a_time(rig: Rig) -> None:
    rig.make("throttled")

    with pytest.raises(Throttled) as caught:
        rig.send(1)

    assert caught.value.after_s >= 0


def test_a_retry_brings_the_same_bytes(rig: Rig) -> None:
    rig.make("answer lost")
    with pytest.raises(Unreachable):
        rig.send(1)

    rig.recover()
    with contextlib.suppress(Rejected):  # Device Defender takes no report id twice
        rig.send(1)

    assert len(set(rig.received(2))) == 1


def test_a_send_ends_where_nobody_answers(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thingmeter.destinations.defender.transport.ANSWER_TIMEOUT_S", 0.5)
    rig.make("silent")

    with pytest.raises((Unreachable, Unconfirmed)):
        rig.send(1, timeout_s=0.5)


def test_closing_ends_a_send(rig: Rig) -> None:
    rig.make("silent")
    ends: list[BaseException] = []
    sending = threading.Thread(target=note_end, args=(rig, ends), name="sending for a test")
    sending.start()
    rig.received(1)

    rig.transport.close()

    sending.join(PATIENCE_S)
    assert [isinstance(end, Unreachable | Unconfirmed) for end in ends] == [True]


def test_closing_twice_is_harmless(rig: Rig) -> None:
    rig.transport.close()

    rig.transport.close()


def note_end(rig: Rig, ends: list[BaseException]) -> None:
    try:
        rig.send(1, timeout_s=300)
    except BaseException as error:  # noqa: BLE001  # whatever it is: the test looks at it
        ends.append(error)
