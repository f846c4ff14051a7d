"""[topic]: a topic that can be published to and is nobody else's, and names that a metric can have."""

from __future__ import annotations

from msgspec import structs

from thingmeter.config.addresses import topic_fault
from thingmeter.config.reading import Reading
from thingmeter.config.settings import DevRev, Thing, Topic


def read_topic(reading: Reading, thing: Thing, devrev: DevRev | None) -> Topic | None:
    """Return [topic], None without the table; {thing} is replaced."""
    if not reading.given(("topic",)):
        return None
    topic = reading.struct(Topic, ("topic",))
    if not reading.given(("mqtt",)):
        reason = "needs the tables [mqtt] and [mqtt.tls], which say where samples go"
        reading.report(("mqtt",), reason, at=("topic",))
    path, template = ("topic", "template"), topic.template.replace("{thing}", thing.name)
    reading.check(path, topic_fault(template, basic_ingest=True))
    if devrev is not None and devrev.route == "mqtt" and template == devrev.topic and reading.sound(("devrev",)):
        reading.check(path, "is where [devrev] has its usage records go: samples need a topic of their own")
    for index, glob in enumerate(topic.metrics):
        if "*" not in glob and "." not in glob:
            reading.check(("topic", "metrics", index), "is no metric's name: they are collector.metric; * has them all")
    return structs.replace(topic, template=template)
