"""The whole: a struct for each table, and where everything in them stands."""

from __future__ import annotations

from msgspec import Struct

from thingmeter.config.places import Places
from thingmeter.config.settings.aws import Aws
from thingmeter.config.settings.clock import Clock
from thingmeter.config.settings.collectors import Collector
from thingmeter.config.settings.defender import Defender
from thingmeter.config.settings.devrev import DevRev
from thingmeter.config.settings.mqtt import Mqtt
from thingmeter.config.settings.outbox import Outbox
from thingmeter.config.settings.registration import Registration
from thingmeter.config.settings.thing import Thing
from thingmeter.config.settings.topic import Topic
from thingmeter.errors import Problem


class Config(Struct, frozen=True, kw_only=True):
    """The whole configuration, checked and with every default filled in.

    Attributes:
        collectors: those with a table of their own.
        all_built_in: there is no [collectors] table: every built-in collector runs, with the defaults of ``Collector``.
        places: where everything stands, for the problems that only a plugin or a collector can find.
    """

    thing: Thing
    mqtt: Mqtt | None = None
    aws: Aws | None = None
    clock: Clock = Clock()
    registration: Registration = Registration()
    defender: Defender | None = None
    devrev: DevRev | None = None
    topic: Topic | None = None
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
