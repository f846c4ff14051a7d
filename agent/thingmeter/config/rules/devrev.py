"""[devrev]: its token, its route, and how its records are cut and sent."""

from __future__ import annotations

from typing import Final

from msgspec import structs

from thingmeter.config.addresses import topic_fault, url_fault
from thingmeter.config.reading import Reading
from thingmeter.config.rules.uoms import check_uoms
from thingmeter.config.settings import DevRev, Thing

BILLING_GRID_S: Final = 900  # every time zone is whole quarters of an hour from UTC: so begins every billing period
MQTT_REQUEST_BYTES: Final = 131_072  # the payload of a PUBLISH: AWS IoT Core message broker limits


def read_devrev(reading: Reading, thing: Thing) -> DevRev | None:
    """Return [devrev], None without the table; its files are checked and made absolute, {thing} is replaced."""
    if not reading.given(("devrev",)):
        return None
    devrev = reading.struct(DevRev, ("devrev",))
    reading.check(("devrev", "endpoint_url"), url_fault(devrev.endpoint_url))
    _check_token(reading, devrev)
    if BILLING_GRID_S % devrev.window_s:
        reading.check(("devrev", "window_s"), f"must divide {BILLING_GRID_S}: such as 60, 300 or 900")
    topic = devrev.topic.replace("{thing}", thing.name)
    _check_topic(reading, devrev, topic)
    check_uoms(reading, devrev.uom)
    return structs.replace(
        devrev,
        topic=topic,
        endpoint_url=devrev.endpoint_url.rstrip("/"),
        maximum_request_bytes=_request_bytes(reading, devrev),
        ca_file=reading.file(("devrev", "ca_file"), devrev.ca_file),
        token_file=reading.file(("devrev", "token_file"), devrev.token_file, private=True),
    )


def _check_token(reading: Reading, devrev: DevRev) -> None:
    token, registration, route = (("devrev", key) for key in ("token_file", "registration", "route"))
    missing = "token_file is missing: the path of a file with DevRev's token; or set "
    if reading.given(token):
        return
    if devrev.registration == "auto" and reading.sound(registration):
        reading.report(token, f'{missing}registration = "off"', at=("devrev",))
    elif devrev.route == "https" and any(uom.from_ for uom in devrev.uom) and reading.sound(registration, route):
        reading.report(token, f'{missing}route = "mqtt", and the topic of something that holds it', at=("devrev",))


def _check_topic(reading: Reading, devrev: DevRev, topic: str) -> None:
    path, route = ("devrev", "topic"), ("devrev", "route")
    if reading.given(path):
        reading.check(path, topic_fault(topic, basic_ingest=True))
        if not reading.given(route):
            reading.check(path, 'has no effect by the default route "https": set route = "mqtt" as well')
    if devrev.route != "mqtt":
        return
    if not reading.given(path):
        reason = 'needs topic as well: where records are published, such as "usage/{thing}"'
        reading.report(path, reason, at=route)
    if not reading.given(("mqtt",)):
        reading.check(route, "needs the tables [mqtt] and [mqtt.tls], which say where records go")


def _request_bytes(reading: Reading, devrev: DevRev) -> int:
    """Return maximum_request_bytes: what is given is checked, and the default is what the route allows."""
    path = ("devrev", "maximum_request_bytes")
    if devrev.route != "mqtt" or devrev.maximum_request_bytes <= MQTT_REQUEST_BYTES:
        return devrev.maximum_request_bytes
    if reading.given(path):
        reading.check(path, f'must be at most {MQTT_REQUEST_BYTES}, the limit of AWS IoT, where route is "mqtt"')
    return MQTT_REQUEST_BYTES
