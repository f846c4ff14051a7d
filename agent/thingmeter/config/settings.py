"""Every setting: its name, type, default, bounds and meaning.

The loader, the JSON Schema, the README's table and the test of ``config/thingmeter.toml`` all read them here. A key
that carries a unit ends in it. ``Meta.extra`` says what msgspec has no word for: ``allowed`` (the bounds, where a
pattern does not speak for itself) and ``default`` (where the loader works it out).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import Meta, Struct
from msgspec.structs import force_setattr

from thingmeter.config.places import Places
from thingmeter.errors import Problem

THING_NAME: Final = r"^[a-zA-Z0-9:_-]{1,128}$"  # AWS IoT CreateThing, thingName; Device Defender, metricName
THING_NAME_WORDS: Final = "1 to 128 of the characters a-z A-Z 0-9 : _ -"
MAXIMUM_CUSTOM_METRICS: Final = 100  # of an account: AWS IoT Device Defender endpoints and quotas


class Thing(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[thing]: the device as AWS IoT knows it."""

    name: Annotated[
        str,
        Meta(
            description="the thing's name in AWS IoT; it stands in every topic",
            pattern=THING_NAME,
            examples=["pump-7"],
            extra={"allowed": THING_NAME_WORDS, "default": "the host name, up to its first dot"},
        ),
    ] = ""


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


MetricType = Literal["number", "number-list", "string-list", "ip-address-list"]
Aggregate = Literal["", "last", "mean", "minimum", "maximum", "sum", "increase", "values", "distinct"]

AGGREGATES: Final[dict[MetricType, tuple[Aggregate, ...]]] = {
    "number": ("last", "mean", "minimum", "maximum", "sum", "increase"),
    "number-list": ("values",),
    "string-list": ("distinct",),
    "ip-address-list": ("distinct",),
}
"""What the samples of a window may be folded into, by the type of the custom metric; the first is the default."""


