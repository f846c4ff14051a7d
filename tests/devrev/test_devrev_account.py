"""What the daemon knows of DevRev without asking it: definitions, the account, and its token's file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from devrev.devrev_service import DevRevService, one, uom
from devrev.uom_definitions import FULL, LITRES
from thingmeter.destinations.devrev.account import Account
from thingmeter.destinations.devrev.registrar import connect, definitions
from thingmeter.destinations.devrev.token import MAXIMUM_BYTES, read_token
from thingmeter.errors import Denied
from thingmeter.plans import Outcome


def test_a_definition_is_known_by_its_metric_name() -> None:
    assert LITRES.name == "pumped_litres"


def test_a_definition_survives_json() -> None:
    assert definitions(json.loads(json.dumps([asdict(FULL), asdict(LITRES)]))) == (FULL, LITRES)


def test_equal_definitions_have_equal_fingerprints_in_every_process() -> None:
    script = (
        "from devrev.uom_definitions import FULL\n"
        "from dataclasses import replace\n"
        "print(replace(FULL, dimensions=('line', 'site')).fingerprint())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "1"}

    printed = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )

    assert printed.stdout.strip() == FULL.fingerprint()


@pytest.mark.parametrize(
    "changes",
    [
        {"metric_name": "x"},
        {"display_name": "x"},
        {"product_id": "x"},
        {"unit_name": "x"},
        {"unit_type": "boolean"},
        {"aggregation_type": "sum"},
        {"unique_dimension": ""},
        {"part_id": ""},
        {"description": ""},
        {"dimensions": ("site", "line", "pump")},
    ],
)
def test_every_change_of_a_definition_changes_its_fingerprint(changes: dict[str, str]) -> None:
    assert replace(FULL, **changes).fingerprint() != FULL.fingerprint()  # type: ignore[arg-type]  # a member's name


def test_the_identity_is_the_endpoint_whatever_the_token() -> None:
    assert Account("https://a", "/token").identity() == Account("https://a", "/other", "", "/ca").identity()
    assert Account("https://a", "/token").identity() != Account("https://b", "/token").identity()


def test_a_replaced_token_is_another_version(tmp_path: Path) -> None:
    file = tmp_path / "token"
    account = Account("https://a", str(file))
    versions = [account.version()]
    for content in ("one", "three"):
        file.write_text(content)
        versions.append(account.version())
    (tmp_path / "new").write_text("seven")
    (tmp_path / "new").replace(file)
    versions.append(account.version())

    assert len(set(versions)) == 4


def test_a_token_that_stays_is_the_same_version(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("one")
    account = Account("https://a", str(file))

    assert account.version() == account.version()


@pytest.mark.parametrize("content", ["t0ken", "t0ken\n", "  t0ken \r\n"])
def test_white_space_around_the_token_does_not_count(tmp_path: Path, content: str) -> None:
    file = tmp_path / "token"
    file.write_text(content)

    assert read_token(str(file)) == "t0ken"


@pytest.mark.parametrize("content", [None, b"", b" \n", b"two words", b"two\nlines", b"t\xc3\xb6ken", b"a\0b"])
def test_a_token_that_no_header_can_carry_is_denied_with_the_path_only(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "file"
    if content is not None:
        file.write_bytes(content)

    with pytest.raises(Denied, match=rf"{file} \(\[devrev\] token_file\)") as caught:
        read_token(str(file))
    assert "two" not in str(caught.value)


def test_a_file_that_is_no_token_is_not_read_to_its_end(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_bytes(b"a" * (MAXIMUM_BYTES + 1))

    with pytest.raises(Denied, match="no token of DevRev is as long"):
        read_token(str(file))


@pytest.mark.parametrize(("scheme", "header"), [("Bearer", "Bearer t0ken"), ("", "t0ken")])
def test_a_registrar_is_made_from_json_and_registers(
    service: DevRevService, account: Account, scheme: str, header: str
) -> None:
    service.script("create", one(uom()))
    document = json.loads(json.dumps(asdict(replace(account, scheme=scheme))))
    registrar = connect(document, gap_s=0)

    outcomes = list(registrar.apply(registrar.plan(definitions([asdict(LITRES)]), [])))
    registrar.close()

    assert outcomes == [Outcome("pumped_litres", "create", "registered")]
    assert {asked.headers["authorization"] for asked in service.asked} == {header}


def test_the_token_is_read_anew_by_each_plan(service: DevRevService, account: Account) -> None:
    registrar = connect(asdict(account), gap_s=0)
    registrar.plan([LITRES], [])
    Path(account.token_file).write_text("new")
    registrar.plan([LITRES], [])
    registrar.close()

    assert [asked.headers["authorization"] for asked in service.asked] == ["Bearer t0ken", "Bearer new"]


def test_without_a_token_nothing_is_asked(service: DevRevService, account: Account) -> None:
    registrar = connect(asdict(replace(account, token_file="/nowhere/token")), gap_s=0)

    with pytest.raises(Denied, match="/nowhere/token"):
        registrar.plan([LITRES], [])
    assert service.asked == []
