"""A strict JSON reader: UTF-8, no duplicate keys, no NaN, and numbers with all their digits. Source: RFC 8259."""

from __future__ import annotations

import json
from decimal import Decimal, InvalidOperation
from typing import Any, NoReturn

from thingmeter.sandbox.defender.tree import Node, show
from thingmeter.sandbox.errors import Undecodable


def read_json(payload: bytes) -> Node:
    """Return what the JSON text says.

    Raises:
        Undecodable: it is not JSON, or JSON that two readers could take in two ways.
    """
    try:
        root: Node = json.loads(
            payload.decode("utf-8"),
            object_pairs_hook=_map,
            parse_constant=_refuse_constant,
            parse_float=Decimal,
        )
    except UnicodeDecodeError as error:
        raise Undecodable(f"not UTF-8 at byte {error.start}") from error
    except RecursionError as error:
        raise Undecodable("nested too deeply") from error
    except InvalidOperation as error:
        raise Undecodable("a number is out of all bounds") from error
    except ValueError as error:
        raise Undecodable(f"not JSON: {error}") from error
    return root


def _map(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise Undecodable(f"the key {show(key)} stands twice in one map", rule="duplicate-key")
        found[key] = value
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise Undecodable(f"{name} is no JSON number", rule="finite")
