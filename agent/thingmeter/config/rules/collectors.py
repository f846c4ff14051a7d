"""[collectors.NAME]: their names, and their time limits."""

from __future__ import annotations

import re

from msgspec import structs

from thingmeter.config.places import KeyPath
from thingmeter.config.reading import Reading
from thingmeter.config.settings import Collector
from thingmeter.config.wording import escape, kind_of

COLLECTOR_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
COLLECTOR_NAME_WORDS = "1 to 64 of the characters a-z 0-9 _, the first a letter"


def read_collectors(reading: Reading) -> tuple[Collector, ...]:
    """Return a collector for each [collectors.NAME], in the order of the files."""
    known = [field.encode_name for field in structs.fields(Collector) if field.name not in {"name", "options"}]
    collectors = []
    for name, raw in (reading.table(("collectors",)) or {}).items():
        path = ("collectors", name)
        if not isinstance(raw, dict):
            reading.report(path, f"is {kind_of(raw)}, must be a table: [collectors.{escape(name)}]")
            continue
        options = {key: value for key, value in raw.items() if key not in known}
        collector = reading.struct(Collector, path, besides={"name": name, "options": options})
        collectors.append(_with_timeout(reading, path, collector))
        if not COLLECTOR_NAME.fullmatch(name):
            reading.report(path, f"the name of a collector must be {COLLECTOR_NAME_WORDS}")
    return tuple(collectors)


def _with_timeout(reading: Reading, path: KeyPath, collector: Collector) -> Collector:
    timeout, interval = (*path, "timeout_s"), (*path, "interval_s")
    if not reading.given(timeout):
        return structs.replace(collector, timeout_s=min(collector.timeout_s, collector.interval_s))
    if collector.timeout_s > collector.interval_s and reading.sound(timeout, interval):
        reading.report(timeout, f"must be at most interval_s ({collector.interval_s:g})")
    return collector
