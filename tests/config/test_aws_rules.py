from __future__ import annotations

import pytest

from config.device import MQTT, SMALLEST, THING, Device
from thingmeter.config.settings import Aws
from thingmeter.config.sources import sources

AWS = SMALLEST + '[aws]\nregion = "eu-west-1"\n'  # the table stands on line 9
ROLE = 'role_alias = "thingmeter"\n'
PROVIDER = 'credentials_endpoint = "abc.credentials.iot.eu-west-1.amazonaws.com"\n'
REGIONS = [
    "eu-west-1",
    "ap-southeast-10",
    "mx-central-1",
    "cn-north-1",
    "us-gov-west-1",
    "us-iso-east-1",
    "us-isob-east-1",
    "eu-isoe-west-1",
    "eusc-de-east-1",
]


def aws_of(device: Device, text: str, **environment: str) -> Aws:
    aws = device.load(text, **environment).aws
    assert aws is not None
    return aws


def with_host(host: str) -> str:
    return SMALLEST.replace("broker.example.com", host) + "[aws]\n"


def test_without_the_table_there_is_no_account(device: Device) -> None:
    assert device.load(SMALLEST).aws is None


def test_the_table_is_read_whole(device: Device) -> None:
    aws = aws_of(device, AWS + ROLE + PROVIDER + 'endpoint_url = "https://localhost:8443"\nca_file = "ca.pem"\n')

    assert aws == Aws(
        region="eu-west-1",
        role_alias="thingmeter",
        credentials_endpoint="abc.credentials.iot.eu-west-1.amazonaws.com",
        endpoint_url="https://localhost:8443",
        ca_file=str(device.folder / "ca.pem"),
    )


def test_the_account_needs_no_custom_metrics(device: Device) -> None:
    assert device.problems(AWS) == []


def test_the_account_needs_no_broker(device: Device) -> None:
    assert device.problems(THING + '[aws]\nregion = "eu-west-1"\n') == []


@pytest.mark.parametrize("region", REGIONS)
def test_a_region_may_be_of_any_partition(device: Device, region: str) -> None:
    assert aws_of(device, AWS.replace("eu-west-1", region)).region == region


@pytest.mark.parametrize(
    "region", ["", "eu-west", "eu-west-1a", "EU-WEST-1", "eu_west_1", "europe", "eu-west-1\\n", " eu-west-1", "eu-1"]
)
def test_a_region_that_is_none_is_refused(device: Device, region: str) -> None:
    (problem,) = device.problems(AWS.replace("eu-west-1", region))

    assert problem.startswith("thingmeter.toml:10: [aws] region = ")
    assert problem.endswith("must be a region such as eu-west-1, cn-north-1 or us-gov-west-1")


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("a1b2c3.iot.eu-west-1.amazonaws.com", "eu-west-1"),
        ("a1b2c3-ats.iot.ap-southeast-2.amazonaws.com", "ap-southeast-2"),
        ("A1B2C3-ATS.IOT.EU-WEST-1.AMAZONAWS.COM", "eu-west-1"),
        ("a1b2c3.ats.iot.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("a1b2c3-ats.iot.us-gov-west-1.amazonaws.com", "us-gov-west-1"),
        ("a1b2c3.data.iot-fips.us-gov-east-1.amazonaws.com", "us-gov-east-1"),
        ("a1b2c3-ats.iot.us-iso-east-1.c2s.ic.gov", "us-iso-east-1"),
        ("a1b2c3-ats.iot.us-isob-east-1.sc2s.sgov.gov", "us-isob-east-1"),
        ("a1b2c3-ats.iot.eusc-de-east-1.amazonaws.eu", "eusc-de-east-1"),
        ("a1b2c3.iot.eu-west-1.api.aws", "eu-west-1"),
        ("vpce-1-2.data.iot.us-east-1.vpce.amazonaws.com", "us-east-1"),
    ],
)
def test_the_broker_says_the_region_that_no_file_gives(device: Device, host: str, region: str) -> None:
    assert aws_of(device, with_host(host), AWS_REGION="sa-east-1").region == region


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({"AWS_REGION": "sa-east-1"}, "sa-east-1"),
        ({"AWS_DEFAULT_REGION": "sa-east-1"}, "sa-east-1"),
        ({"AWS_REGION": "sa-east-1", "AWS_DEFAULT_REGION": "us-east-1"}, "sa-east-1"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "us-east-1"}, "us-east-1"),
    ],
)
def test_the_environment_says_the_region_that_nothing_else_does(
    device: Device, environment: dict[str, str], region: str
) -> None:
    assert aws_of(device, SMALLEST + "[aws]\n", **environment).region == region


