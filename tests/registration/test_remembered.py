"""What is remembered comes back as it was, or not at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingmeter.plans import Standing
from thingmeter.registration.remembered import Memory, Remembered, from_bytes, to_bytes

AT = datetime(2026, 1, 1, tzinfo=UTC)
STANDINGS: list[Standing] = ["registered", "disabled", "conflict", "refused", "denied"]
times = st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
remembered = st.builds(Remembered, st.text(), st.text(), st.sampled_from(STANDINGS), st.text(), times)
memories = st.builds(Memory, st.dictionaries(st.text(), remembered), st.none() | times, st.text(), st.floats(0, 1e9))


@given(memories)
def test_a_memory_comes_back_as_it_was(memory: Memory) -> None:
    assert from_bytes(to_bytes(memory)) == memory


@given(st.binary())
def test_any_bytes_are_a_memory_or_a_value_error(stored: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # of any kind
        from_bytes(stored)


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("version", 2),
        ("looked_at", 5),
        ("looked_at", "2026-01-01T00:00:00"),
        ("waited_s", None),
        ("waited_s", 1e400),
        ("waited_s", -1),
        ("definitions", ["cpu"]),
        ("definitions", {"cpu": None}),
        (
            "definitions",
            {
                "cpu": {
                    "fingerprint": "f",
                    "essence": "e",
                    "standing": "perfect",
                    "reason": "",
                    "at": "2026-01-01T00:00Z",
                }
            },
        ),
        (
            "definitions",
            {"cpu": {"fingerprint": "f", "essence": "e", "standing": ["x"], "reason": "", "at": "2026-01-01T00:00Z"}},
        ),
    ],
)
def test_a_damaged_member_is_a_value_error(member: str, value: object) -> None:
    document = json.loads(to_bytes(Memory({"cpu": Remembered("f", "e", "registered", "", AT)}, AT)))

    with pytest.raises(ValueError):  # noqa: PT011  # of any kind
        from_bytes(json.dumps(document | {member: value}).encode())


def test_a_hundred_definitions_take_few_bytes() -> None:
    definitions = {f"metric_{number}": Remembered("f" * 32, "e" * 32, "registered", "", AT) for number in range(100)}

    assert len(to_bytes(Memory(definitions, AT))) < 20_000
