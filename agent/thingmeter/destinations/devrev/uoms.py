"""The three calls that registering UOMs takes, and the meaning of every answer to them.

What concerns the attempt as a whole is raised; what concerns one UOM is returned as a ``Refusal``. Nothing is sent
twice here: whoever asks again decides that after looking. Source: DevRev's beta API reference, uoms.list, uoms.create
and uoms.update; it documents no status for a duplicate, so 409 and 400 both may be one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal, TypeAlias

import msgspec

from thingmeter.destinations.devrev.account import Account
from thingmeter.destinations.devrev.answers import document_of, is_page, said, wait_s
from thingmeter.destinations.devrev.comparison import Uom
from thingmeter.destinations.devrev.definition import UomDefinition
from thingmeter.destinations.devrev.token import read_token
from thingmeter.destinations.https import Answer, Exchange, Request
from thingmeter.errors import Denied, Throttled, Unanswered, Unreachable

NAMES_PER_CALL = 50  # as many as a page of the answer holds by default
MAXIMUM_PAGES = 1000

Call: TypeAlias = Literal["uoms.list", "uoms.create", "uoms.update"]
RefusalKind: TypeAlias = Literal["unclear", "exists", "invalid", "forbidden", "lasting"]
"""unclear: it may have been carried out. exists: there is such a UOM. invalid: not so, or there is such a UOM.
forbidden: this token may not make this call. lasting: refused for good in a way that is not documented."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a call did not do its work, as far as one UOM is concerned; ``words`` are one line."""

    kind: RefusalKind
    words: str


