"""The checks that one field's type and bounds cannot say, and the defaults that another field or the machine gives."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

from msgspec import structs

from thingmeter.config.addresses import host_fault, proxy_fault, proxy_user, topic_fault
from thingmeter.config.credential import file_fault
from thingmeter.config.places import KeyPath
from thingmeter.config.reading import Reading
from thingmeter.config.settings import (
    AGGREGATES,
    THING_NAME,
    THING_NAME_WORDS,
    Collector,
    CustomMetric,
    Defender,
    Mqtt,
    Outbox,
    Thing,
)
from thingmeter.config.wording import escape, kind_of, listed, show

COLLECTOR_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
COLLECTOR_NAME_WORDS = "1 to 64 of the characters a-z 0-9 _, the first a letter"
SYSTEM_STATE = "/var/lib/thingmeter"
OUTBOX_FILE = "outbox.db"


def read_thing(reading: Reading) -> Thing:
    """Return [thing], named after the host where the files do not name it."""
    thing = reading.struct(Thing, ("thing",))
    if thing.name or not reading.sound(("thing", "name")):
        return thing
    name = socket.gethostname().partition(".")[0]
    if not re.fullmatch(THING_NAME, name):
        reason = f"name is missing, and the host name {show(name)} cannot stand in: {THING_NAME_WORDS}"
        reading.report(("thing", "name"), reason, at=("thing",))
    return structs.replace(thing, name=name)


def read_mqtt(reading: Reading, thing: Thing) -> Mqtt | None:
    """Return [mqtt], None without the table; its files are checked and made absolute."""
    if not reading.given(("mqtt",)):
        return None
    mqtt = reading.struct(Mqtt, ("mqtt",))
    _apply(reading, ("mqtt", "host"), host_fault(mqtt.host))
    topic = mqtt.status_topic.replace("{thing}", thing.name)
    if reading.given(("mqtt", "status_topic")):
        _apply(reading, ("mqtt", "status_topic"), topic_fault(topic))
    _check_proxy(reading, mqtt)
    tls = structs.replace(
        mqtt.tls,
        ca_file=_file(reading, ("mqtt", "tls", "ca_file"), mqtt.tls.ca_file),
        certificate_file=_file(reading, ("mqtt", "tls", "certificate_file"), mqtt.tls.certificate_file),
        private_key_file=_file(reading, ("mqtt", "tls", "private_key_file"), mqtt.tls.private_key_file, private=True),
    )
    password_file = _file(reading, ("mqtt", "proxy_password_file"), mqtt.proxy_password_file, private=True)
    return structs.replace(
        mqtt, client_id=mqtt.client_id or thing.name, status_topic=topic, proxy_password_file=password_file, tls=tls
    )


def read_defender(reading: Reading) -> Defender | None:
    """Return [defender], None without the table."""
    if not reading.given(("defender",)):
        return None
    defender = reading.struct(Defender, ("defender",))
    if not reading.given(("mqtt",)):
        reason = "needs the tables [mqtt] and [mqtt.tls], which say where reports go"
        reading.report(("mqtt",), reason, at=("defender",))
    interval, minimum = ("defender", "interval_s"), ("defender", "minimum_interval_s")
    if defender.interval_s < defender.minimum_interval_s and reading.sound(interval, minimum):
        if reading.given(interval):
            reading.report(interval, f"must be at least minimum_interval_s ({defender.minimum_interval_s})")
        else:
            reading.report(minimum, f"is above interval_s, whose default is {defender.interval_s}; raise that as well")
    _check_blocks(reading, defender)
    _check_custom_metrics(reading, defender.custom_metric)
    return defender


def read_outbox(reading: Reading) -> tuple[Outbox, tuple[str, ...]]:
    """Return [outbox] with an absolute path, and the variables that gave the path where no file does."""
    path = ("outbox", "path")
    outbox = reading.struct(Outbox, ("outbox",))
    if outbox.path:
        file = reading.resolve(path, outbox.path)
        if file.is_dir():
            reading.report(path, f"is a directory, must be a file ({escape(str(file))})")
        return structs.replace(outbox, path=str(file)), ()
    folder, variables = _state_folder(reading)
    return structs.replace(outbox, path=str(folder / OUTBOX_FILE)), variables


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


def _check_proxy(reading: Reading, mqtt: Mqtt) -> None:
    proxy, password = ("mqtt", "proxy"), ("mqtt", "proxy_password_file")
    if reading.given(proxy):
        _apply(reading, proxy, proxy_fault(mqtt.proxy))
    if reading.given(password) and reading.sound(proxy, password) and not proxy_user(mqtt.proxy):
        reading.report(password, 'needs a proxy that names a user: proxy = "http://USER@HOST:PORT"')


def _check_blocks(reading: Reading, defender: Defender) -> None:
    path = ("defender", "blocks")
    if not defender.blocks and not defender.custom_metric and reading.sound(path, ("defender", "custom_metric")):
        reading.report(path, "leaves nothing to report: name a block, or add a [[defender.custom_metric]]")


def _check_custom_metrics(reading: Reading, metrics: tuple[CustomMetric, ...]) -> None:
    seen: dict[str, int] = {}
    for index, metric in enumerate(metrics):
        path = ("defender", "custom_metric", index)
        name, kind, aggregate = (*path, "name"), (*path, "type"), (*path, "aggregate")
        if metric.name.startswith("aws:"):
            reading.report(name, "must not begin with aws:, which AWS keeps to itself")
        if reading.sound(name):
            first = seen.setdefault(metric.name, index)
            if first != index:
                place = reading.places.place(("defender", "custom_metric", first, "name"))
                reading.report(name, f"stands twice; the first is at {escape(place.file)}:{place.line}")
        allowed = AGGREGATES.get(metric.type, ())
        if reading.sound(kind, aggregate) and metric.aggregate not in allowed:
            reading.report(aggregate, f"must be {listed(map(show, allowed))} for the type {show(metric.type)}")


def _file(reading: Reading, path: KeyPath, value: str, *, private: bool = False) -> str:
    if not value or not reading.sound(path):
        return value
    file = reading.resolve(path, value)
    if "-----BEGIN" in value:
        reading.report(path, "must be the path of a file, not its content")
        return value
    directory = reading.environment.get("CREDENTIALS_DIRECTORY", "")
    _apply(reading, path, file_fault(file, private=private, credentials_directory=directory))
    return str(file)


def _apply(reading: Reading, path: KeyPath, fault: str | None) -> None:
    if fault is not None and reading.sound(path):
        reading.report(path, fault)


def _state_folder(reading: Reading) -> tuple[Path, tuple[str, ...]]:
    """Return where state is kept, and the variables that say so. Sources: systemd.exec(5), XDG Base Directory 0.8."""
    state = reading.environment.get("STATE_DIRECTORY", "").partition(":")[0]  # systemd joins several by colons
    if state:
        return Path(state).absolute(), ("STATE_DIRECTORY",)
    if os.geteuid() == 0:
        return Path(SYSTEM_STATE), ()
    home = reading.environment.get("XDG_STATE_HOME", "")
    if Path(home).is_absolute():  # the specification: a relative one is ignored
        return Path(home, "thingmeter"), ("XDG_STATE_HOME",)
    home = reading.environment.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - Path.expanduser raises
    if not Path(home).is_absolute():
        reason = f"path is missing, and its default has no place: $HOME is {show(home)}, no absolute path"
        reading.report(("outbox", "path"), reason, at=("outbox",))
    return Path(home, ".local", "state", "thingmeter"), ("HOME",)
