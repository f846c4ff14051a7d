"""[thing], and the names that AWS IoT takes."""

from __future__ import annotations

from typing import Annotated, Final

from msgspec import Meta, Struct

THING_NAME: Final = r"^[a-zA-Z0-9:_-]{1,128}$"  # AWS IoT CreateThing, thingName; Device Defender, metricName
THING_NAME_WORDS: Final = "1 to 128 of the characters a-z A-Z 0-9 : _ -"


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
