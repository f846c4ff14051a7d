from __future__ import annotations

import os
from pathlib import Path

import pytest

from config.device import MQTT, SMALLEST, THING, Device, told_without_privilege

DEFENDER = SMALLEST + "[defender]\n"


def reason(problems: list[str]) -> str:
    (problem,) = problems
    return problem.rpartition(": ")[2] if "; run: " not in problem else problem


@pytest.mark.parametrize(
    "host",
    ["localhost", "broker.example.com", "a1b2-ats.iot.eu-west-1.amazonaws.com", "192.0.2.7", "2001:db8::7", "my_host"],
)
def test_a_host_may_be_a_name_or_an_address(device: Device, host: str) -> None:
    assert device.problems(SMALLEST.replace("broker.example.com", host)) == []


@pytest.mark.parametrize(
    ("host", "hint"),
    [
        ("mqtts://broker", "without the scheme mqtts://"),
        ("broker:8883", "port = 8883"),
        ("[2001:db8::7]:8883", "port = 8883"),
        ("[2001:db8::7]", "without brackets"),
        ("broker/path", "without path and user"),
        ("user@broker", "without path and user"),
        ("bro ker", "must be a host name or an IP address"),
        ("-broker", "must be a host name or an IP address"),
        ("broker.", "must be a host name or an IP address"),
        ("300.1.1.1", "must be a host name or an IP address"),
        ("fe80::1%eth0", "must be a host name or an IP address"),
        ("a" * 64, "must be a host name or an IP address"),
        ("", "a host name or an IP address, without scheme and port"),
    ],
)
def test_a_host_that_is_more_or_less_than_one_is_refused(device: Device, host: str, hint: str) -> None:
    (problem,) = device.problems(SMALLEST.replace("broker.example.com", host))

    assert problem.endswith(hint)


@pytest.mark.parametrize("topic", ["a", "status/{thing}", "a/b/c/d/e/f/g/h", "ä" * 128, "x" * 250 + "{thing}"])
def test_a_status_topic_may_be_any_that_can_be_published_to(device: Device, topic: str) -> None:
    assert device.problems(SMALLEST.replace("[mqtt]", f'[mqtt]\nstatus_topic = "{topic}"')) == []


@pytest.mark.parametrize(
    ("topic", "hint"),
    [
        ("a/+", "must not hold + or #"),
        ("a/#", "must not hold + or #"),
        ("{thing}/{other}", "may hold {thing}, and no other { or }"),
        ("$aws/things/x", "must not begin with $"),
        ("a/b/c/d/e/f/g/h/i", "has 8 slashes, at most 7 are allowed"),
        ("ä" * 129, "is 258 bytes long, at most 256 are allowed"),
        ("x" * 251 + "{thing}", "is 257 bytes long"),
    ],
)
def test_a_status_topic_that_cannot_be_published_to_is_refused(device: Device, topic: str, hint: str) -> None:
    (problem,) = device.problems(SMALLEST.replace("[mqtt]", f'[mqtt]\nstatus_topic = "{topic}"'))

    assert hint in problem


@pytest.mark.parametrize("proxy", ["http://proxy:3128", "http://192.0.2.1:8080/", "http://u@[2001:db8::1]:80"])
def test_a_proxy_may_have_a_user(device: Device, proxy: str) -> None:
    assert device.problems(SMALLEST.replace("[mqtt]", f'[mqtt]\nproxy = "{proxy}"')) == []


@pytest.mark.parametrize(
    ("proxy", "hint"),
    [
        ("proxy:3128", "must be http://HOST:PORT or http://USER@HOST:PORT"),
        ("http://proxy", "must be http://HOST:PORT or http://USER@HOST:PORT"),
        ("https://proxy:3128", "only plain HTTP proxies are known"),
        ("http://u:secret@proxy:3128", "name that by proxy_password_file"),
        ("http://proxy:0", "with a port from 1 to 65535"),
        ("http://proxy:65536", "with a port from 1 to 65535"),
        ("http://pro^xy:1", "with a port from 1 to 65535"),
        ("http://[:1", "must be http://HOST:PORT"),
    ],
)
def test_a_proxy_that_is_none_is_refused(device: Device, proxy: str, hint: str) -> None:
    (problem,) = device.problems(SMALLEST.replace("[mqtt]", f'[mqtt]\nproxy = "{proxy}"'))

    assert hint in problem


