"""Where the control plane of AWS IoT is, by region and kind of endpoint.

The rules are those of the AWS SDKs (the endpoint rule set of service ``iot``, and their list of partitions); a region
that no partition knows counts to the partition ``aws``, as there.
"""

from __future__ import annotations

from thingmeter.errors import Denied

COMMERCIAL = ("amazonaws.com", "api.aws")  # AWS GovCloud (US) shares them
PARTITIONS = {  # where the names of its regions begin: the DNS suffix, and that of its dual-stack endpoints
    "cn-": ("amazonaws.com.cn", "api.amazonwebservices.com.cn"),
    "eusc-": ("amazonaws.eu", "api.amazonwebservices.eu"),
    "us-iso-": ("c2s.ic.gov", "api.aws.ic.gov"),
    "us-isob-": ("sc2s.sgov.gov", "api.aws.scloud"),
    "eu-isoe-": ("cloud.adc-e.uk", "api.cloud-aws.adc-e.uk"),
    "us-isof-": ("csp.hci.ic.gov", "api.aws.hci.ic.gov"),
}


def control_plane_url(
    region: str, *, endpoint_url: str = "", use_fips: bool = False, use_dualstack: bool = False
) -> str:
    """Return ``https://HOST[:PORT]``, without a slash at its end.

    Raises:
        Denied: there is no such endpoint.
    """
    if endpoint_url:
        if use_fips or use_dualstack:
            raise Denied(
                "[aws] endpoint_url names the endpoint itself: leave out use_fips_endpoint and use_dualstack_endpoint"
            )
        return endpoint_url.rstrip("/")
    if not region:
        raise Denied("[aws] has no region: set it to the account's, such as eu-west-1")
    suffixes = next((suffixes for prefix, suffixes in PARTITIONS.items() if region.startswith(prefix)), COMMERCIAL)
    service = "iot-fips" if use_fips else "iot"
    return f"https://{service}.{region}.{suffixes[1] if use_dualstack else suffixes[0]}"
