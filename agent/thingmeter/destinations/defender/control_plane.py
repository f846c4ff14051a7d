"""The four calls of AWS IoT's control plane that registering a custom metric takes.

    GET   /custom-metrics?maxResults=250&nextToken=...    ListCustomMetrics
    GET   /custom-metric/NAME                             DescribeCustomMetric
    POST  /custom-metric/NAME                             CreateCustomMetric
    PATCH /custom-metric/NAME                             UpdateCustomMetric

What concerns one metric comes back as a ``Refusal``; what concerns the attempt as a whole is raised. None deletes.
Source: the AWS IoT API reference, 2015-05-28.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TypeVar
from urllib.parse import quote

import msgspec

from thingmeter.destinations.answers import Refusal
from thingmeter.destinations.defender.definition import CustomMetricDefinition
from thingmeter.destinations.defender.refusals import RefusalKind, refusal_of
from thingmeter.destinations.https import Exchange, Request
from thingmeter.errors import Denied, Unanswered, Unreachable
from thingmeter.protocols import Clock

PAGE_SIZE = 250  # the most that the API gives at once; an account has 100 unless its quota was raised
MAXIMUM_PAGES = 1000  # a list that does not end would keep the attempt for ever


class RegisteredMetric(msgspec.Struct, frozen=True, rename="camel"):
    """What the account has under a name; ``metric_type`` may be one that this version does not know."""

    metric_type: str
    display_name: str | None = None


class _Page(msgspec.Struct, frozen=True, rename="camel"):
    metric_names: list[str] | None = None
    next_token: str | None = None


class _Created(msgspec.Struct, frozen=True, rename="camel"):
    metric_name: str


class _Updated(msgspec.Struct, frozen=True):
    """An answer of which nothing is needed but that it is a JSON object."""


ContentT = TypeVar("ContentT")


class ControlPlane:
    """Custom metrics in one account and region.

    Every method blocks for one exchange (``list_names`` for one a page) and may raise:

        Throttled: the service asks to wait.
        Unanswered: the call may have been carried out.
        Unreachable: it was not, or what came back is not the service's.
        Denied: the service does not know us.

    Args:
        url: ``https://HOST[:PORT]``, without a slash at its end.
        exchange: signs what it sends.
        clock: this machine's, to tell a wrong one from wrong credentials.
    """

    def __init__(self, url: str, exchange: Exchange, clock: Clock) -> None:
        self._url = url
        self._exchange = exchange
        self._clock = clock

    def list_names(self) -> frozenset[str]:
        """Return the names of all custom metrics.

        Raises:
            Denied: as well where the service refuses to list for good.
        """
        names: set[str] = set()
        tokens: set[str] = set()
        token = ""
        for _ in range(MAXIMUM_PAGES):
            page = self._page(token)
            names.update(page.metric_names or ())
            token = page.next_token or ""
            if not token:
                return frozenset(names)
            if token in tokens:
                raise Unreachable("ListCustomMetrics: AWS answered a page that it had already pointed to; no end of it")
            tokens.add(token)
        raise Unreachable(f"ListCustomMetrics: no end after {MAXIMUM_PAGES} pages")

    def describe(self, name: str) -> RegisteredMetric | Refusal[RefusalKind]:
        """Return what is registered under ``name``; a refusal of kind ``missing`` when nothing is."""
        return self._ask("DescribeCustomMetric", self._of("GET", name), RegisteredMetric)

    def create(self, definition: CustomMetricDefinition) -> Refusal[RefusalKind] | None:
        """Register the metric; a refusal of kind ``exists`` when the name is taken by another request."""
        content: dict[str, object] = {
            "metricType": definition.type,
            "clientRequestToken": definition.request_token(),
        }
        if definition.display_name:
            content["displayName"] = definition.display_name
        if definition.tags:
            content["tags"] = [{"Key": key, "Value": value} for key, value in definition.tags]
        created = self._ask("CreateCustomMetric", self._of("POST", definition.name, content), _Created)
        if isinstance(created, Refusal):
            return created
        if created.metric_name != definition.name:
            raise Unanswered(f"CreateCustomMetric: AWS answered for another name than {definition.name}")
        return None

    def update(self, name: str, display_name: str) -> Refusal[RefusalKind] | None:
        """Change what the console shows, the one thing that can be changed; ``display_name`` is not empty."""
        updated = self._ask("UpdateCustomMetric", self._of("PATCH", name, {"displayName": display_name}), _Updated)
        return updated if isinstance(updated, Refusal) else None

    def _page(self, token: str) -> _Page:
        query = f"maxResults={PAGE_SIZE}" + (f"&nextToken={quote(token, safe='')}" if token else "")
        page = self._ask("ListCustomMetrics", Request("GET", f"{self._url}/custom-metrics?{query}"), _Page)
        if not isinstance(page, Refusal):
            return page
        if token and page.kind != "denied":  # a token that ran out, perhaps; the next attempt begins with none
            raise Unreachable(page.reason)
        raise Denied(page.reason)

    def _of(self, method: str, name: str, content: dict[str, object] | None = None) -> Request:
        url = f"{self._url}/custom-metric/{quote(name, safe='')}"
        if content is None:
            return Request(method, url)
        return Request(method, url, {"content-type": "application/json"}, msgspec.json.encode(content))

    def _ask(self, operation: str, request: Request, kind: type[ContentT]) -> ContentT | Refusal[RefusalKind]:
        answer = self._exchange(request)
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            return refusal_of(answer, operation, self._clock.now())
        try:
            return msgspec.json.decode(answer.body, type=kind)
        except (ValueError, RecursionError) as error:
            reason = str(error) if isinstance(error, msgspec.ValidationError) else "no JSON"
            raise Unanswered(f"{operation}: AWS answered {answer.status} with something else: {reason}") from error