class CustomMetric(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """[[defender.custom_metric]]: a metric declared to Device Defender.

    ``from_`` and ``aggregate`` are never empty: where they are not given, the name and the type decide.
    """

    name: Annotated[
        str,
        Meta(
            description="as registered with Device Defender; cannot be changed there later",
            pattern=THING_NAME,
            examples=["cpu_usage"],
            extra={"allowed": f"{THING_NAME_WORDS}, not beginning with aws:"},
        ),
    ]
    type: Annotated[MetricType, Meta(description="as registered; cannot be changed there later", examples=["number"])]
    display_name: Annotated[
        str,
        Meta(
            description="what the console shows",
            pattern=r"^[ -~]{1,128}$",
            examples=["CPU usage (%)"],
            extra={"allowed": "1 to 128 printable ASCII characters", "default": "none"},
        ),
    ] = ""
    from_: Annotated[
        str,
        Meta(
            description="the collector and the metric of it whose samples feed this",
            pattern=r"^[a-z][a-z0-9_]{0,63}\.[A-Za-z_][A-Za-z0-9_]{0,63}$",
            examples=["cpu.usage_percent"],
            extra={
                "allowed": "collector.metric, such as cpu.usage_percent",
                "default": "none: fed by emit and statsd, which a later version brings",
            },
        ),
    ] = ""
    aggregate: Annotated[
        Aggregate,
        Meta(
            description="what the samples of one report are folded into. number: last, mean, minimum, maximum, sum or "
            "increase; number-list: values; string-list and ip-address-list: distinct",
            examples=["last"],
            extra={"default": "the first that the type allows"},
        ),
    ] = ""
    where: Annotated[
        dict[Annotated[str, Meta(min_length=1, max_length=64)], Annotated[str, Meta(min_length=1, max_length=256)]],
        Meta(
            description="only samples with these dimensions count",
            max_length=10,
            examples=[{"core": "0"}],
            extra={"allowed": "a table of at most 10 strings", "default": "none: all of them"},
        ),
    ] = {}
    tags: Annotated[
        dict[
            Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^(?!aws:)")],
            Annotated[str, Meta(max_length=256)],
        ],
        Meta(
            description="AWS tags that it is registered with",
            max_length=50,
            examples=[{"team": "pumps"}],
            extra={
                "allowed": "a table of at most 50 strings; keys of 1 to 128 characters not beginning with aws:, "
                "values of at most 256",
                "default": "none",
            },
        ),
    ] = {}

    def __post_init__(self) -> None:
        force_setattr(self, "from_", self.from_ or self.name)
        force_setattr(self, "aggregate", self.aggregate or AGGREGATES.get(self.type, ("last",))[0])


Block = Literal["network_stats", "listening_tcp_ports", "listening_udp_ports", "tcp_connections"]


class Defender(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[defender]: reports to AWS IoT Device Defender; without this table there are none. It needs [mqtt]."""

    registration: Annotated[
        Literal["auto", "off"],
        Meta(
            description="whether custom metrics are registered at the start; has no effect before the version that "
            "brings registration: until then they are registered by hand"
        ),
    ] = "auto"
    interval_s: Annotated[int, Meta(description="a report each", ge=1, le=86_400)] = 300
    minimum_interval_s: Annotated[
        int,
        Meta(description="the account's quota, over restarts too; interval_s cannot be below it", ge=1, le=86_400),
    ] = 300
    format: Annotated[Literal["cbor", "json"], Meta(description="of the reports; cbor is the smaller")] = "cbor"
    names: Annotated[Literal["short", "long"], Meta(description="the spelling of the keys in a report")] = "short"
    blocks: Annotated[
        tuple[Block, ...],
        Meta(description="the device metrics that a report carries", max_length=4),
    ] = ("network_stats", "listening_tcp_ports", "listening_udp_ports", "tcp_connections")
    maximum_ports: Annotated[
        int, Meta(description="the longest list of ports in a report; the total stays true", ge=1, le=1000)
    ] = 100
    maximum_connections: Annotated[
        int, Meta(description="the longest list of connections in a report; the total stays true", ge=1, le=1000)
    ] = 100
    custom_metric: Annotated[
        tuple[CustomMetric, ...],
        Meta(description="the metrics declared to Device Defender", max_length=MAXIMUM_CUSTOM_METRICS),
    ] = ()


class Outbox(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[outbox]: the durable queue of messages that nobody has accepted yet, one SQLite file."""

    path: Annotated[
        str,
        Meta(
            description="the SQLite file; its folder is made where it is missing",
            min_length=1,
            examples=["/var/lib/thingmeter/outbox.db"],
            extra={
                "allowed": "the path of a file",
                "default": "outbox.db in $STATE_DIRECTORY, else /var/lib/thingmeter for root, else "
                "$XDG_STATE_HOME/thingmeter (~/.local/state/thingmeter)",
            },
        ),
    ] = ""
    maximum_bytes: Annotated[int, Meta(description="the size it may grow to", ge=1_048_576, le=1_099_511_627_776)] = (
        67_108_864
    )
    maximum_age_s: Annotated[
        int, Meta(description="telemetry that waits longer is dropped; usage never is", ge=60, le=315_360_000)
    ] = 2_592_000
    minimum_free_bytes: Annotated[
        int, Meta(description="of the file system: the outbox does not grow into them", ge=0, le=1_099_511_627_776)
    ] = 16_777_216
    journal_interval_s: Annotated[
        int,
        Meta(
            description="how often samples that feed usage are committed; has no effect before the version that brings "
            "usage records",
            ge=1,
            le=3600,
        ),
    ] = 10


class Collector(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """[collectors.NAME]: takes samples of one subject. With any such table, only those and those of the blocks.

    ``options`` are the keys that are not listed here, each the collector's own; the collector checks them.
    """

    name: str
    use: Annotated[
        str,
        Meta(
            description="the plugin's entry point in the group thingmeter.collectors",
            pattern=r"^[!-~]{1,128}$",
            examples=["acme-pump"],
            extra={"allowed": "the name of an entry point", "default": "the table's name"},
        ),
    ] = ""
    interval_s: Annotated[float, Meta(description="how often it takes samples", ge=1, le=86_400)] = 10
    timeout_s: Annotated[
        float,
        Meta(
            description="how long it may take before it counts as failed; at most interval_s",
            ge=0.01,
            le=86_400,
            extra={"default": "5, or interval_s where that is less"},
        ),
    ] = 5
    options: dict[str, Any] = {}


class Config(Struct, frozen=True, kw_only=True):
    """The whole configuration, checked and with every default filled in.

    Attributes:
        collectors: those with a table of their own.
        all_built_in: there is no [collectors] table: every built-in collector runs, with the defaults of ``Collector``.
        places: where everything stands, for the problems that only a plugin or a collector can find.
    """

    thing: Thing
    mqtt: Mqtt | None = None
    defender: Defender | None = None
    outbox: Outbox = Outbox()
    collectors: tuple[Collector, ...] = ()
    all_built_in: bool = False
    places: Places = Places()

    def problem(self, table: str, key: str, message: str) -> Problem:
        """Return a problem at a setting, as the loader itself would report it.

        Args:
            table: dotted, an item of an array by its number: ``collectors.pump``, ``defender.custom_metric.0``.
            key: in that table; empty for the table as a whole.
            message: what is wrong and what is allowed.
        """
        return self.places.problem(self.places.path(table, key), message)
