from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from config.test_example_file import SHOWN
from thingmeter.config.table import settings_table

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_has_the_table_of_settings() -> None:
    readme = README.read_text(encoding="utf-8")

    _, _, rest = readme.partition("<!-- settings -->\n")
    shown, _, _ = rest.partition("<!-- /settings -->")

    assert shown.strip() == settings_table().strip(), "put in what `python -m thingmeter.config.table` prints"


@pytest.mark.parametrize(("struct", "table", "field"), SHOWN)
def test_every_setting_has_a_row(struct: type[Struct], table: dict[str, Any], field: Any) -> None:
    del struct, table
    has_own_table = field.key in {"tls", "custom_metric", "uom", "unit"}

    assert has_own_table or f"| `{field.key}` |" in settings_table()


def test_every_row_has_four_cells() -> None:
    rows = [line for line in settings_table().splitlines() if line.startswith("| `")]

    assert {line.replace("\\|", "").count("|") for line in rows} == {5}


@pytest.mark.parametrize(("struct", "table", "field"), SHOWN)
def test_every_number_has_bounds(struct: type[Struct], table: dict[str, Any], field: Any) -> None:
    del struct, table
    meta = field.kind.meta
    bounds = (meta.gt if meta.ge is None else meta.ge, meta.le)

    assert field.kind.base not in {int, float} or None not in bounds
