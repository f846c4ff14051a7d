"""The ways that a sample can take besides reports, each put together: usage records to DevRev, telemetry to a topic."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from thingmeter.clock import WallTime
from thingmeter.config.settings import DevRev, Topic
from thingmeter.delivery import Delivery, Route
from thingmeter.destinations.devrev import batches
from thingmeter.destinations.devrev.batches import Feed, UsageSource, metric_name_of, queue_of, usage_queues
from thingmeter.destinations.devrev.mqtt_route import MqttUsageTransport
from thingmeter.destinations.devrev.pause import Pause
from thingmeter.destinations.devrev.sizing import limits_of
from thingmeter.destinations.topic.transport import TopicTransport
from thingmeter.health import Health
from thingmeter.metering import Identity, Metering
from thingmeter.metering.identity import INSTALLATION
from thingmeter.metrics import Metric, Sample
from thingmeter.mqtt.session import Session
from thingmeter.outbox import Outbox
from thingmeter.telemetry import DESTINATION as TOPIC
from thingmeter.telemetry import Telemetry, TelemetrySource

if TYPE_CHECKING:
    from thingmeter.destinations.devrev.transport import UsageTransport

logger = logging.getLogger(__name__)


class Job(NamedTuple):
    """What is to be run at intervals."""

    interval_s: float
    run: Callable[[], None]
    name: str


@dataclass(frozen=True, slots=True)
class Way:
    """One way of a sample, ready to run.

    Attributes:
        collected: takes what one collect gave, on the collector's thread.
        job: to be scheduled.
        delivery: to be started, woken when there is a connection, and stopped.
        close: commits what is still in memory, after the last sample and before the outbox is closed.
        over_mqtt: a connection to the broker ends what the delivery waits for.
    """

    collected: Callable[[tuple[Metric, ...], Sequence[Sample]], None]
    job: Job
    delivery: Delivery
    close: Callable[[], None]
    over_mqtt: bool


@dataclass(frozen=True, slots=True)
class Tools:
    """What every way is made with; ``session`` is None without [mqtt]."""

    thing: str
    outbox: Outbox
    wall: WallTime
    health: Health
    session: Session | None


def has_usage(settings: DevRev, outbox: Outbox) -> bool:
    """Return whether there is usage to be made or to be delivered: a UOM is fed, or an earlier run left some behind."""
    waiting = any(outbox.counts(queue)["waiting"] for queue in usage_queues(outbox))
    return waiting or outbox.depth().journal_rows > 0 or any(uom.from_ for uom in settings.uom)


def tell_of_usage_left(settings: DevRev | None, outbox: Outbox, health: Health) -> None:
    """Say which usage records in the outbox are of UOMs that are not configured any more, and what becomes of them.

    Those that wait are counted as ``usage_points_stranded``: without a definition nobody asks DevRev whether the UOM
    is enabled, and it takes records of one that is not, only to throw them away.

    Args:
        settings: [devrev], with every UOM that it has; None without that table.
        outbox: where they wait.
        health: where they are counted.
    """
    configured = {queue_of(uom.metric_name) for uom in settings.uom} if settings else set()
    for queue in usage_queues(outbox):
        count = outbox.counts(queue)["waiting"]
        if queue in configured or not count:
            continue
        what, name = "usage: %d records of UOM %s, which is not configured any more,", metric_name_of(queue)
        if settings and settings.registration == "off":
            logger.warning(f"{what} are delivered all the same", count, name)  # noqa: G004  # one wording
            continue
        health.count("usage_points_stranded", count)
        logger.warning(f"{what} wait until it is put back into [devrev]", count, name)  # noqa: G004  # as above
    if settings is None and (rows := outbox.depth().journal_rows):
        logger.warning("usage: %d rows of samples wait in the outbox until there is a table [devrev] again", rows)


def usage_way(
    settings: DevRev, tools: Tools, *, journal_interval_s: float, is_ready: Callable[[str], bool], pause: Pause
) -> Way:
    """Return the way of usage records.

    Args:
        settings: [devrev], with the UOMs that can be fed.
        tools: as every way has them; with the route mqtt there is a session.
        journal_interval_s: how often samples are committed, and windows that have ended are frozen.
        is_ready: whether the UOM of a metric name is known to be registered and enabled.
        pause: shared by all who use the token.
    """
    outbox, clock, health = tools.outbox, tools.wall.clock, tools.health
    metering = Metering(settings, Identity(tools.thing, outbox.state(INSTALLATION)), outbox, tools.wall, health)
    names = [uom.metric_name for uom in settings.uom]
    source = UsageSource(Feed(names, is_ready, limits_of(settings), tools.wall.is_set), outbox, clock, health)
    delivery = Delivery(_usage_route(settings, tools, source, pause), outbox, clock, health)
    turns = _Turns(metering, tools, delivery)
    job = Job(journal_interval_s, turns.run, "usage")
    return Way(metering.collected, job, delivery, metering.close, over_mqtt=settings.route == "mqtt")


class _Turns:
    """Runs the turns of metering, and wakes the delivery after one since which more can be delivered.

    That is when the clock was set, and when the last window of a UOM that left the configuration made its first queue.
    """

    def __init__(self, metering: Metering, tools: Tools, delivery: Delivery) -> None:
        self._metering = metering
        self._tools = tools
        self._delivery = delivery
        self._seen = self._state()

    def run(self) -> None:
        self._metering.turn()
        state = self._state()
        if state != self._seen:
            self._delivery.wake()
        self._seen = state

    def _state(self) -> tuple[bool, list[str]]:
        return self._tools.wall.is_set(), usage_queues(self._tools.outbox)


def _usage_route(settings: DevRev, tools: Tools, source: UsageSource, pause: Pause) -> Route:
    """Return the route of usage: over MQTT, or by HTTPS, which brings urllib3."""
    transport: MqttUsageTransport | UsageTransport
    version = _never_changes
    if settings.route == "mqtt" and tools.session:
        transport = MqttUsageTransport(tools.session, settings.topic)
    else:
        from thingmeter.destinations.devrev.transport import UsageTransport, account_for  # noqa: PLC0415  # as said

        account = account_for(settings)
        transport, version = UsageTransport(account, pause, tools.wall.clock), account.version

    def hold_s() -> float:
        """Hold all while the clock is not set: over a reboot nobody could tell how old an attempt is."""
        return max(transport.hold_s(), source.hold_s()) if tools.wall.is_set() else math.inf

    return Route(
        batches.DESTINATION, source, transport, hold_s, queues=source.queues, kept=source.kept, version=version
    )


def _never_changes() -> str:
    return ""


def telemetry_way(settings: Topic, session: Session, tools: Tools) -> Way:
    """Return the way of telemetry to the topic of [topic]."""
    outbox, clock, health = tools.outbox, tools.wall.clock, tools.health
    telemetry = Telemetry(settings, tools.thing, outbox, tools.wall, health)
    transport = TopicTransport(session, settings.template, clock)
    route = Route(TOPIC, TelemetrySource(outbox, health), transport, transport.hold_s)
    job = Job(settings.interval_s, telemetry.turn, "telemetry")
    return Way(telemetry.collected, job, Delivery(route, outbox, clock, health), telemetry.turn, over_mqtt=True)