def test_a_region_from_the_environment_names_the_variable(device: Device) -> None:
    config = device.load(SMALLEST + "[aws]\n", AWS_DEFAULT_REGION="us-east-1")

    (region,) = (source for source in sources(config) if (source.table, source.key) == ("aws", "region"))
    assert (region.value, region.origin) == ('"us-east-1"', "environment AWS_DEFAULT_REGION")


def test_a_given_region_is_that_of_the_file(device: Device) -> None:
    assert aws_of(device, AWS, AWS_REGION="us-east-1").region == "eu-west-1"


@pytest.mark.parametrize(
    "host", ["broker.example.com", "iot.example.com", "x.iot.eu-west-1.amazonaws.com.example.com", "192.0.2.7"]
)
def test_a_region_that_nothing_says_is_missing(device: Device, host: str) -> None:
    problems = device.problems(with_host(host))

    (problem,) = problems
    assert problem == (
        "thingmeter.toml:9: [aws]: region is missing, and neither mqtt.host nor AWS_REGION nor "
        "AWS_DEFAULT_REGION says it: a region such as eu-west-1, cn-north-1 or us-gov-west-1"
    )


def test_a_variable_that_holds_no_region_is_named(device: Device) -> None:
    (problem,) = device.problems(SMALLEST + "[aws]\n", AWS_REGION="Ireland")

    assert 'the environment variable AWS_REGION cannot stand in: "Ireland" is not a region such as' in problem


def test_a_wrong_host_does_not_make_the_region_missing(device: Device) -> None:
    problems = device.problems(with_host("mqtts://x.iot.eu-west-1.amazonaws.com"))

    assert [problem.partition(": ")[0] for problem in problems] == ["thingmeter.toml:4"]


@pytest.mark.parametrize("alias", ["a", "thing_meter=1,@-", "x" * 128])
def test_a_role_alias_may_be_any_that_aws_takes(device: Device, alias: str) -> None:
    assert device.problems(AWS + ROLE.replace("thingmeter", alias) + PROVIDER) == []


@pytest.mark.parametrize("alias", ["", "thing meter", "a/b", "arn:aws:iot", "rôle", "x" * 129])
def test_a_role_alias_that_aws_would_not_take_is_refused(device: Device, alias: str) -> None:
    (problem,) = device.problems(AWS + ROLE.replace("thingmeter", alias) + PROVIDER)

    assert problem.endswith("must be 1 to 128 of the characters a-z A-Z 0-9 _ = , @ -")


def test_a_role_alias_needs_the_credentials_endpoint(device: Device) -> None:
    (problem,) = device.problems(AWS + ROLE)

    assert problem == (
        'thingmeter.toml:11: [aws] role_alias = "thingmeter": needs credentials_endpoint as well: '
        "HOST or HOST:PORT of the account's provider"
    )


def test_a_credentials_endpoint_needs_the_role_alias(device: Device) -> None:
    (problem,) = device.problems(AWS + PROVIDER)

    assert problem.endswith("needs role_alias as well: the name of the role alias to ask it for")


def test_a_role_alias_needs_the_certificate(device: Device) -> None:
    (problem,) = device.problems(THING + '[aws]\nregion = "eu-west-1"\n' + ROLE + PROVIDER)

    assert problem == (
        'thingmeter.toml:5: [aws] role_alias = "thingmeter": needs the table [mqtt.tls], '
        "whose certificate is exchanged for credentials"
    )


@pytest.mark.parametrize(
    "endpoint",
    [
        "localhost",
        "localhost:8443",
        "abc.credentials.iot.eu-west-1.amazonaws.com",
        "abc.credentials.iot.cn-north-1.amazonaws.com.cn:443",
        "192.0.2.7:1",
        "[2001:db8::7]",
        "[::1]:65535",
    ],
)
def test_a_credentials_endpoint_may_have_a_port(device: Device, endpoint: str) -> None:
    assert device.problems(AWS + ROLE + f'credentials_endpoint = "{endpoint}"\n') == []


@pytest.mark.parametrize(
    ("endpoint", "hint"),
    [
        ("https://localhost", "must be HOST or HOST:PORT, without the scheme https://"),
        ("localhost/role-aliases", "must be HOST or HOST:PORT, without path and user"),
        ("me@localhost", "must be HOST or HOST:PORT, without path and user"),
        ("localhost:0", "with a port from 1 to 65535"),
        ("localhost:65536", "with a port from 1 to 65535"),
        ("localhost:", "must be HOST or HOST:PORT"),
        ("local host", "must be HOST or HOST:PORT"),
        ("::1", "an IPv6 address in brackets: [::1]"),
        ("[localhost]", "must be HOST or HOST:PORT"),
        ("[fe80::1%eth0]", "must be HOST or HOST:PORT"),
        ("", "must be HOST or HOST:PORT; needs role_alias"),
        ("abc-ats.iot.eu-west-1.amazonaws.com", "--endpoint-type iot:CredentialProvider"),
        ("abc-ats.iot.eu-west-1.amazonaws.com:443", "--endpoint-type iot:CredentialProvider"),
    ],
)
def test_a_credentials_endpoint_that_is_none_is_refused(device: Device, endpoint: str, hint: str) -> None:
    (problem,) = device.problems(AWS + ROLE + f'credentials_endpoint = "{endpoint}"\n')

    assert problem.startswith("thingmeter.toml:12: [aws] credentials_endpoint = ")
    assert problem.endswith(hint)


