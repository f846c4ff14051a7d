"""``thingmeter register``: what it prints, and how it ends, with real attempts at a sandbox."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from end_to_end.agent import Agent
from end_to_end.registration_device import LOAD, MEMORY, UOMS, Devices, cloud, declare, devices, operations
from thingmeter.cli import CONFIGURATION, FAILED, PERMISSION, UNAVAILABLE, parser, run_command
from thingmeter.sandbox.cloud import Sandbox
from thingmeter.sandbox.control_plane.switches import DETECT_CLOSED
from thingmeter.sandbox.devrev.faults import Fault

__all__ = ["cloud", "devices"]  # fixtures

pytestmark = pytest.mark.needs_aws


@dataclass(frozen=True)
class Ended:
    """How the command ended, and what it printed."""

    code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.stdout)
        return document

    def column(self, name: str) -> dict[str, str]:
        """Return one member of each item by the item's name; the command was given ``--json``."""
        return {item["name"]: item[name] for item in self.document["items"]}


Register = Callable[..., Ended]


@pytest.fixture
def register(capsys: pytest.CaptureFixture[str]) -> Register:
    """Return what runs the command in this process, for an agent's file."""

    def register(agent: Agent, *arguments: str) -> Ended:
        code = run_command(parser().parse_args(["register", "-c", str(agent.file), *arguments]))
        return Ended(code, *capsys.readouterr())

    return register


def test_all_that_is_registered_ends_with_0_and_a_table(devices: Devices, register: Register) -> None:
    ended = register(devices.make(metrics=LOAD))

    assert ended.code == 0
    assert ended.stdout.splitlines() == [
        "SERVICE   NAME           PLAN    STANDING    REASON",
        "defender  load           create  registered",
        "devrev    pumped_litres  create  registered",
        "devrev    operators      create  registered",
    ]


def test_progress_is_a_line_for_each_item_on_stderr(devices: Devices, register: Register) -> None:
    ended = register(devices.make(metrics=LOAD))

    assert ended.stderr.splitlines() == [
        "defender: load: created",
        "devrev: pumped_litres: created",
        "devrev: operators: created",
    ]


def test_json_has_an_item_for_each_definition_and_a_list_of_failures(devices: Devices, register: Register) -> None:
    ended = register(devices.make(metrics=LOAD, uoms=""), "--json")

    item = {"service": "defender", "name": "load", "action": "create", "standing": "registered", "reason": ""}
    assert ended.document == {"items": [item], "failures": []}


def test_a_second_time_all_is_adopted_and_nothing_is_created(
    cloud: Sandbox, devices: Devices, register: Register
) -> None:
    agent = devices.make()
    register(agent)
    before = len(cloud.calls.all())

    ended = register(agent, "--json")

    assert ended.code == 0
    assert set(ended.column("action").values()) == {"adopt"}
    assert not [asked for asked in operations(cloud.calls.all()[before:]) if "reate" in asked]


def test_a_second_time_beside_an_outbox_all_is_unchanged(devices: Devices, register: Register) -> None:
    agent = devices.make()
    with agent.outbox():
        pass
    register(agent)

    ended = register(agent, "--json")

    assert set(ended.column("action").values()) == {"unchanged"}


def test_a_dry_run_prints_each_kind_of_step_and_changes_nothing(
    cloud: Sandbox, devices: Devices, register: Register
) -> None:
    agent = devices.make(metrics=MEMORY + LOAD, uoms="")
    with agent.outbox():
        pass
    register(agent)
    cloud.control_plane.put("taken", "string-list")
    cloud.control_plane.put("shared")
    others = "".join(LOAD.replace('"load"', f'"{name}"') for name in ("taken", "shared", "new"))
    declare(agent, metrics=MEMORY.replace("used (%)", "in use (%)") + LOAD + others)
    before = dict(cloud.control_plane.metrics)

    ended = register(agent, "--dry-run", "--json")

    assert ended.column("action") == {
        "memory_used": "update",
        "load": "unchanged",
        "taken": "conflict",
        "shared": "adopt",
        "new": "create",
    }
    assert cloud.control_plane.metrics == before


