"""What ``thingmeter sandbox`` prints: an aligned line for each report, event of a connection and HTTPS call."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from thingmeter.sandbox.defender.verdict import Verdict, in_words
from thingmeter.sandbox.digest import digest
from thingmeter.sandbox.events import Event
from thingmeter.sandbox.http.calls import Call

RED, GREEN, YELLOW, DIM, PLAIN = "\033[31m", "\033[32m", "\033[33m", "\033[2m", "\033[0m"
EVENT_COLOURS = {"refused": RED, "denied": RED}
MAXIMUM_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Page:
    """Makes lines; ``thing_width`` is that of the column of things."""

    thing_width: int
    colour: bool = False

    def header(self) -> str:
        """Return the names of the columns; ``metrics`` counts device metrics + custom metrics."""
        columns = self._columns("time", "thing", "report_id", "format", "bytes", "metrics")
        return self._paint(f"{columns}  verdict", DIM)

    def report(self, verdict: Verdict) -> str:
        """Return the line of a report; an accepted one says what it holds, a rejected one the reason in words."""
        columns = self._columns(
            _time(verdict.at),
            verdict.thing,
            "-" if verdict.report_id is None else str(verdict.report_id),
            verdict.format,
            str(len(verdict.payload)),
            f"{len(verdict.blocks)}+{len(verdict.custom_metrics)}",
        )
        if not verdict.accepted:
            return f"{columns}  {self._paint(f'REJECTED {verdict.error_code}: {verdict.error_message}', RED)}"
        if verdict.warnings:
            return f"{columns}  {self._paint(f'accepted, but {in_words(verdict.warnings)}', YELLOW)}"
        return f"{columns}  {self._paint('accepted', GREEN)}  {self._paint(digest(verdict.report), DIM)}"

    def event(self, event: Event) -> str:
        """Return the line of an event."""
        words = f"{event.kind}: {event.detail}" if event.detail else event.kind
        if event.payload:
            shown = ascii(event.payload.decode("utf-8", "replace"))
            words += f" {shown[:MAXIMUM_SHOWN]}"
        line = f"{_time(event.at)}  {_shown(event.client):<{self.thing_width}}  {words}"
        return self._paint(line, EVENT_COLOURS.get(event.kind, DIM))

    def call(self, call: Call) -> str:
        """Return the line of an HTTPS request: what was asked, and the status and the error of the answer."""
        asked = f"{call.operation} {call.name}".rstrip()
        came = " ".join((str(call.status or "no answer"), call.error)).rstrip()
        words = ascii(f"{asked} -> {came}{f': {call.detail}' if call.detail else ''}")[1:-1]
        line = f"{_time(call.at)}  {_shown(call.client):<{self.thing_width}}  {words}"
        return self._paint(line, DIM if call.is_good else RED)

    def _columns(self, time: str, thing: str, *rest: str) -> str:
        report_id, report_format, size, metrics = rest
        return f"{time:<8}  {thing:<{self.thing_width}}  {report_id:>13}  {report_format:<6}  {size:>6}  {metrics:>7}"

    def _paint(self, text: str, colour: str) -> str:
        return f"{colour}{text}{PLAIN}" if self.colour else text


def _time(at: datetime) -> str:
    return at.astimezone().strftime("%H:%M:%S")


def _shown(client: str) -> str:
    return client or "?"
