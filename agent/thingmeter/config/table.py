"""The README's tables of settings. ``python -m thingmeter.config.table`` prints them."""

from __future__ import annotations

import sys

from msgspec import Struct

from thingmeter.config.fields import Field, extra, fields_of
from thingmeter.config.settings import (
    Aws,
    Clock,
    Collector,
    CustomMetric,
    Defender,
    DevRev,
    Mqtt,
    Outbox,
    Registration,
    Thing,
    Tls,
    Topic,
    Unit,
    Uom,
)
from thingmeter.config.wording import show

_TABLES: tuple[tuple[str, type[Struct]], ...] = (
    ("[thing]", Thing),
    ("[mqtt]", Mqtt),
    ("[mqtt.tls]", Tls),
    ("[aws]", Aws),
    ("[clock]", Clock),
    ("[registration]", Registration),
    ("[defender]", Defender),
    ("[[defender.custom_metric]]", CustomMetric),
    ("[devrev]", DevRev),
    ("[[devrev.uom]]", Uom),
    ("[devrev.uom.unit]", Unit),
    ("[topic]", Topic),
    ("[outbox]", Outbox),
    ("[collectors.NAME]", Collector),
)
_NOT_IN_TOML = {(Collector, "name"), (Collector, "options")}


def settings_table() -> str:
    """Return every setting in Markdown, one table for each TOML table: key, default, what is allowed, meaning."""
    return "\n".join(_table(header, struct) for header, struct in _TABLES)


def _table(header: str, struct: type[Struct]) -> str:
    _, _, meaning = (struct.__doc__ or "").partition("\n")[0].partition(": ")
    lines = [
        f"**`{header}`**: {meaning}",
        "",
        "| key | default | allowed | meaning |",
        "|---|---|---|---|",
        *(
            _row(field)
            for field in fields_of(struct)
            if (struct, field.name) not in _NOT_IN_TOML and not _is_table(field)
        ),
    ]
    return "\n".join((*lines, ""))


def _is_table(field: Field) -> bool:
    """Tell whether it has a table of its own here."""
    return field.kind.is_table or (field.kind.item is not None and field.kind.item.is_table)


def _row(field: Field) -> str:
    cells = (f"`{field.key}`", _default(field), field.allowed, field.kind.meta.description or "")
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(field: Field) -> str:
    worked_out = extra(field.kind.meta, "default")
    if worked_out:
        return worked_out
    if field.is_required:
        return "*needed*"
    if isinstance(field.default, tuple):
        return "all of them" if len(field.default) == field.kind.meta.max_length else f"`{show(list(field.default))}`"
    return f"`{show(field.default)}`"


if __name__ == "__main__":
    sys.stdout.write(settings_table())