@pytest.mark.parametrize("url", ["https://localhost", "https://iot.example.com:8443", "https://[::1]:8443"])
def test_another_control_plane_may_have_a_port(device: Device, url: str) -> None:
    assert aws_of(device, AWS + f'endpoint_url = "{url}"\n').endpoint_url == url


def test_a_slash_at_the_end_of_the_control_plane_is_dropped(device: Device) -> None:
    assert aws_of(device, AWS + 'endpoint_url = "https://localhost:8443/"\n').endpoint_url == "https://localhost:8443"


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("http://localhost", "over plain HTTP anybody on the way could read the credentials and change the answers"),
        ("HTTP://localhost", "over plain HTTP anybody on the way could read the credentials and change the answers"),
        ("localhost:8443", "must be https://HOST or https://HOST:PORT"),
        ("ftp://localhost", "must be https://HOST or https://HOST:PORT"),
        ("https://", "must be https://HOST or https://HOST:PORT"),
        ("https://local host", "must be https://HOST or https://HOST:PORT"),
        ("https://localhost/v1", "without path and query"),
        ("https://localhost//", "without path and query"),
        ("https://localhost?x=1", "without path and query"),
        ("https://localhost#x", "without path and query"),
        ("https://me:hunter2@localhost", "without user and password"),
        ("https://localhost:0", "with a port from 1 to 65535"),
        ("https://localhost:99999", "with a port from 1 to 65535"),
        ("https://::1", "an IPv6 address in brackets: [::1]"),
        ("", "must be https://HOST or https://HOST:PORT"),
    ],
)
def test_a_control_plane_that_is_none_is_refused(device: Device, url: str, hint: str) -> None:
    (problem,) = device.problems(AWS + f'endpoint_url = "{url}"\n')

    assert problem.startswith("thingmeter.toml:11: [aws] endpoint_url = ")
    assert problem.endswith(hint)


def test_a_password_in_the_control_plane_is_never_shown(device: Device) -> None:
    (problem,) = device.problems(AWS + 'endpoint_url = "https://me:hunter2@localhost"\n')

    assert "hunter2" not in problem


@pytest.mark.parametrize("key", ["use_fips_endpoint", "use_dualstack_endpoint"])
def test_a_variant_of_the_endpoint_excludes_another_control_plane(device: Device, key: str) -> None:
    (problem,) = device.problems(AWS + f'endpoint_url = "https://localhost"\n{key} = true\n')

    assert problem == (
        f"thingmeter.toml:12: [aws] {key} = true: must be false with endpoint_url, which names the endpoint as it is"
    )


def test_the_variants_of_the_endpoint_go_together(device: Device) -> None:
    aws = aws_of(device, AWS + "use_fips_endpoint = true\nuse_dualstack_endpoint = true\n")

    assert (aws.use_fips_endpoint, aws.use_dualstack_endpoint) == (True, True)


@pytest.mark.parametrize(("written", "kind"), [('"yes"', "a string"), ("1", "an integer")])
def test_a_variant_of_the_endpoint_is_true_or_false(device: Device, written: str, kind: str) -> None:
    (problem,) = device.problems(AWS + f"use_fips_endpoint = {written}\n")

    assert problem.endswith(f"is {kind}, must be true or false")


def test_an_authority_that_is_missing_is_refused(device: Device) -> None:
    (problem,) = device.problems(AWS + 'ca_file = "missing.pem"\n')

    assert problem.endswith("cannot be read: no such file or directory (missing.pem)")


def test_an_authority_may_be_read_by_all(device: Device) -> None:
    device.write("ca.pem", "PEM", mode=0o644)

    assert device.problems(AWS + 'ca_file = "ca.pem"\n') == []


def test_a_credentials_endpoint_is_no_secret(device: Device) -> None:
    shown = {source.key: source.value for source in sources(device.load(AWS + ROLE + PROVIDER))}

    assert shown["credentials_endpoint"] == '"abc.credentials.iot.eu-west-1.amazonaws.com"'


def test_all_that_is_wrong_is_found_at_once(device: Device) -> None:
    problems = device.problems(THING + MQTT + '[aws]\nregion = "x"\nrole_alias = "a b"\nendpoint_url = "http://h"\n')

    assert [problem.partition(": ")[0] for problem in problems] == [f"thingmeter.toml:{line}" for line in (10, 11, 12)]
