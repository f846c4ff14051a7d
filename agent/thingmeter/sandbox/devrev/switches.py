"""Whatever DevRev's documents leave open, as switches; the defaults are what they suggest, or else the stricter way.

Sources: DevRev's beta API reference (github.com/devrev/fern-api-docs, fern/apis/beta/openapi-beta.yaml) and its pages
on authentication and rate limits (developer.devrev.ai). "Open" below: no source decides.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from thingmeter.sandbox.devrev.faults import Fault

Schemes: TypeAlias = Literal["both", "bearer", "bare"]
ThrottleForm: TypeAlias = Literal["both", "seconds", "fraction", "date", "body", "none"]
PageFault: TypeAlias = Literal["none", "empty", "endless"]
DimensionOrder: TypeAlias = Literal["as sent", "sorted", "reversed"]


@dataclass(slots=True)
class Switches:
    """How DevRev behaves; read at each call, so change its fields at any time.

    Attributes:
        faults: what goes wrong however right the call is; of those that match a call the first one strikes.
        forbidden: operations that are answered 403, such as ``{"uoms.create"}``.

        schemes: which forms of Authorization are taken. The reference says Bearer, older pages show the bare token.
        expired_tokens: tokens that are known, but answered 401 as expired.
        needs_scope: whether ``X-Devrev-Scope: beta`` must be there. Open what happens without it; the calls are beta
            ones, so the stricter way.
        needs_content_type: whether a body must be declared as application/json. Open; the stricter way.
        calls_per_window: how many calls of one token, whatever the operation, are taken in five minutes; None: any
            number. The window is documented, the number is each organisation's own.
        throttle_form: where an answer 429 says how long to wait: the header Retry-After as whole seconds ("seconds"),
            seconds with a fraction, or an HTTP date; the body's retry_after; header seconds and body; or nowhere.

        create_status: 201 in the reference, 200 on the page of the call.
        duplicate_status: of a create whose metric name is taken. Open: 409 is the conflict of other create calls, 400
            the only one that this call lists; 200 returns the UOM that is there.
        created_enabled: is_enabled of a new UOM. Open; nothing in a create can ask for it.
        metric_scope: of a new UOM. Open likewise.
        known_parts: display ids of the products and parts there are, such as ``PROD-1``; None: every well-formed one.
        stored_case: how metric names and dimension keys are kept. Open: they are said to be case-insensitive, which
            a service may take as leave to lower them.
        dimension_order: of the keys in an answer. Open.
        declared_unique_dimension: whether a unique_dimension must be among the dimensions. Open; the stricter way.
        repeated_dimension: what follows adding a dimension that is there, or removing one that is not. Open; a set
            takes it.

        maximum_page: a larger limit of a list is lowered to it. Open.
        filter_ignores_case: whether a list by metric_names ignores case. Open; the names do.
        visible_after_s: a new UOM stands in no list and no count before. Open; a search index lags by seconds.
        visible_after_lists: likewise, counted in first pages of lists.
        list_omits: members that a UOM lacks in lists, such as ``{"dimensions"}``.
        page_fault: "empty": the first page holds nothing but a cursor, which the contract allows; "endless": every
            page carries the same cursor.

        unknown_uom: what follows a usage record of a name without UOM. Open; told to expect silence.
        disabled_uom: likewise for a disabled one; it is documented that its records are dropped.
        undeclared_dimension: what follows a dimension that the UOM lacks; grouping is by the UOM's, so it is ignored.
        missing_user_ref: what follows a record without user_ref for a UOM of metric_scope user. Open.
        unfit_boolean: what follows a value other than 0 and 1 for a UOM of a boolean unit. Open; the stricter way.
        maximum_id_length: of a point's id; a longer one is refused; None: any length. Open.
        remembers_ids: whether points are told apart by id at all.
        remembers_content: whether equal points without id count once.
        memory_s: how long ids and content are remembered; None: for ever. Open.
        id_scope: whether an id is taken once in the organisation, or once for each UOM. Open; the stricter way.
        running_total: of which past a running total knows, see ``totals.py``.
    """

    faults: list[Fault] = field(default_factory=list)
    forbidden: set[str] = field(default_factory=set)

    schemes: Schemes = "both"
    expired_tokens: set[str] = field(default_factory=set)
    needs_scope: bool = True
    needs_content_type: bool = True
    calls_per_window: int | None = None
    throttle_form: ThrottleForm = "both"

    create_status: Literal[200, 201] = 201
    duplicate_status: Literal[200, 400, 409] = 409
    created_enabled: bool = True
    metric_scope: Literal["org", "user"] = "org"
    known_parts: set[str] | None = None
    stored_case: Literal["as sent", "lower"] = "as sent"
    dimension_order: DimensionOrder = "as sent"
    declared_unique_dimension: bool = True
    repeated_dimension: Literal["accepted", "refused"] = "accepted"

    maximum_page: int = 100
    filter_ignores_case: bool = True
    visible_after_s: float = 0.0
    visible_after_lists: int = 0
    list_omits: set[str] = field(default_factory=set)
    page_fault: PageFault = "none"

    unknown_uom: Literal["dropped", "refused"] = "dropped"
    disabled_uom: Literal["dropped", "refused"] = "dropped"
    undeclared_dimension: Literal["ignored", "dropped", "refused"] = "ignored"
    missing_user_ref: Literal["accepted", "dropped", "refused"] = "dropped"
    unfit_boolean: Literal["accepted", "dropped", "refused"] = "refused"
    maximum_id_length: int | None = None
    remembers_ids: bool = True
    remembers_content: bool = True
    memory_s: float | None = None
    id_scope: Literal["org", "uom"] = "org"
    running_total: Literal["ever active", "active in the period"] = "ever active"

    def take_fault(self, operation: str) -> Fault | None:
        """Return the fault that strikes the call at hand, if one does; uses one up."""
        return next((fault for fault in self.faults if fault.strikes(operation)), None)
