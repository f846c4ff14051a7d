"""One report's bytes against every rule that can be judged from them alone."""

from __future__ import annotations

from typing import Literal, TypeAlias

from thingmeter.sandbox.defender.breach import Breach
from thingmeter.sandbox.defender.cbor_reader import read_cbor
from thingmeter.sandbox.defender.json_reader import read_json
from thingmeter.sandbox.defender.rules import check_report
from thingmeter.sandbox.defender.tree import Node
from thingmeter.sandbox.errors import Undecodable
from thingmeter.sandbox.limits import PAYLOAD_BYTES

Format: TypeAlias = Literal["json", "cbor"]


def judge_payload(payload: bytes, report_format: Format) -> tuple[Node, tuple[Breach, ...]]:
    """Return what the bytes decode to, None where they do not, and every rule that they break.

    Order of ids and intervals are judged by the service, which knows the reports before.
    """
    if len(payload) > PAYLOAD_BYTES:
        return None, (Breach("size", "", f"{len(payload)} bytes, more than {PAYLOAD_BYTES}"),)
    try:
        report = read_json(payload) if report_format == "json" else read_cbor(payload)
    except Undecodable as error:
        return None, (Breach(error.rule, "", str(error)),)
    return report, check_report(report)