class Uoms:
    """DevRev's UOMs, as one attempt sees them.

    Every method blocks for its calls and may raise:

        Throttled: DevRev asks to wait, or another user of the token has used its budget up.
        Unreachable: no answer, or one that is not DevRev's own.
        Denied: the token is refused, or there is none.

    Args:
        exchange: carries a request out.
        account: of the organisation.
        now: returns the aware wall time.
    """

    def __init__(self, exchange: Exchange, account: Account, now: Callable[[], datetime]) -> None:
        self._exchange = exchange
        self._account = account
        self._now = now
        self._token = ""

    def begin(self) -> None:
        """Begin an attempt: the token is read from its file again, by the first call."""
        self._token = ""

    def named(self, names: Iterable[str]) -> dict[str, Uom]:
        """Return the UOMs of these metric names that DevRev's filter finds, by their names in lower case."""
        wanted = list(names)
        found: dict[str, Uom] = {}
        for start in range(0, len(wanted), NAMES_PER_CALL):
            chunk = wanted[start : start + NAMES_PER_CALL]
            found |= _among(self._listed({"metric_names": chunk}), chunk)
        return found

    def listed(self) -> tuple[Mapping[str, Any], ...]:
        """Return all UOMs of the organisation as they came; see ``found_in``."""
        return tuple(self._listed({}))

    def create(self, definition: UomDefinition) -> Uom | Refusal:
        """Create a UOM; return it as DevRev now has it."""
        return self._changed("uoms.create", _create_body(definition), definition)

    def add_dimensions(self, uom_id: str, dimensions: Sequence[str], definition: UomDefinition) -> Uom | Refusal:
        """Add dimensions to the UOM ``uom_id`` of a definition; return it as DevRev now has it."""
        body = {"id": uom_id, "dimensions": {"add": list(dimensions)}}
        return self._changed("uoms.update", body, definition)

    def _changed(self, call: Call, body: Mapping[str, Any], definition: UomDefinition) -> Uom | Refusal:
        try:
            answer = self._ask(call, body)
        except Unanswered as error:
            return Refusal("unclear", str(error))
        refusal = self._refusal(answer, call)
        if refusal is not None:
            return refusal
        document = document_of(answer)
        uom = document.get("uom") if isinstance(document, Mapping) else None
        try:
            converted = msgspec.convert(uom, Uom)
        except msgspec.ValidationError:
            return Refusal("unclear", f"DevRev answered {call} with {answer.status}, but not with a UOM")
        if converted.metric_name.lower() != definition.metric_name.lower():
            return Refusal("unclear", f"DevRev answered {call} with another UOM")
        return converted

    def _listed(self, filters: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        cursors: set[str] = set()
        cursor = ""
        for _ in range(MAXIMUM_PAGES):
            answer = self._ask("uoms.list", {**filters, "cursor": cursor} if cursor else filters)
            self._raise_refusal(answer, paging=bool(cursor))
            uoms, cursor = _page(answer)
            yield from uoms
            if not cursor:
                return
            if cursor in cursors:
                raise Unreachable("DevRev's uoms.list came back to a page that it had shown before")
            cursors.add(cursor)
        raise Unreachable(f"DevRev's uoms.list did not end after {MAXIMUM_PAGES} pages")

    def _ask(self, call: Call, body: Mapping[str, Any]) -> Answer:
        if not self._token:
            self._token = read_token(self._account.token_file)
        headers = {
            "authorization": f"{self._account.scheme} {self._token}".lstrip(),
            "content-type": "application/json",
            "accept": "application/json",
            "user-agent": "thingmeter",
            "x-devrev-scope": "beta",
        }
        url = f"{self._account.endpoint_url}/{call}"
        return self._exchange(Request("POST", url, headers, msgspec.json.encode(body)))

    def _raise_refusal(self, answer: Answer, *, paging: bool) -> None:
        refusal = self._refusal(answer, "uoms.list")
        if refusal is None:
            return
        if refusal.kind == "unclear" or paging:  # a cursor may have ended: the next attempt begins with the first page
            raise Unreachable(refusal.words)
        raise Denied(refusal.words)

    def _refusal(self, answer: Answer, call: Call) -> Refusal | None:
        """Return what keeps a call from being a success; None where it is one."""
        status, words = answer.status, f"DevRev answered {call} with {said(answer)}"
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return None
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise Throttled(words, after_s=wait_s(answer, self._now()))
        if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return Refusal("unclear", words)
        self._raise_if_not_devrev(answer, call)
        if status == HTTPStatus.UNAUTHORIZED:
            file = f"{self._account.token_file} ([devrev] token_file)"
            raise Denied(f"{words}: the token in {file} is expired or wrong, put a valid one there")
        kinds: Mapping[int, RefusalKind] = {400: "invalid", 403: "forbidden", 409: "exists"}
        kind = kinds.get(status, "lasting")
        if kind == "forbidden":
            words = f"{words}: the token in {self._account.token_file} needs the right to this call"
        return Refusal(kind, words)

    def _raise_if_not_devrev(self, answer: Answer, call: Call) -> None:
        where = self._account.endpoint_url
        if answer.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
            raise Unreachable(f"a proxy, not DevRev, answered {call}: {said(answer)}")
        if answer.status < HTTPStatus.BAD_REQUEST:
            raise Unreachable(f"{where} redirects {call} ({answer.status}): is it DevRev's API, is a proxy in between?")
        if is_page(answer):
            raise Unreachable(
                f"{call} was answered with {answer.status} and a web page: that is a proxy or another server in front "
                f"of {where}, not DevRev itself"
            )


def found_in(uoms: Iterable[Mapping[str, Any]], name: str) -> Uom | None:
    """Return the UOM of a metric name, ignoring case, among those that ``Uoms.listed`` returned.

    Raises:
        Unreachable: it is not what DevRev documents.
    """
    return _among(uoms, [name]).get(name.lower())


def _among(uoms: Iterable[Mapping[str, Any]], names: Iterable[str]) -> dict[str, Uom]:
    exact = set(names)
    wanted = {name.lower() for name in exact}
    found: dict[str, Uom] = {}
    for uom in uoms:
        name = uom.get("metric_name")
        if isinstance(name, str) and name.lower() in wanted and (name.lower() not in found or name in exact):
            try:
                found[name.lower()] = msgspec.convert(uom, Uom)
            except msgspec.ValidationError as error:
                raise Unreachable(
                    f"DevRev's uoms.list shows {name} in a way that is not documented: {error}"
                ) from error
    return found


def _page(answer: Answer) -> tuple[list[Mapping[str, Any]], str]:
    """Return the UOMs of a page, and the cursor of the next one or nothing."""
    document = document_of(answer)
    uoms = document.get("uoms") if isinstance(document, Mapping) else None
    cursor = document.get("next_cursor") if isinstance(document, Mapping) else None
    if not isinstance(uoms, list) or not all(isinstance(uom, Mapping) for uom in uoms) or not _is_cursor(cursor):
        kind = "a web page: is a proxy in between?" if is_page(answer) else "something else than a list of UOMs"
        raise Unreachable(f"DevRev answered uoms.list with {kind}")
    return uoms, cursor or ""


def _is_cursor(value: object) -> bool:
    return value is None or isinstance(value, str)


def _create_body(definition: UomDefinition) -> dict[str, Any]:
    """Return the request; what is optional and empty is left out."""
    aggregation: dict[str, str] = {"aggregation_type": definition.aggregation_type}
    if definition.unique_dimension:
        aggregation["unique_dimension"] = definition.unique_dimension
    body: dict[str, Any] = {
        "metric_name": definition.metric_name,
        "name": definition.display_name,
        "product_id": definition.product_id,
        "unit": {"name": definition.unit_name, "type": definition.unit_type},
        "aggregation_detail": aggregation,
    }
    optional = {
        "part_id": definition.part_id,
        "description": definition.description,
        "dimensions": list(definition.dimensions),
    }
    return body | {key: value for key, value in optional.items() if value}
