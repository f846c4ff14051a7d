"""[aws]."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

# Those of all partitions, "eu-west-1" as well as "us-isob-east-1" and "eusc-de-east-1": the partitions of the AWS SDKs.
REGION: Final = r"^[a-z]{2,5}(-[a-z]{2,16}){1,2}-[0-9]{1,2}$"
REGION_WORDS: Final = "a region such as eu-west-1, cn-north-1 or us-gov-west-1"


class Aws(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[aws]: the account in which custom metrics are registered; without this table they are not.

    Attributes:
        region: never empty: where the files do not give it, the broker or the environment does.
        endpoint_url: without a slash at its end.
    """

    region: Annotated[
        str,
        Meta(
            description="the account's region for AWS IoT",
            pattern=REGION,
            examples=["eu-west-1"],
            extra={
                "allowed": REGION_WORDS,
                "default": "the region in mqtt.host, else $AWS_REGION, else $AWS_DEFAULT_REGION",
            },
        ),
    ] = ""
    role_alias: Annotated[
        str,
        Meta(
            description="the role alias that AWS IoT gives credentials for, in exchange for the thing's certificate",
            pattern=r"^[A-Za-z0-9_=,@-]{1,128}$",
            examples=["thingmeter"],
            extra={
                "allowed": "1 to 128 of the characters a-z A-Z 0-9 _ = , @ -",
                "default": "none: credentials by the usual chain (environment, profile, container, instance)",
            },
        ),
    ] = ""
    credentials_endpoint: Annotated[
        str,
        Meta(
            description="the account's credentials provider: "
            "aws iot describe-endpoint --endpoint-type iot:CredentialProvider",
            min_length=1,
            max_length=260,
            examples=["abcdefghijklmn.credentials.iot.eu-west-1.amazonaws.com"],
            extra={"allowed": "HOST or HOST:PORT; needs role_alias", "default": "none"},
        ),
    ] = ""
    endpoint_url: Annotated[
        str,
        Meta(
            description="another control plane in place of the region's, such as the sandbox or a VPC endpoint",
            min_length=1,
            max_length=512,
            examples=["https://localhost:8443"],
            extra={"allowed": "https://HOST or https://HOST:PORT", "default": "that of the region"},
        ),
    ] = ""
    ca_file: Annotated[
        str,
        Meta(
            description="the authorities that the certificates of endpoint_url and credentials_endpoint may come from, "
            "PEM",
            min_length=1,
            examples=["/etc/thingmeter/ca.pem"],
            extra={"allowed": "the path of a readable file", "default": "the authorities that the system trusts"},
        ),
    ] = ""
    use_fips_endpoint: Annotated[bool, Meta(description="the region's endpoint with FIPS 140 validated TLS")] = False
    use_dualstack_endpoint: Annotated[bool, Meta(description="the region's endpoint with IPv6 as well as IPv4")] = False