def test_a_dry_run_of_uoms_prints_each_kind_of_step_and_changes_nothing(
    cloud: Sandbox, devices: Devices, register: Register
) -> None:
    register(devices.make(metrics=""))
    agent = devices.make(metrics="", uoms=UOMS.replace('"sum"', '"maximum"').replace('", "site"]', '", "site", "x"]'))
    before = tuple(cloud.devrev.uoms)

    ended = register(agent, "--dry-run", "--json")

    assert ended.column("action") == {"pumped_litres": "conflict", "operators": "update"}
    assert tuple(cloud.devrev.uoms) == before


def test_a_dry_run_without_conflict_ends_with_0_and_no_standing(devices: Devices, register: Register) -> None:
    ended = register(devices.make(), "--dry-run", "--json")

    assert ended.code == 0
    assert set(ended.column("standing").values()) == {None}


def test_a_conflict_ends_with_1_in_a_dry_run_and_otherwise(
    cloud: Sandbox, devices: Devices, register: Register
) -> None:
    cloud.control_plane.put("load", "string-list")
    agent = devices.make()

    assert register(agent, "--dry-run").code == FAILED
    assert register(agent).code == FAILED


def test_a_conflict_leaves_the_rest_registered_and_says_what_to_do(
    cloud: Sandbox, devices: Devices, register: Register
) -> None:
    cloud.control_plane.put("load", "string-list")

    ended = register(devices.make())

    assert "defender: load: conflict: load is registered as string-list, here it is number" in ended.stderr
    assert ended.stdout.count(" registered") == 4 + 1  # once in the reason


def test_what_exceeds_the_accounts_limit_ends_with_1(cloud: Sandbox, devices: Devices, register: Register) -> None:
    cloud.control_plane.switches.quota = 2

    ended = register(devices.make(uoms=""), "--json")

    assert (ended.code, ended.column("standing")["loads"]) == (FAILED, "refused")


def test_a_uom_that_is_switched_off_ends_with_1(cloud: Sandbox, devices: Devices, register: Register) -> None:
    cloud.devrev.switches.created_enabled = False

    ended = register(devices.make(metrics=""), "--json")

    assert (ended.code, set(ended.column("standing").values())) == (FAILED, {"disabled"})


def test_services_that_are_down_end_with_69_and_a_line_each(
    cloud: Sandbox, devices: Devices, register: Register
) -> None:
    cloud.services_down()

    ended = register(devices.make())

    assert ended.code == UNAVAILABLE
    assert [line.partition(": not reached: ")[0] for line in ended.stderr.splitlines()] == ["defender", "devrev"]


def test_a_service_that_is_down_leaves_the_other_registered(
    cloud: Sandbox, devices: Devices, register: Register
) -> None:
    cloud.http_faults["control plane"].kind = "refused"

    ended = register(devices.make(), "--json")

    assert ended.code == UNAVAILABLE
    assert ended.column("standing") == {"pumped_litres": "registered", "operators": "registered"}
    assert len(ended.document["failures"]) == 1


def test_a_token_that_is_refused_ends_with_77(cloud: Sandbox, devices: Devices, register: Register) -> None:
    cloud.devrev.tokens.clear()

    ended = register(devices.make(metrics=""))

    assert ended.code == PERMISSION
    assert ended.stderr.startswith("devrev: denied: DevRev answered uoms.list with 401")


def test_rights_that_are_missing_for_each_item_end_with_77(
    cloud: Sandbox, devices: Devices, register: Register
) -> None:
    cloud.control_plane.switches.errors = {"CreateCustomMetric": "AccessDeniedException"}

    ended = register(devices.make(uoms=""), "--json")

    assert (ended.code, set(ended.column("standing").values())) == (PERMISSION, {"denied"})


