"""What the daemon makes of a configuration, and how it ends when it has hardly begun."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

import thingmeter
from devrev.usage_records import freeze
from thingmeter.clock import SystemClock
from thingmeter.config import Config, load
from thingmeter.config.settings import Outbox as OutboxSettings
from thingmeter.daemon import Daemon
from thingmeter.daemon import _load as load_or_go_on
from thingmeter.destinations.devrev.pause import Pause
from thingmeter.errors import ConfigError
from thingmeter.health import Health, notify_systemd
from thingmeter.loading import load_collectors, mapping_problems, without_mistakes
from thingmeter.outbox import Message, Outbox

MQTT = """
[mqtt]
host = "{host}"
[mqtt.tls]
ca_file = "ca.pem"
certificate_file = "certificate.pem"
private_key_file = "key.pem"
"""


def config_of(folder: Path, text: str, host: str = "broker.example") -> Config:
    for name in ("ca.pem", "certificate.pem", "key.pem"):
        (folder / name).write_text("-----BEGIN-----\n")
        (folder / name).chmod(0o600)
    (folder / "thingmeter.toml").write_text(f'[outbox]\npath = "outbox.db"\n{MQTT.format(host=host)}{text}')
    return load(folder / "thingmeter.toml", environment={})


def test_the_blocks_of_the_report_bring_their_collectors(tmp_path: Path) -> None:
    config = config_of(tmp_path, '[defender]\nblocks = ["tcp_connections"]\n[collectors.cpu]\n')

    assert [one.name for one in load_collectors(config, Health())] == ["cpu", "sockets"]


def test_a_configured_collector_keeps_its_settings(tmp_path: Path) -> None:
    config = config_of(tmp_path, '[defender]\nblocks = ["tcp_connections"]\n[collectors.sockets]\ninterval_s = 60\n')

    assert [one.interval_s for one in load_collectors(config, Health())] == [60]


def test_a_custom_metric_that_nothing_can_feed_is_told_with_its_place(tmp_path: Path) -> None:
    config = config_of(
        tmp_path, '[defender]\n[[defender.custom_metric]]\nname = "m"\ntype = "number"\nfrom = "cpu.usage"\n'
    )

    problems = mapping_problems(config, load_collectors(config, Health()))

    line = (tmp_path / "thingmeter.toml").read_text().splitlines().index('from = "cpu.usage"') + 1
    assert [(problem.line, problem.message.partition(";")[0]) for problem in problems] == [
        (line, "collector cpu has no metric usage")
    ]


def test_a_mapping_mistake_leaves_out_that_metric_and_no_other(tmp_path: Path) -> None:
    config = config_of(
        tmp_path,
        '[defender]\n[[defender.custom_metric]]\nname = "bad"\ntype = "number"\nfrom = "cpu.usage"\n'
        '[[defender.custom_metric]]\nname = "good"\ntype = "number"\nfrom = "cpu.usage_percent"\n',
    )

    defender = without_mistakes(config, load_collectors(config, Health()))

    assert defender is not None
    assert [metric.name for metric in defender.custom_metric] == ["good"]


def test_an_option_that_a_collector_does_not_have_is_an_error_with_its_place(tmp_path: Path) -> None:
    config = config_of(tmp_path, "[collectors.cpu]\nper_cores = true\n")

    with pytest.raises(ConfigError, match=r"thingmeter\.toml:\d+: \[collectors\.cpu\] per_cores = true: .*per_core"):
        load_collectors(config, Health())


SLOW = """
import sys, threading
from thingmeter import Metric
class Slow:
    metrics = (Metric("litres", unit="l"),)
    def __init__(self):
        print("opening the port", file=sys.stderr, flush=True)
        threading.Event().wait()
    def collect(self):
        return ()
