"""The calls uoms.*: a request of the right shape becomes an answer. Source: DevRev's beta API."""

from __future__ import annotations

from typing import Any

from thingmeter.protocols import Clock
from thingmeter.sandbox.devrev.pages import BEGINNING, Page, Turn, cursor_of, cut
from thingmeter.sandbox.devrev.refusals import Flaw, bad_request, conflict, not_found
from thingmeter.sandbox.devrev.switches import Switches
from thingmeter.sandbox.devrev.uom import Uom
from thingmeter.sandbox.devrev.uom_changes import created, updated
from thingmeter.sandbox.devrev.uoms import Uoms, filter_of
from thingmeter.sandbox.http.messages import HttpAnswer

USUAL_LIMIT = 50


class UomCalls:
    """Carries out the calls on ``uoms``."""

    def __init__(self, uoms: Uoms, clock: Clock, switches: Switches) -> None:
        self._uoms = uoms
        self._clock = clock
        self._switches = switches

    def create(self, body: dict[str, Any]) -> HttpAnswer:
        """Create a UOM, unless its metric name is taken."""
        uom, flaws = created(body, self._uoms.next_serial, self._clock.now(), self._switches)
        if uom is None:
            return bad_request(flaws)
        taken = self._uoms.named(uom.metric_name)
        if taken is not None:
            return self._duplicate(taken)
        self._uoms.put(uom)
        return self._answer(self._switches.create_status, uom)

    def get(self, body: dict[str, Any]) -> HttpAnswer:
        """Return one UOM."""
        uom = self._uoms.of_id(body["id"])
        return _unknown(body["id"]) if uom is None else self._answer(200, uom)

    def update(self, body: dict[str, Any]) -> HttpAnswer:
        """Change a UOM."""
        uom = self._uoms.of_id(body["id"])
        if uom is None:
            return _unknown(body["id"])
        changed, flaws = updated(uom, body, self._clock.now(), self._switches)
        if flaws:
            return bad_request(flaws)
        self._uoms.put(changed)
        return self._answer(200, changed)

    def delete(self, body: dict[str, Any]) -> HttpAnswer:
        """Delete a UOM."""
        uom = self._uoms.of_id(body["id"])
        if uom is None:
            return _unknown(body["id"])
        self._uoms.delete(uom)
        return HttpAnswer(204)

    def count(self, body: dict[str, Any]) -> HttpAnswer:
        """Count the UOMs that a list would show."""
        narrowed = filter_of(body, ignores_case=self._switches.filter_ignores_case)
        return HttpAnswer.of_json(200, {"count": sum(self._uoms.shows(uom, narrowed) for uom in self._uoms)})

    def list_uoms(self, body: dict[str, Any]) -> HttpAnswer:
        """Return a page of the UOMs that pass a filter."""
        turn = Turn(
            limit=min(body.get("limit", USUAL_LIMIT), self._switches.maximum_page),
            cursor=body.get("cursor", ""),
            backward=body.get("mode") == "before",
        )
        narrowed = filter_of(body, ignores_case=self._switches.filter_ignores_case)
        page = cut(self._sorted(body.get("sort_by", ())), turn, lambda uom: self._uoms.shows(uom, narrowed))
        if page is None:
            return bad_request([Flaw("invalid_field", "cursor", "is not a cursor of this list")])
        if not turn.cursor:
            self._uoms.count_list()
        return self._page(self._faulty(page, turn))

    def _sorted(self, fields: list[str] | tuple[str, ...]) -> list[Uom]:
        """Sort by the last field first: each sort keeps the order of equals."""
        attributes = {"created_date": "created_at", "modified_date": "modified_at"}
        uoms = list(self._uoms.ever())
        for each in reversed(fields):
            name, _, direction = each.partition(":")
            attribute = attributes.get(name, name)
            uoms.sort(key=lambda uom: getattr(uom, attribute), reverse=direction == "desc")
        return uoms

    def _faulty(self, page: Page, turn: Turn) -> Page:
        match self._switches.page_fault:
            case "empty" if not turn.cursor and not turn.backward:
                return Page((), next_cursor=cursor_of(BEGINNING))
            case "endless":
                return Page(page.uoms, next_cursor=cursor_of(BEGINNING))
            case _:
                return page

    def _page(self, page: Page) -> HttpAnswer:
        omitted = self._switches.list_omits
        uoms = [
            {key: value for key, value in uom.content(self._switches.dimension_order).items() if key not in omitted}
            for uom in page.uoms
        ]
        cursors = {"next_cursor": page.next_cursor, "prev_cursor": page.prev_cursor}
        return HttpAnswer.of_json(200, {"uoms": uoms, **{key: value for key, value in cursors.items() if value}})

    def _duplicate(self, taken: Uom) -> HttpAnswer:
        words = f"The metric name {taken.metric_name} is taken"
        match self._switches.duplicate_status:
            case 200:
                return self._answer(200, taken)
            case 400:
                return bad_request([Flaw("value_not_permitted", "metric_name", words, {"reason": words})])
            case 409:
                return conflict(words)

    def _answer(self, status: int, uom: Uom) -> HttpAnswer:
        return HttpAnswer.of_json(status, {"uom": uom.content(self._switches.dimension_order)})


def _unknown(uom_id: str) -> HttpAnswer:
    return not_found(f"There is no UOM {uom_id}")
