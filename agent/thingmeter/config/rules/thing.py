"""[thing]: its name, where the host has to give it."""

from __future__ import annotations

import re
import socket

from msgspec import structs

from thingmeter.config.reading import Reading
from thingmeter.config.settings import THING_NAME, THING_NAME_WORDS, Thing
from thingmeter.config.wording import show


def read_thing(reading: Reading) -> Thing:
    """Return [thing], named after the host where the files do not name it."""
    thing = reading.struct(Thing, ("thing",))
    if thing.name or not reading.sound(("thing", "name")):
        return thing
    name = socket.gethostname().partition(".")[0]
    if not re.fullmatch(THING_NAME, name):
        reason = f"name is missing, and the host name {show(name)} cannot stand in: {THING_NAME_WORDS}"
        reading.report(("thing", "name"), reason, at=("thing",))
    return structs.replace(thing, name=name)
