"""[mqtt]: host, proxy, topic and files."""

from __future__ import annotations

from msgspec import structs

from thingmeter.config.addresses import host_fault, proxy_fault, proxy_user, topic_fault
from thingmeter.config.reading import Reading
from thingmeter.config.settings import Mqtt, Thing


def read_mqtt(reading: Reading, thing: Thing) -> Mqtt | None:
    """Return [mqtt], None without the table; its files are checked and made absolute."""
    if not reading.given(("mqtt",)):
        return None
    mqtt = reading.struct(Mqtt, ("mqtt",))
    reading.check(("mqtt", "host"), host_fault(mqtt.host))
    topic = mqtt.status_topic.replace("{thing}", thing.name)
    if reading.given(("mqtt", "status_topic")):
        reading.check(("mqtt", "status_topic"), topic_fault(topic))
    _check_proxy(reading, mqtt)
    tls = structs.replace(
        mqtt.tls,
        ca_file=reading.file(("mqtt", "tls", "ca_file"), mqtt.tls.ca_file),
        certificate_file=reading.file(("mqtt", "tls", "certificate_file"), mqtt.tls.certificate_file),
        private_key_file=reading.file(("mqtt", "tls", "private_key_file"), mqtt.tls.private_key_file, private=True),
    )
    password_file = reading.file(("mqtt", "proxy_password_file"), mqtt.proxy_password_file, private=True)
    return structs.replace(
        mqtt, client_id=mqtt.client_id or thing.name, status_topic=topic, proxy_password_file=password_file, tls=tls
    )


def _check_proxy(reading: Reading, mqtt: Mqtt) -> None:
    proxy, password = ("mqtt", "proxy"), ("mqtt", "proxy_password_file")
    if reading.given(proxy):
        reading.check(proxy, proxy_fault(mqtt.proxy))
    if reading.given(password) and reading.sound(proxy, password) and not proxy_user(mqtt.proxy):
        reading.report(password, 'needs a proxy that names a user: proxy = "http://USER@HOST:PORT"')
