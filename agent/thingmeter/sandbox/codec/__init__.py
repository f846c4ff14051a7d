"""MQTT 5 packets to and from bytes, for the broker's side of a connection. Source: OASIS MQTT 5.0, chapters 2 and 3."""

from thingmeter.sandbox.codec.decoder import CONNACK_MQTT_3_REFUSED, decode
from thingmeter.sandbox.codec.encoder import encode

__all__ = ["CONNACK_MQTT_3_REFUSED", "decode", "encode"]
