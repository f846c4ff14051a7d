"""The four calls that registering UOMs takes, and the meaning of every answer to them.

What concerns the attempt as a whole is raised; what concerns one UOM is returned as a ``Refusal``. Nothing is sent
twice here: whoever asks again decides that after looking. Source: DevRev's beta API reference, uoms.list, uoms.get,
uoms.create and uoms.update; it documents no status for a duplicate, so 409 and 400 both may be one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, Literal, TypeAlias

import msgspec

from thingmeter.destinations.answers import Refusal, shown
from thingmeter.destinations.devrev.account import Account
from thingmeter.destinations.devrev.answers import document_of, is_page, said, wait_s
from thingmeter.destinations.devrev.comparison import Uom
from thingmeter.destinations.devrev.definition import UomDefinition
from thingmeter.destinations.devrev.token import read_token
from thingmeter.destinations.https import Answer, Exchange, Request
from thingmeter.errors import Denied, Throttled, Unanswered, Unreachable

NAMES_PER_CALL = 50  # as many as a page of the answer holds by default
MAXIMUM_PAGES = 1000

Call: TypeAlias = Literal["uoms.list", "uoms.get", "uoms.create", "uoms.update"]
RefusalKind: TypeAlias = Literal["unclear", "exists", "invalid", "forbidden", "lasting"]
"""unclear: it may have been carried out. exists: there is such a UOM. invalid: not so, or there is such a UOM.
forbidden: this token may not make this call. lasting: refused for good in a way that is not documented."""


Found: TypeAlias = dict[str, Uom | Unreachable]
"""UOMs by their metric names in lower case; of one in a shape that is not documented the error that says so."""


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

    def named(self, names: Sequence[str]) -> Iterator[tuple[Sequence[str], Found]]:
        """Ask for these metric names by DevRev's filter; yield what each call was about, and what it found."""
        for start in range(0, len(names), NAMES_PER_CALL):
            chunk = names[start : start + NAMES_PER_CALL]
            yield chunk, _among(self._listed({"metric_names": chunk}), chunk)

    def among_all(self, names: Iterable[str]) -> Found:
        """Return the UOMs of these metric names among all of the organisation; its filter may tell case."""
        return _among(self._listed({}), names)

    def get(self, uom_id: str, definition: UomDefinition) -> Uom | None:
        """Return the UOM ``uom_id`` of a definition as DevRev has it now; None where it does not show it."""
        got = self._one("uoms.get", {"id": uom_id}, definition)
        if isinstance(got, Uom):
            return got
        if got.kind == "unclear":
            raise Unreachable(got.reason)
        return None

    def create(self, definition: UomDefinition) -> Uom | Refusal[RefusalKind]:
        """Create a UOM; return it as DevRev now has it."""
        return _with_dimensions(self._one("uoms.create", _create_body(definition), definition), definition)

    def add_dimensions(
        self, uom_id: str, dimensions: Sequence[str], definition: UomDefinition
    ) -> Uom | Refusal[RefusalKind]:
        """Add dimensions to the UOM ``uom_id`` of a definition; return it as DevRev now has it."""
        body = {"id": uom_id, "dimensions": {"add": list(dimensions)}}
        return _with_dimensions(self._one("uoms.update", body, definition), definition)

    def _one(self, call: Call, body: Mapping[str, Any], definition: UomDefinition) -> Uom | Refusal[RefusalKind]:
        """Make a call that is answered with one UOM."""
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
            raise Unreachable(refusal.reason)
        raise Denied(refusal.reason)

    def _refusal(self, answer: Answer, call: Call) -> Refusal[RefusalKind] | None:
        """Return what keeps a call from being a success; None where it is one."""
        status, words = answer.status, f"DevRev answered {call} with {said(answer)}"
        if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            return None
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise Throttled(words, after_s=wait_s(answer, self._now()))
        if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            proxy = f"a proxy in front of DevRev, not DevRev itself, answered {call} with a web page: {said(answer)}"
            return Refusal("unclear", proxy if is_page(answer) else words)
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


def _among(uoms: Iterable[Mapping[str, Any]], names: Iterable[str]) -> Found:
    """Return the UOMs of these names, ignoring case; the rest of the organisation's are not kept."""
    exact = set(names)
    wanted = {name.lower() for name in exact}
    found: Found = {}
    for uom in uoms:
        name = uom.get("metric_name")
        if isinstance(name, str) and name.lower() in wanted and (name.lower() not in found or name in exact):
            try:
                found[name.lower()] = msgspec.convert(uom, Uom)
            except msgspec.ValidationError as error:
                found[name.lower()] = Unreachable(
                    f"DevRev's uoms.list shows it in a way that is not documented: {shown(str(error))}"
                )
    return found


def _with_dimensions(made: Uom | Refusal[RefusalKind], definition: UomDefinition) -> Uom | Refusal[RefusalKind]:
    """Return what a success made: it need not repeat the dimensions that it took."""
    if isinstance(made, Uom) and made.dimensions is None:
        return msgspec.structs.replace(made, dimensions=definition.dimensions)
    return made


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