def test_an_account_to_which_detect_is_closed_ends_with_77_and_the_services_words(
    cloud: Sandbox, devices: Devices, register: Register
) -> None:
    cloud.control_plane.switches.closed = DETECT_CLOSED

    ended = register(devices.make(uoms=""))

    assert ended.code == PERMISSION
    assert "Device Defender Detect is not available to this account" in ended.stderr


def test_of_a_conflict_and_a_denial_the_denial_decides_how_it_ends(
    cloud: Sandbox, devices: Devices, register: Register
) -> None:
    cloud.control_plane.put("load", "string-list")
    cloud.devrev.tokens.clear()

    assert register(devices.make()).code == PERMISSION


def test_a_service_that_asks_to_wait_is_waited_for(cloud: Sandbox, devices: Devices, register: Register) -> None:
    cloud.devrev.switches.faults.append(Fault("throttled", operation="uoms.create", remaining=1, after_s=1))

    ended = register(devices.make(metrics=""))

    assert ended.code == 0
    assert "; going on in 1 s" in ended.stderr
    assert len(cloud.devrev.uoms) == 2


def test_a_service_that_asks_for_too_long_a_wait_ends_with_69(
    cloud: Sandbox, devices: Devices, register: Register
) -> None:
    cloud.devrev.switches.faults.append(Fault("throttled", after_s=3000))

    ended = register(devices.make(metrics=""))

    assert ended.code == UNAVAILABLE
    assert ended.stderr.startswith("devrev: still asks to wait: ")


def test_what_was_registered_before_a_service_failed_stands_in_the_table(
    cloud: Sandbox, devices: Devices, register: Register
) -> None:
    cloud.devrev.switches.faults.append(Fault("error before", operation="uoms.create", remaining=1, status=503))

    ended = register(devices.make(metrics=""), "--json")

    assert ended.code == UNAVAILABLE
    assert ended.column("standing") == {"operators": "registered"}
    assert "pumped_litres" in ended.document["failures"][0]


@pytest.mark.parametrize("arguments", [(), ("--dry-run",), ("--json",)])
def test_without_anything_to_register_it_ends_with_78_and_a_line(
    devices: Devices, register: Register, arguments: tuple[str, ...]
) -> None:
    agent = devices.make(metrics="", uoms="")

    ended = register(agent, *arguments)

    assert (ended.code, ended.stdout) == (CONFIGURATION, "")
    assert ended.stderr.startswith(f"{agent.file}: nothing to register: ")


def test_a_mistake_in_the_file_ends_with_78_and_its_place(cloud: Sandbox, devices: Devices, register: Register) -> None:
    agent = devices.make(uoms=UOMS.replace('"sum"', '"total"'))

    ended = register(agent)

    assert ended.code == CONFIGURATION
    assert ended.stderr.startswith(f"{agent.file}:")
    assert cloud.calls.all() == []


def test_a_service_that_is_switched_off_in_the_file_is_registered_all_the_same(
    cloud: Sandbox, devices: Devices, register: Register
) -> None:
    ended = register(devices.make(metrics_registration="off", uoms_registration="off"), "--json")

    assert ended.code == 0
    assert len(ended.column("standing")) == len(cloud.control_plane.metrics) + len(cloud.devrev.uoms)


def test_what_a_service_says_cannot_break_the_table(cloud: Sandbox, devices: Devices, register: Register) -> None:
    register(devices.make(metrics=""))
    for uom in tuple(cloud.devrev.uoms):
        cloud.devrev.uoms.put(replace(uom, name="Litres\n\x1b[31mpumped" + "!" * 5000))

    ended = register(devices.make(metrics=""))

    assert len(ended.stdout.splitlines()) == 3
    assert "\x1b" not in ended.stdout + ended.stderr
    assert max(map(len, ended.stdout.splitlines())) < 1000


def test_the_command_needs_no_place_for_an_outbox(devices: Devices, register: Register, tmp_path: Path) -> None:
    agent = devices.make(metrics="")
    agent.write(agent.config.text().replace(str(agent.config.folder / "outbox.db"), "/proc/nowhere/outbox.db"))

    assert register(agent).code == 0
    assert not list(tmp_path.rglob("outbox.db"))