"""


def offline_daemon(folder: Path) -> Daemon:
    return Daemon(config_of(folder, "[defender]\n[collectors.cpu]\n", host="127.0.0.1"), SystemClock())


def test_a_daemon_that_is_stopped_while_it_starts_ends_in_good_order(tmp_path: Path) -> None:
    daemon = offline_daemon(tmp_path)
    daemon.start()

    daemon.stop()

    offline_daemon(tmp_path).stop()  # the outbox is free again


def test_a_daemon_that_cannot_be_built_lets_go_of_the_outbox(tmp_path: Path) -> None:
    with pytest.raises(ConfigError):
        Daemon(config_of(tmp_path, "[collectors.nowhere]\n"), SystemClock())

    offline_daemon(tmp_path).stop()


def test_a_plugin_that_never_gets_ready_does_not_delay_sigterm(tmp_path: Path) -> None:
    metadata = tmp_path / "site" / "slow-1.0.dist-info"
    metadata.mkdir(parents=True)
    (tmp_path / "site" / "slow_module.py").write_text(SLOW)
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: slow\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[thingmeter.collectors]\nslow = slow_module:Slow\n")
    config_of(tmp_path, "[collectors.slow]\n")
    command = [sys.executable, "-m", "thingmeter", "run", "-c", str(tmp_path / "thingmeter.toml")]
    path = os.pathsep.join((str(tmp_path / "site"), str(Path(thingmeter.__file__).parents[1])))
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path}) as agent:
        assert agent.stderr is not None
        assert agent.stderr.readline() == "opening the port\n"

        agent.terminate()

        try:
            assert agent.wait(5) == 0
        finally:
            agent.kill()


def test_a_systemd_that_does_not_listen_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))

    notify_systemd("READY=1")

    assert "READY=1 was not told" in caplog.text


UOM = """
[[devrev.uom]]
metric_name = "litres"
name = "Litres"
product_id = "PROD-1"
unit = { name = "litre", type = "number" }
aggregation_type = "sum"
from = "cpu.no_such_metric"
account_ref = "ACC-1"
"""


@contextmanager
def daemon_after_usage(folder: Path, devrev: str, pause: Pause | None = None) -> Iterator[Daemon]:
    """Yield a daemon that was not started, on an outbox with one usage record of the UOM litres."""
    outbox = Outbox.open(folder / "outbox.db", limits=OutboxSettings(minimum_free_bytes=0), clock=SystemClock())
    freeze(outbox, [1])
    outbox.close()
    daemon = Daemon(config_of(folder, f"[clock]\nsync_wait_s = 0\n[collectors.cpu]\n{devrev}"), SystemClock(), pause)
    yield daemon
    daemon.stop()


def usage_of(daemon: Daemon) -> list[Message | None]:
    """Return what each way would send next."""
    return [way.delivery._route.source.take() for way in daemon._ways]


@pytest.mark.parametrize("uom", ["", UOM])
def test_usage_of_a_uom_that_is_not_fed_any_more_is_delivered_where_others_register(tmp_path: Path, uom: str) -> None:
    with daemon_after_usage(tmp_path, f'[devrev]\nregistration = "off"\ntoken_file = "key.pem"\n{uom}') as daemon:
        assert [message and message.key for message in usage_of(daemon)] == ["litres-1"]


def test_usage_of_a_uom_that_nobody_looks_after_waits(tmp_path: Path) -> None:
    with daemon_after_usage(tmp_path, '[devrev]\ntoken_file = "key.pem"\n') as daemon:
        assert usage_of(daemon) == [None]


def test_without_the_table_usage_of_an_earlier_run_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with daemon_after_usage(tmp_path, ""):
        pass

    assert "1 records of UOM litres, which is not configured any more, wait" in caplog.text


def test_what_devrev_has_asked_for_outlives_a_reload(tmp_path: Path) -> None:
    pause = Pause(SystemClock())
    pause.ask(600)

    with daemon_after_usage(tmp_path, '[devrev]\nregistration = "off"\ntoken_file = "key.pem"\n', pause) as daemon:
        (way,) = daemon._ways

        assert way.delivery.step() > 300


def test_a_way_that_cannot_be_closed_does_not_keep_the_rest_from_stopping(tmp_path: Path) -> None:
    def close() -> None:
        raise ValueError("no window begins then")

    with daemon_after_usage(tmp_path, '[devrev]\nregistration = "off"\ntoken_file = "key.pem"\n') as daemon:
        daemon._ways = [replace(way, close=close) for way in daemon._ways]

    offline_daemon(tmp_path).stop()  # the outbox is free again


def test_a_missing_token_keeps_nothing_but_devrev_from_running(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config_of(tmp_path, "[collectors.cpu]\n")
    file = tmp_path / "thingmeter.toml"
    file.write_text(file.read_text() + '[devrev]\ntoken_file = "nowhere"\n')

    config = load_or_go_on(file)

    assert config.devrev is not None
    assert 'token_file = "nowhere": cannot be read' in caplog.text
