"""The account that custom metrics are registered in: when there is one, and what shows that it is another."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import msgspec
import pytest

from thingmeter.config.settings import Aws, Config, CustomMetric, Defender, Mqtt, Thing, Tls
from thingmeter.destinations.defender.account import Account, account_of

TLS = Tls(ca_file="/ca.pem", certificate_file="/pump.pem", private_key_file="/pump.key")
MQTT = Mqtt(host="localhost", tls=TLS)
DEFENDER = Defender(custom_metric=(CustomMetric(name="cpu_usage", type="number"),))
AWS = Aws(
    region="eu-west-1",
    role_alias="thingmeter",
    credentials_endpoint="localhost:8444",
    endpoint_url="https://localhost:8443",
    ca_file="/sandbox-ca.pem",
)
CONFIG = Config(thing=Thing(name="pump-7"), mqtt=MQTT, aws=AWS, defender=DEFENDER)


def config(*, aws: Aws | None = AWS, defender: Defender | None = DEFENDER) -> Config:
    return Config(thing=Thing(name="pump-7"), mqtt=MQTT, aws=aws, defender=defender)


@pytest.fixture
def account(tmp_path: Path) -> Account:
    """An account with files that are there."""
    for name in ("pump.pem", "pump.key", "ca.pem", "provider-ca.pem"):
        (tmp_path / name).write_text("first")
    return Account(
        thing="pump-7",
        region="eu-west-1",
        role_alias="thingmeter",
        credentials_endpoint="localhost:8444",
        ca_file=str(tmp_path / "ca.pem"),
        credentials_ca_file=str(tmp_path / "provider-ca.pem"),
        certificate_file=str(tmp_path / "pump.pem"),
        private_key_file=str(tmp_path / "pump.key"),
    )


def test_an_account_has_all_that_asking_takes() -> None:
    assert account_of(CONFIG) == Account(
        thing="pump-7",
        region="eu-west-1",
        endpoint_url="https://localhost:8443",
        role_alias="thingmeter",
        credentials_endpoint="localhost:8444",
        ca_file="/sandbox-ca.pem",
        credentials_ca_file="/sandbox-ca.pem",
        certificate_file="/pump.pem",
        private_key_file="/pump.key",
    )


def test_without_a_role_alias_the_certificate_stays_out_of_it() -> None:
    found = account_of(config(aws=Aws(region="eu-west-1")))

    assert found == Account(thing="pump-7", region="eu-west-1")


@pytest.mark.parametrize(
    "nothing_to_do",
    [
        config(aws=None),
        config(defender=None),
        config(defender=Defender()),
        config(defender=Defender(registration="off", custom_metric=DEFENDER.custom_metric)),
    ],
    ids=["no table aws", "no reports", "no custom metrics", "registration off"],
)
def test_there_is_no_account_where_nothing_is_to_be_registered(nothing_to_do: Config) -> None:
    assert account_of(nothing_to_do) is None


def test_an_account_survives_json(account: Account) -> None:
    assert msgspec.convert(json.loads(json.dumps(asdict(account))), Account) == account


@pytest.mark.parametrize(
    "change",
    [{"region": "eu-west-2"}, {"endpoint_url": "https://localhost"}, {"credentials_endpoint": "elsewhere"}],
)
def test_another_place_is_another_identity(account: Account, change: dict[str, str]) -> None:
    assert replace(account, **change).identity() != account.identity()  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"use_fips_endpoint": True}, {"certificate_file": "/new.pem"}])
def test_another_way_to_the_same_place_is_the_same_identity(account: Account, change: dict[str, object]) -> None:
    assert replace(account, **change).identity() == account.identity()  # type: ignore[arg-type]


def test_the_version_stays_while_the_files_do(account: Account) -> None:
    assert account.version() == account.version()


def rewrite(path: Path) -> None:
    path.write_text("second, and longer")


def replace_by_another(path: Path) -> None:
    path.with_suffix(".new").write_text("other")
    path.with_suffix(".new").replace(path)


@pytest.mark.parametrize("file", ["certificate_file", "private_key_file", "ca_file", "credentials_ca_file"])
@pytest.mark.parametrize("renew", [rewrite, replace_by_another, Path.unlink])
def test_the_version_changes_with_a_file(account: Account, file: str, renew: Callable[[Path], None]) -> None:
    before = account.version()

    renew(Path(getattr(account, file)))

    assert account.version() != before


def test_the_version_changes_with_the_role_alias(account: Account) -> None:
    assert replace(account, role_alias="other").version() != account.version()


def test_without_a_role_alias_the_version_is_that_of_the_shared_credentials(tmp_path: Path) -> None:
    account = Account(thing="pump-7", region="eu-west-1")
    environment = {"HOME": str(tmp_path)}
    before = account.version(environment)
    (tmp_path / ".aws").mkdir()

    (tmp_path / ".aws/credentials").write_text("[default]")

    assert account.version(environment) != before


def test_the_environment_names_another_place_of_the_shared_credentials(tmp_path: Path) -> None:
    account = Account(thing="pump-7", region="eu-west-1")
    environment = {"HOME": "/", "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials")}
    before = account.version(environment)

    (tmp_path / "credentials").write_text("[default]")

    assert account.version(environment) != before
