"""The composition root: builds every object, starts and stops the threads in order, acts on signals.

    start: outbox, session, first samples, first report, schedule, delivery, registration    (none needs the network)
    stop:  registration, schedule, delivery, session, outbox                     (within STOP_S, whatever is stuck)

Signals: SIGTERM and SIGINT stop; SIGHUP reads the configuration again, and a bad one changes nothing; SIGUSR1 reports
now, never below ``minimum_interval_s``.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from thingmeter.clock import SystemClock, WallTime
from thingmeter.config import Config, default_path
from thingmeter.config import load as load_config
from thingmeter.config.settings import Defender, DevRev
from thingmeter.delivery import Delivery, Route
from thingmeter.destinations.defender.pace import Pace
from thingmeter.destinations.defender.transport import DefenderTransport, topic_of
from thingmeter.destinations.devrev.pause import Pause
from thingmeter.errors import ConfigError, OutboxError
from thingmeter.health import Health, notify_systemd
from thingmeter.loading import load_collectors, make_session, mapping_problems, usage_without_mistakes, without_mistakes
from thingmeter.metrics import Metric, Sample
from thingmeter.mqtt.session import Session
from thingmeter.outbox import Outbox
from thingmeter.protocols import Clock
from thingmeter.registration.declared import registrations_of
from thingmeter.registration.registration import Registration
from thingmeter.registration.rounds import Rounds
from thingmeter.reporting import DESTINATION, PACE, Reporting
from thingmeter.sampling import Sampling
from thingmeter.schedule import Schedule
from thingmeter.ways import Tools, Way, has_usage, telemetry_way, tell_of_usage_left, usage_way

logger = logging.getLogger(__name__)

STOP_S = 4.5  # SIGTERM ends within 5 s
REPORT = "report"  # the schedule's name of the job
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)
IDLE_S = 3600.0  # the main thread's wait for a signal; it only bounds the wait


def run(path: Path | None) -> None:
    """Run the agent until SIGTERM or SIGINT.

    Raises:
        ConfigError: the configuration cannot be used.
        OutboxError: another process has the outbox, or it cannot be opened.
    """
    signals: queue.SimpleQueue[int] = queue.SimpleQueue()
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_listen, args=(reader, signals), name="signals", daemon=True).start()
    for number in (*STOP_SIGNALS, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, _leave_to_the_listener)
    source = path or default_path()
    config = load_config(source)
    clock = SystemClock()
    pause = Pause(clock)  # what DevRev has asked for outlives a reload
    daemon = Daemon(config, clock, pause)
    while True:
        daemon.start()
        new_config = _until_end(daemon, signals, source)
        if new_config is None:
            daemon.stop()
            return
        _stop_to_reload(daemon)
        try:
            daemon = Daemon(new_config, clock, pause)
        except (ConfigError, OutboxError) as error:
            logger.error("SIGHUP: the configuration stays as it was:\n%s", error)  # noqa: TRY400  # no traceback
            daemon = Daemon(config, clock, pause)
        else:
            config = new_config


def _load(source: Path) -> Config:
    """Read the configuration; a token of DevRev that is missing or unusable keeps nothing else from running.

    Raises:
        ConfigError: it cannot be used for another reason.
    """
    try:
        return load_config(source)
    except ConfigError as error:
        config = load_config(source, files_elsewhere=("devrev",))
        logger.error("%s; all but DevRev goes on", error)  # noqa: TRY400  # no traceback
        return config


def _leave_to_the_listener(_number: int, _frame: object) -> None:
    """Do nothing: the byte that the interpreter writes for each signal says all."""


def _listen(wakeups: socket.socket, signals: queue.SimpleQueue[int]) -> None:
    """Pass signals on to the main thread, and end the process STOP_S after one that asks for it, whatever is stuck.

    A handler would run only once the main thread is back from what it waits for, and a wait that begins at the same
    moment is not cut short. All that was acknowledged is committed by the end.
    """
    while True:
        for number in wakeups.recv(64):
            if number in STOP_SIGNALS:
                end = threading.Timer(STOP_S, os._exit, (0,))
                end.daemon = True
                end.start()
            signals.put(number)


def _stop_to_reload(daemon: Daemon) -> None:
    """Stop; a process in which something is stuck ends as failed, so that whoever supervises it starts it anew."""
    end = threading.Timer(STOP_S, os._exit, (1,))
    end.daemon = True
    end.start()
    daemon.stop()
    end.cancel()


def _until_end(daemon: Daemon, signals: queue.SimpleQueue[int], source: Path) -> Config | None:
    """Act on signals; return the new configuration after a good SIGHUP, None after a stop signal."""
    while True:
        try:
            number = signals.get(timeout=IDLE_S)
        except queue.Empty:
            continue
        if number in STOP_SIGNALS:
            logger.info("%s: stopping", signal.Signals(number).name)
            notify_systemd("STOPPING=1")
            return None
        if number == signal.SIGUSR1:
            daemon.flush()
            continue
        try:
            config = _load(source)
            load_collectors(config, Health())
        except ConfigError as error:
            logger.error("SIGHUP: the configuration stays as it was:\n%s", error)  # noqa: TRY400  # no traceback
        else:
            logger.info("SIGHUP: the configuration is read again")
            return config


def _stop(call: Callable[[], object]) -> None:
    try:
        call()
    except Exception:  # the top of a thread
        logger.exception("stopping one part failed unexpectedly")


def _all_at_once(calls: Iterable[Callable[[], object]], timeout_s: float) -> None:
    """Make each call on a thread of its own; wait ``timeout_s`` for each, and leave behind what is stuck or fails."""
    threads = [threading.Thread(target=_stop, args=(call,), name="stopping", daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout_s)


class Daemon:
    """Everything that runs for one configuration."""

    def __init__(self, config: Config, clock: Clock, pause: Pause | None = None) -> None:
        """Build everything; nothing runs yet. ``pause`` is of the daemon before, which DevRev may have asked to wait.

        Raises:
            ConfigError: a collector or an MQTT library cannot be loaded.
            OutboxError: the outbox cannot be opened.
        """
        self._config = config
        self._clock = clock
        self._pause = pause or Pause(clock)
        self._health = Health()
        self._schedule = Schedule(clock)
        self._life = threading.Lock()  # nothing is started, and no job planned, once ``_stopping`` is set
        self._stopping = threading.Event()
        self._reporting: Reporting | None = None
        self._deliveries: list[Delivery] = []
        self._ways: list[Way] = []
        self._outbox = Outbox.open(Path(config.outbox.path), limits=config.outbox, clock=clock)
        try:
            self._loaded = load_collectors(config, self._health, self._outbox, clock)
            self._session = make_session(config, clock)
            for problem in mapping_problems(config, self._loaded):
                logger.error("%s; it is left out until that is mended", problem)
            self._defender = without_mistakes(config, self._loaded)
            if self._defender and self._session:
                self._build_defender(self._defender, self._session)
            self._registration = self._build_registration(usage_without_mistakes(config, self._loaded))
        except BaseException:
            self._outbox.close()
            raise
        self._sampling = Sampling(self._loaded, self._collected, clock, self._health)

    def start(self) -> None:
        """Start sampling and delivery; returns at once, whether or not there is a network."""
        names = ", ".join(one.name for one in self._loaded)
        logger.info("thing %s: collectors %s; outbox %s", self._config.thing.name, names, self._config.outbox.path)
        if self._session:
            self._session.start()
        for interval_s, sample in self._sampling.groups().items():
            self._schedule.every(interval_s, sample, f"sample every {interval_s:g} s")
        if self._reporting and self._defender:
            self._schedule.every(self._defender.interval_s, self._report, REPORT)
        for way in self._ways:
            self._schedule.every(*way.job)
        threading.Thread(target=self._first_samples, name="first-samples", daemon=True).start()

    def flush(self) -> None:
        """Report now, unless the last publish is less than ``minimum_interval_s`` ago."""
        if self._reporting is None or self._pace.wait_s() > 0:
            logger.info("SIGUSR1: nothing to flush now")
            return
        self._schedule.now(REPORT)

    def stop(self) -> None:
        """Stop everything, in order; each part has its share of STOP_S."""
        with self._life:
            self._stopping.set()
        self._registration.stop(0.5)
        self._sampling.stop()
        self._schedule.stop(0.5)
        _all_at_once([way.close for way in self._ways], 1)
        _all_at_once([partial(delivery.stop, 2) for delivery in self._deliveries], 2)
        if self._session:
            self._session.close(1)
        self._outbox.close()
        logger.info("stopped")

    def _build_defender(self, settings: Defender, session: Session) -> None:
        outbox, clock, health = self._outbox, self._clock, self._health
        self._pace = pace = Pace(settings.minimum_interval_s, clock, outbox.state(PACE))
        self._reporting = Reporting(settings, outbox, clock, health, self._settled)
        transport = DefenderTransport(
            session,
            topic_of(self._config.thing.name, settings.format),
            pace,
            self._reporting,
            health,
        )

        def hold_s() -> float:
            return pace.wait_s() if session.state().connected_since else math.inf

        self._deliver(Delivery(Route(DESTINATION, self._reporting, transport, hold_s), outbox, clock, health))

    def _deliver(self, delivery: Delivery, *, over_mqtt: bool = True) -> None:
        self._deliveries.append(delivery)
        if self._session and over_mqtt:
            self._session.on_connect(delivery.wake)

    def _build_ways(self, usage: DevRev | None, uoms: Registration | None) -> None:
        config = self._config
        wall = WallTime(self._clock, config.clock.sync_wait_s)
        tools = Tools(config.thing.name, self._outbox, wall, self._health, self._session)
        tell_of_usage_left(config.devrev, self._outbox, self._health)
        if usage and has_usage(usage, self._outbox):
            interval_s = config.outbox.journal_interval_s
            others_register = usage.registration == "off"
            is_ready = uoms.is_ready if uoms else lambda _: others_register
            way = usage_way(usage, tools, journal_interval_s=interval_s, is_ready=is_ready, pause=self._pause)
            self._ways.append(way)
            if uoms:
                uoms.on_change(way.delivery.wake)
        if config.topic and self._session:
            self._ways.append(telemetry_way(config.topic, self._session, tools))
        for way in self._ways:
            self._deliver(way.delivery, over_mqtt=way.over_mqtt)

    def _build_registration(self, usage: DevRev | None) -> Rounds:
        registrations = registrations_of(self._config, self._outbox, self._clock, self._pause)
        self._build_ways(usage, registrations.get("devrev"))
        reporting, defender = self._reporting, registrations.get("defender")
        if reporting and defender:

            def leave_out() -> None:
                reporting.leave_out(defender.blocked())

            defender.on_change(leave_out)
            leave_out()  # what was known at the last stop
        return Rounds(registrations.values())

    def _first_samples(self) -> None:
        """Sample at once, report at once, then keep to the schedule, whatever the first turn came to."""
        try:
            self._sampling.run_once()
            if not self._stopping.is_set():
                self._report()
        except Exception:  # the top of a thread
            logger.exception("the first report failed")
        with self._life:
            if self._stopping.is_set():
                return
            self._schedule.start()
            for delivery in self._deliveries:
                delivery.start()
            self._registration.start()
        notify_systemd("READY=1")

    def _report(self) -> None:
        if self._reporting is None:
            return
        try:
            self._reporting.report()
        except OutboxError as error:
            self._health.count("reports_lost")
            logger.error("no report this time: %s", error)  # noqa: TRY400  # the cause is in the message

    def _settled(self) -> None:
        """Let the next period end one interval after the last publish, so that no report ever waits for the pace."""
        settings = self._defender
        with self._life:
            if settings and not self._stopping.is_set():
                self._schedule.again(REPORT, settings.interval_s - settings.minimum_interval_s + self._pace.wait_s())

    def _collected(self, metrics: tuple[Metric, ...], samples: Sequence[Sample]) -> None:
        if self._reporting:
            self._reporting.collected(metrics, samples)
        for way in self._ways:
            way.collected(metrics, samples)