def test_a_proxy_password_needs_a_user(device: Device) -> None:
    text = '[mqtt]\nproxy = "http://proxy:3128"\nproxy_password_file = "proxy-password"'

    (problem,) = device.problems(SMALLEST.replace("[mqtt]", text))

    assert problem.startswith("thingmeter.toml:5: ")


def test_a_proxy_password_that_others_may_read_is_refused(device: Device) -> None:
    device.write("open", "secret", mode=0o604)
    text = '[mqtt]\nproxy = "http://user@proxy:3128"\nproxy_password_file = "open"'

    (problem,) = device.problems(SMALLEST.replace("[mqtt]", text))

    assert "mode 0604" in problem


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666, 0o777])
def test_a_private_key_open_to_others_is_refused_with_its_mode(device: Device, mode: int) -> None:
    path = device.write("private-key.pem", "PEM", mode=mode)

    (problem,) = device.problems(SMALLEST)

    assert problem == (
        f'thingmeter.toml:8: [mqtt.tls] private_key_file = "private-key.pem": is open to group or others '
        f"(mode {mode:04o}), must be readable by its owner only; run: chmod 600 {path.name}"
    )


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_private_key_of_its_owner_only_is_taken(device: Device, mode: int) -> None:
    device.write("private-key.pem", "PEM", mode=mode)

    assert device.problems(SMALLEST) == []


def test_credentials_of_systemd_may_have_any_mode(device: Device) -> None:
    device.write("credentials/key", "PEM", mode=0o440)
    text = SMALLEST.replace('"private-key.pem"', '"${CREDENTIALS_DIRECTORY}/key"')

    problems = device.problems(text, CREDENTIALS_DIRECTORY=str(device.folder / "credentials"))

    assert problems == []


def test_a_link_into_the_credentials_is_one_of_them(device: Device) -> None:
    target = device.write("credentials/key", "PEM", mode=0o440)
    (device.folder / "link.pem").symlink_to(target)

    problems = device.problems(
        SMALLEST.replace("private-key.pem", "link.pem"), CREDENTIALS_DIRECTORY=str(target.parent)
    )

    assert problems == []


def test_a_folder_whose_name_begins_like_the_credentials_is_another(device: Device) -> None:
    device.write("credentials-old/key", "PEM", mode=0o440)
    text = SMALLEST.replace("private-key.pem", "credentials-old/key")

    problems = device.problems(text, CREDENTIALS_DIRECTORY=str(device.folder / "credentials"))

    assert len(problems) == 1


def test_a_certificate_may_be_read_by_all(device: Device) -> None:
    device.write("certificate.pem", "PEM", mode=0o644)

    assert device.problems(SMALLEST) == []


def make_nothing(_: Path) -> None:
    """Leave the path free."""


def make_loop(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (make_nothing, "cannot be read: no such file or directory (FOLDER/made)"),
        (Path.mkdir, "is a directory, must be a file (FOLDER/made)"),
        (Path.touch, "is empty (FOLDER/made)"),
        (os.mkfifo, "is no regular file (FOLDER/made)"),
        (make_loop, "cannot be read: too many levels of symbolic links (FOLDER/made)"),
    ],
)
def test_a_file_that_cannot_serve_is_refused(device: Device, make: object, hint: str) -> None:
    assert callable(make)
    make(device.folder / "made")

    (problem,) = device.problems(SMALLEST.replace('"ca.pem"', '"made"'))

    assert problem.endswith(hint.replace("FOLDER/", ""))


def test_a_file_that_may_not_be_read_is_refused(device: Device) -> None:
    device.write("ca.pem", "PEM", mode=0)
    device.write(device.file.name, SMALLEST)

    told = told_without_privilege(device.file)

    assert told.endswith(f"cannot be read: permission denied ({device.folder}/ca.pem)\n")


