"""The control plane's address, against the endpoint rules of the AWS SDK for Python."""

from __future__ import annotations

import re
from typing import Any

import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.exceptions import EndpointProviderError
from botocore.loaders import Loader

from thingmeter.destinations.defender.endpoints import control_plane_url
from thingmeter.errors import Denied

LOADER = Loader()
PARTITIONS: dict[str, Any] = LOADER.load_data("partitions")
RULES = EndpointProvider(LOADER.load_service_model("iot", "endpoint-rule-set-1"), PARTITIONS)
REGIONS = sorted(
    region
    for partition in PARTITIONS["partitions"]
    for region in partition["regions"]
    if re.search(partition["regionRegex"], region)  # "aws-global" and its like are no places
)
NEW_REGIONS = ["eu-north-9", "cn-south-7", "us-gov-central-3", "us-isof-north-4", "eusc-de-west-2", "zz-new-1"]


def expected(region: str, *, endpoint_url: str = "", use_fips: bool, use_dualstack: bool) -> str | None:
    """What the rules say; None where they know no endpoint."""
    parameters: dict[str, object] = {"UseFIPS": use_fips, "UseDualStack": use_dualstack}
    parameters |= {"Region": region} if region else {}
    parameters |= {"Endpoint": endpoint_url} if endpoint_url else {}
    try:
        return str(RULES.resolve_endpoint(**parameters).url)
    except EndpointProviderError:
        return None


def ours(region: str, *, endpoint_url: str = "", use_fips: bool, use_dualstack: bool) -> str | None:
    try:
        return control_plane_url(region, endpoint_url=endpoint_url, use_fips=use_fips, use_dualstack=use_dualstack)
    except Denied:
        return None


def test_the_rules_have_the_regions_of_every_partition() -> None:
    assert {"eu-west-1", "cn-north-1", "us-gov-west-1", "us-iso-east-1", "eusc-de-east-1"} <= set(REGIONS)


@pytest.mark.parametrize("use_dualstack", [False, True])
@pytest.mark.parametrize("use_fips", [False, True])
@pytest.mark.parametrize("region", [*REGIONS, *NEW_REGIONS, ""])
def test_the_endpoint_is_the_one_of_the_sdk(region: str, use_fips: bool, use_dualstack: bool) -> None:  # noqa: FBT001
    wanted = expected(region, use_fips=use_fips, use_dualstack=use_dualstack)

    assert ours(region, use_fips=use_fips, use_dualstack=use_dualstack) == wanted


@pytest.mark.parametrize("use_dualstack", [False, True])
@pytest.mark.parametrize("use_fips", [False, True])
def test_an_endpoint_of_ones_own_is_taken_and_refused_as_by_the_sdk(use_fips: bool, use_dualstack: bool) -> None:  # noqa: FBT001
    url = "https://localhost:8443"
    wanted = expected("eu-west-1", endpoint_url=url, use_fips=use_fips, use_dualstack=use_dualstack)

    assert ours("eu-west-1", endpoint_url=url, use_fips=use_fips, use_dualstack=use_dualstack) == wanted


def test_an_endpoint_that_there_is_not_says_what_to_leave_out() -> None:
    with pytest.raises(Denied, match="leave out use_fips_endpoint and use_dualstack_endpoint"):
        control_plane_url("eu-west-1", endpoint_url="https://localhost", use_fips=True)


def test_a_slash_behind_an_endpoint_is_no_part_of_it() -> None:
    assert control_plane_url("eu-west-1", endpoint_url="https://localhost/") == "https://localhost"
