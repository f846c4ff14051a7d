"""[mqtt] and [mqtt.tls]."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct


class Tls(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[mqtt.tls]: who we are, and whom we trust. A relative path starts at the folder of the file that names it."""

    ca_file: Annotated[
        str,
        Meta(
            description="the certificates of the authorities that the broker's certificate may come from, PEM",
            min_length=1,
            examples=["/etc/thingmeter/ca.pem"],
            extra={"allowed": "the path of a readable file"},
        ),
    ]
    certificate_file: Annotated[
        str,
        Meta(
            description="the thing's certificate, PEM; a new one is picked up at the next connect",
            min_length=1,
            examples=["/etc/thingmeter/certificate.pem"],
            extra={"allowed": "the path of a readable file"},
        ),
    ]
    private_key_file: Annotated[
        str,
        Meta(
            description="the key of that certificate, PEM",
            min_length=1,
            examples=["/etc/thingmeter/private-key.pem"],
            extra={"allowed": "the path of a file that only its owner may read (mode 0600 or 0400)"},
        ),
    ]


class Mqtt(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[mqtt]: the broker, AWS IoT Core or any other that speaks MQTT 5."""

    client: Annotated[
        Literal["paho", "awscrt"],
        Meta(description='the MQTT library; "awscrt" needs the extra aws'),
    ] = "paho"
    host: Annotated[
        str,
        Meta(
            description="the broker; for AWS IoT Core the account's data endpoint",
            min_length=1,
            max_length=253,
            examples=["abcdefghijklmn-ats.iot.eu-west-1.amazonaws.com"],
            extra={"allowed": "a host name or an IP address, without scheme and port"},
        ),
    ]
    port: Annotated[int, Meta(description="its port; on 443 ALPN asks for MQTT", ge=1, le=65_535)] = 8883
    client_id: Annotated[
        str,
        Meta(
            description="must be unique: of two agents with one id, each throws the other out",
            pattern=r"^[!-~]{1,128}$",
            examples=["pump-7"],
            extra={"allowed": "1 to 128 printable ASCII characters without spaces", "default": "the thing's name"},
        ),
    ] = ""
    keep_alive_s: Annotated[
        int,
        Meta(description="the longest silence before a ping; also how soon a dead link is noticed", ge=30, le=1200),
    ] = 300
    status_topic: Annotated[
        str,
        Meta(
            description='where "online" is published, and "offline" by the broker when we vanish; {thing} is replaced',
            min_length=1,
            examples=["status/{thing}"],
            extra={"allowed": "a topic of at most 256 bytes and 7 slashes, without + and #", "default": "none"},
        ),
    ] = ""
    proxy: Annotated[
        str,
        Meta(
            description="an HTTP proxy that allows CONNECT to the broker",
            min_length=1,
            max_length=512,
            examples=["http://user@proxy.example.com:3128"],
            extra={"allowed": "http://HOST:PORT or http://USER@HOST:PORT", "default": "none"},
        ),
    ] = ""
    proxy_password_file: Annotated[
        str,
        Meta(
            description="the password of the proxy's user",
            min_length=1,
            examples=["/etc/thingmeter/proxy-password"],
            extra={"allowed": "the path of a file that only its owner may read (mode 0600 or 0400)", "default": "none"},
        ),
    ] = ""
    tls: Annotated[Tls, Meta(description="the certificates")]
