"""MQTT 5: ``session`` is the way in; ``paho`` and ``awscrt`` are the two libraries it can speak through."""