def test_a_file_name_too_long_to_exist_is_refused(device: Device) -> None:
    (problem,) = device.problems(SMALLEST.replace('"ca.pem"', f'"{"x" * 5000}"'))

    assert "cannot be read: file name too long" in problem


def test_a_private_key_pasted_for_its_path_is_refused(device: Device) -> None:
    pasted = '"-----BEGIN CERTIFICATE-----MIIB-----END CERTIFICATE-----"'

    (problem,) = device.problems(SMALLEST.replace('"certificate.pem"', pasted))

    assert problem.endswith("must be the path of a file, not its content")


def test_mqtt_without_defender_is_allowed(device: Device) -> None:
    assert device.problems(SMALLEST) == []


def test_defender_without_mqtt_is_a_problem_of_its_header(device: Device) -> None:
    problems = device.problems(THING + "[defender]\n")

    assert problems == [
        "thingmeter.toml:3: [defender]: needs the tables [mqtt] and [mqtt.tls], which say where reports go"
    ]


def test_an_interval_below_the_minimum_is_refused(device: Device) -> None:
    (problem,) = device.problems(DEFENDER + "interval_s = 60\nminimum_interval_s = 120\n")

    assert problem == "thingmeter.toml:10: [defender] interval_s = 60: must be at least minimum_interval_s (120)"


def test_a_minimum_above_the_default_interval_is_refused(device: Device) -> None:
    (problem,) = device.problems(DEFENDER + "minimum_interval_s = 600\n")

    assert problem.endswith("is above interval_s, whose default is 300; raise that as well")


def test_a_wrong_minimum_does_not_make_the_interval_wrong(device: Device) -> None:
    problems = device.problems(DEFENDER + 'interval_s = 5\nminimum_interval_s = "5"\n')

    assert [problem.partition(": ")[0] for problem in problems] == ["thingmeter.toml:11"]


def test_a_report_of_nothing_is_refused(device: Device) -> None:
    (problem,) = device.problems(DEFENDER + "blocks = []\n")

    assert "leaves nothing to report" in problem


def test_a_report_of_custom_metrics_only_is_allowed(device: Device) -> None:
    assert device.problems(DEFENDER + "blocks = []\n[[defender.custom_metric]]\nname = 'x'\ntype = 'number'\n") == []


def test_a_timeout_above_the_interval_is_refused(device: Device) -> None:
    (problem,) = device.problems(THING + "[collectors.cpu]\ninterval_s = 2\ntimeout_s = 3\n")

    assert problem == "thingmeter.toml:5: [collectors.cpu] timeout_s = 3: must be at most interval_s (2)"


@pytest.mark.parametrize("name", ["Cpu", '"c p u"', "1cpu", "c-pu", f"{'x' * 65}", '""'])
def test_a_collector_by_an_odd_name_is_refused(device: Device, name: str) -> None:
    (problem,) = device.problems(THING + f"[collectors.{name}]\n")

    assert "the name of a collector must be" in problem


def test_a_collector_that_is_no_table_is_refused(device: Device) -> None:
    (problem,) = device.problems(THING + "[collectors]\ncpu = true\n")

    assert problem == "thingmeter.toml:4: [collectors] cpu = true: is a boolean, must be a table: [collectors.cpu]"


def test_a_thing_that_the_host_name_cannot_stand_in_for_must_be_named(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "my host")

    (problem,) = device.problems(MQTT)

    assert 'name is missing, and the host name "my host" cannot stand in' in problem


def test_an_outbox_that_is_a_directory_is_refused(device: Device) -> None:
    (problem,) = device.problems(THING + '[outbox]\npath = "."\n')

    assert problem == 'thingmeter.toml:4: [outbox] path = ".": is a directory, must be a file (FOLDER)'


def test_an_outbox_without_any_home_must_be_named(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)

    (problem,) = device.problems(THING, HOME="nowhere")

    assert "path is missing" in problem
