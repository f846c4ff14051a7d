"""The topic destination: samples on an ordinary MQTT topic, or by Basic Ingest, with no Device Defender behind it."""
