"""Whatever DevRev answers, an attempt ends in outcomes or in one of the three errors of a registrar."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devrev.devrev_service import uom
from devrev.uom_definitions import FULL, HOURS, LITRES
from thingmeter.destinations.devrev.account import Account
from thingmeter.destinations.devrev.registrar import UomRegistrar
from thingmeter.destinations.https import Answer, Request
from thingmeter.errors import Throttled, Unanswered, Unreachable
from thingmeter.testing import ManualClock

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from([*uom(), "part"])
UOMS = st.builds(
    lambda name, changes: uom(**({"metric_name": name} | changes)),
    st.sampled_from(["pumped_litres", "pump_hours", "PUMPED_LITRES"]),
    st.dictionaries(KEYS, VALUES, max_size=2) | st.just({}),
)
DOCUMENTS = (
    st.fixed_dictionaries({"uoms": st.lists(UOMS, max_size=3)}, optional={"next_cursor": VALUES})
    | st.fixed_dictionaries({"uom": UOMS | VALUES})
    | st.dictionaries(
        st.sampled_from(["uoms", "uom", "next_cursor", "message", "detail", "retry_after"]), VALUES, max_size=4
    )
    | VALUES
)
BODIES = DOCUMENTS.map(lambda document: json.dumps(document).encode()) | st.binary(max_size=20)
HEADERS = st.dictionaries(st.sampled_from(["retry-after", "date", "content-type"]), st.text(max_size=10), max_size=2)
STATUSES = st.sampled_from([200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 407, 408, 409, 418, 429, 500, 503, 999])
ANSWERS = st.none() | st.builds(Answer, STATUSES, HEADERS, BODIES)


@pytest.fixture(scope="module")
def token_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("devrev") / "token"
    file.write_text("t0ken")
    return file


class Scripted:
    """An exchange that gives these answers and then no more; None stands for an answer that got lost."""

    def __init__(self, answers: list[Answer | None]) -> None:
        self.created: Counter[str] = Counter()
        self._answers = iter(answers)

    def exchange(self, request: Request) -> Answer:
        if request.url.endswith("create"):
            document: dict[str, Any] = json.loads(request.body)
            self.created[document["metric_name"]] += 1
        try:
            answer = next(self._answers)
        except StopIteration:
            raise Unreachable("no more") from None
        if answer is None:
            raise Unanswered("lost")
        return answer


@given(st.lists(ANSWERS, max_size=8))
def test_any_answers_end_in_outcomes_or_in_an_error_of_a_registrar(
    token_file: Path, answers: list[Answer | None]
) -> None:
    scripted = Scripted(answers)
    registrar = UomRegistrar(scripted.exchange, Account("https://a", str(token_file)), ManualClock().now)
    said = []

    try:
        for outcome in registrar.apply(registrar.plan([LITRES, HOURS], ["pump_hours"])):
            assert outcome.standing != "pending"
            said.append(outcome.reason)
    except (Throttled, Unreachable) as error:
        said.append(str(error))

    assert all(words.isprintable() for words in said)
    assert not [name for name, times in scripted.created.items() if times > 1]


@given(UOMS, st.sampled_from([LITRES, FULL]))
def test_any_uom_of_the_listing_gives_a_step_or_a_trouble(token_file: Path, shown: Any, definition: Any) -> None:
    scripted = Scripted([Answer(200, {}, json.dumps({"uoms": [shown]}).encode())])
    registrar = UomRegistrar(scripted.exchange, Account("https://a", str(token_file)), ManualClock().now)

    try:
        plan = registrar.plan([definition], [])
        said = [step.reason for step in plan.steps] or [str(plan.trouble)]
    except Unreachable as error:  # Infinity is no JSON
        said = [str(error)]

    assert all(words.isprintable() for words in said)
