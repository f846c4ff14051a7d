"""[aws]: its region, and the settings that need or exclude each other."""

from __future__ import annotations

import re

from msgspec import structs

from thingmeter.config.addresses import endpoint_fault, iot_region, url_fault
from thingmeter.config.reading import Reading
from thingmeter.config.settings import REGION, REGION_WORDS, Aws, Mqtt
from thingmeter.config.wording import show

REGION_VARIABLES = ("AWS_REGION", "AWS_DEFAULT_REGION")  # in the order of the AWS SDKs


def read_aws(reading: Reading, mqtt: Mqtt | None) -> tuple[Aws | None, tuple[str, ...]]:
    """Return [aws], None without the table, and the variable that gave the region where no file does."""
    if not reading.given(("aws",)):
        return None, ()
    aws = reading.struct(Aws, ("aws",))
    _check_role(reading, aws)
    _check_endpoint(reading, aws)
    ca_file = reading.file(("aws", "ca_file"), aws.ca_file)
    region, variables = (aws.region, ()) if aws.region else _region(reading, mqtt)
    return structs.replace(aws, region=region, ca_file=ca_file, endpoint_url=aws.endpoint_url.rstrip("/")), variables


def _check_role(reading: Reading, aws: Aws) -> None:
    role, endpoint = ("aws", "role_alias"), ("aws", "credentials_endpoint")
    if reading.given(endpoint):
        reading.check(endpoint, endpoint_fault(aws.credentials_endpoint))
        host = aws.credentials_endpoint.lower()
        if iot_region(host.partition(":")[0]) and "credentials." not in host:
            told = "aws iot describe-endpoint --endpoint-type iot:CredentialProvider"
            reading.check(endpoint, f"is an endpoint of AWS IoT, but not its credentials provider; run: {told}")
    if reading.given(role) and not reading.given(endpoint):
        reading.check(role, "needs credentials_endpoint as well: HOST or HOST:PORT of the account's provider")
    if reading.given(endpoint) and not reading.given(role):
        reading.check(endpoint, "needs role_alias as well: the name of the role alias to ask it for")
    if reading.given(role) and not reading.given(("mqtt",)):
        reading.check(role, "needs the table [mqtt.tls], whose certificate is exchanged for credentials")


def _check_endpoint(reading: Reading, aws: Aws) -> None:
    url = ("aws", "endpoint_url")
    if not reading.given(url):
        return
    reading.check(url, url_fault(aws.endpoint_url))
    for key, is_used in (
        ("use_fips_endpoint", aws.use_fips_endpoint),
        ("use_dualstack_endpoint", aws.use_dualstack_endpoint),
    ):
        if is_used:
            reading.check(("aws", key), "must be false with endpoint_url, which names the endpoint as it is")


def _region(reading: Reading, mqtt: Mqtt | None) -> tuple[str, tuple[str, ...]]:
    """Return the region that no file gives, and the variable that gives it."""
    region = iot_region(mqtt.host) if mqtt else None
    if region or not reading.sound(("aws", "region"), ("mqtt", "host")):
        return region or "", ()
    for name in REGION_VARIABLES:
        value = reading.environment.get(name, "")
        if re.fullmatch(REGION, value):
            return value, (name,)
        if value:
            reason = f"region is missing, and the environment variable {name} cannot stand in: {show(value)} is not"
            reading.report(("aws", "region"), f"{reason} {REGION_WORDS}", at=("aws",))
            return "", ()
    unset = " nor ".join(("mqtt.host", *REGION_VARIABLES))
    reason = f"region is missing, and neither {unset} says it: {REGION_WORDS}"
    reading.report(("aws", "region"), reason, at=("aws",))
    return "", ()
