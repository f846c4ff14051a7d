from __future__ import annotations

import itertools
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from thingmeter.collectors.plugins import LoadedCollector
from thingmeter.errors import CollectError, Unsupported
from thingmeter.health import Health
from thingmeter.metrics import Metric, Sample
from thingmeter.sampling import Sampling
from thingmeter.sampling.running import LONGEST_REST_S, SAMPLES_PER_COLLECT, Breaker
from thingmeter.sampling.workers import STUCK_WORKERS
from thingmeter.testing import ManualClock

PATIENCE_S = 30  # only a failing test waits this long
AT_ONCE_S = 0.02  # the time limit of collectors that hang, so that tests need not wait for it

LITRES = Metric("litres", unit="l", dimensions=("line",))
STATE = Metric("state", unit="1", type="text")


class Scripted:
    """A collector whose runs do what it was given, one after another; the last one for ever."""

    metrics = (LITRES, STATE)

    def __init__(self, *runs: Any) -> None:
        self.count = 0
        self.threads: list[str] = []
        self._runs = runs

    def collect(self) -> Iterable[Sample]:
        run = self._runs[min(self.count, len(self._runs) - 1)]
        self.count += 1
        self.threads.append(threading.current_thread().name)
        if isinstance(run, BaseException):
            raise run
        result: Iterable[Sample] = run() if callable(run) else run
        return result


class Hanging(Scripted):
    """Hangs in its first run until ``end`` is set."""

    def __init__(self) -> None:
        self.end = threading.Event()
        super().__init__(self._hang, [LITRES.sample(1)])

    def _hang(self) -> Iterable[Sample]:
        self.end.wait(PATIENCE_S)
        return [LITRES.sample(666)]


class Setup:
    """Sampling with all that is around it."""

    def __init__(self, *collectors: Scripted, interval_s: float = 10, timeout_s: float = PATIENCE_S) -> None:
        self.clock = ManualClock()
        self.health = Health()
        self.taken: list[tuple[tuple[Metric, ...], Sequence[Sample]]] = []
        self.sink_threads: list[str] = []
        loaded = [
            LoadedCollector(
                f"pump{number}", collector, interval_s, AT_ONCE_S if isinstance(collector, Hanging) else timeout_s
            )
            for number, collector in enumerate(collectors)
        ]
        self.sampling = Sampling(loaded, self.sink, self.clock, self.health)

    def sink(self, metrics: tuple[Metric, ...], samples: Sequence[Sample]) -> None:
        self.taken.append((metrics, samples))
        self.sink_threads.append(threading.current_thread().name)

    @property
    def values(self) -> list[object]:
        return [sample.value for _, samples in self.taken for sample in samples]

    @property
    def metric_names(self) -> list[list[str]]:
        return [[metric.name for metric in metrics] for metrics, _ in self.taken]

    def run(self, times: int = 1) -> None:
        for _ in range(times):
            self.sampling.run_once()

    def state(self, name: str = "pump0") -> str:
        return self.health.collector(name).state


@pytest.fixture
def setup() -> Iterator[Callable[..., Setup]]:
    """Return what sets up sampling, and let go of its threads and hanging collectors afterwards."""
    made: list[tuple[Setup, tuple[Scripted, ...]]] = []

    def make(*collectors: Scripted, **options: Any) -> Setup:
        made.append((Setup(*collectors, **options), collectors))
        return made[-1][0]

    yield make
    for one, collectors in made:
        one.sampling.stop()
        for collector in collectors:
            if isinstance(collector, Hanging):
                collector.end.set()
    for thread in threading.enumerate():
        if thread.name.startswith("sampling-"):
            thread.join(PATIENCE_S)


def wait_until(true: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    pause = threading.Event()
    for _ in range(10_000):
        if true():
            return
        pause.wait(0.003)
    raise AssertionError("it never came")


def test_samples_reach_the_sink_under_their_full_names(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted([LITRES.sample(3, {"line": "1"})]))

    one.run()

    assert [sample.metric.name for sample in one.taken[0][1]] == ["pump0.litres"]


def test_a_sample_keeps_its_value_and_dimensions(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted([LITRES.sample(3, {"line": "1"})]))

    one.run()

    sample = one.taken[0][1][0]
    assert (sample.value, sample.dimensions) == (3, (("line", "1"),))


def test_a_sample_without_a_time_gets_that_of_its_collect(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted([LITRES.sample(3)]))

    one.run()

    assert one.taken[0][1][0].at == one.clock.now()


def test_a_sample_with_a_time_keeps_it(setup: Callable[..., Setup]) -> None:
    at = datetime(2025, 12, 31, tzinfo=UTC)
    one = setup(Scripted([LITRES.sample(3, at=at)]))

    one.run()

    assert one.taken[0][1][0].at == at


def test_the_sink_gets_the_metrics_that_had_no_sample_as_well(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted([]))

    one.run()

    assert one.metric_names == [["pump0.litres", "pump0.state"]]


def test_the_sink_is_called_once_for_each_collector(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted([LITRES.sample(1), LITRES.sample(2)]), Scripted([LITRES.sample(3)]))

    one.run()

    assert [len(samples) for _, samples in one.taken] == [2, 1]


def test_the_sink_is_never_called_on_a_thread_of_a_plugin(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted([LITRES.sample(1)]))

    one.run()

    assert one.sink_threads == [threading.current_thread().name]


def test_a_collector_may_yield(setup: Callable[..., Setup]) -> None:
    def collect() -> Iterator[Sample]:
        yield LITRES.sample(1)
        yield LITRES.sample(2)

    one = setup(Scripted(collect))

    one.run()

    assert one.values == [1, 2]


def test_collectors_of_one_interval_are_one_group() -> None:
    loaded = [LoadedCollector(name, Scripted([]), s, 1) for name, s in (("a", 10), ("b", 60), ("c", 10.0))]
    sampling = Sampling(loaded, lambda _metrics, _samples: None, ManualClock(), Health())

    assert list(sampling.groups()) == [10, 60]


def test_a_group_runs_the_collectors_of_its_interval_only() -> None:
    fast, slow = Scripted([]), Scripted([])
    loaded = [LoadedCollector("fast", fast, 10, PATIENCE_S), LoadedCollector("slow", slow, 60, PATIENCE_S)]
    sampling = Sampling(loaded, lambda _metrics, _samples: None, ManualClock(), Health())

    sampling.groups()[60]()

    assert (fast.count, slow.count) == (0, 1)
    sampling.stop()


def test_some_collectors_can_be_run_by_name(setup: Callable[..., Setup]) -> None:
    collectors = Scripted([]), Scripted([])
    one = setup(*collectors)

    one.sampling.run_once(["pump1"])

    assert [collector.count for collector in collectors] == [0, 1]


def test_running_an_unknown_collector_is_an_error(setup: Callable[..., Setup]) -> None:
    with pytest.raises(KeyError):
        setup(Scripted([])).sampling.run_once(["nothing"])


def test_collectors_of_a_round_share_a_thread_and_so_do_rounds(setup: Callable[..., Setup]) -> None:
    collectors = Scripted([]), Scripted([])
    one = setup(*collectors)

    one.run(times=3)

    assert len({*collectors[0].threads, *collectors[1].threads}) == 1


def test_a_collector_that_works_is_ok(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted([]))

    one.run()

    health = one.health.collector("pump0")
    assert (health.state, health.last_success) == ("ok", one.clock.now())


def test_a_collector_that_has_not_run_is_new(setup: Callable[..., Setup]) -> None:
    assert setup(Scripted([])).state() == "new"


# errors


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (CollectError("sensor gone"), "sensor gone"),
        (OSError("no bus"), "OSError: no bus"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (MemoryError(), "MemoryError"),
        (ValueError("two\nlines"), "ValueError: two\\nlines"),
    ],
)
def test_whatever_a_collector_raises_is_its_last_error(
    setup: Callable[..., Setup], error: BaseException, told: str
) -> None:
    one = setup(Scripted(error))

    one.run()

    assert one.health.collector("pump0").last_error.startswith(told)


def test_a_collector_that_raises_is_failing(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted(CollectError("sensor gone")))

    one.run()

    assert one.state() == "failing"


def test_a_collector_that_raises_leaves_the_others_their_turn(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted(SystemExit(3)), Scripted([LITRES.sample(1)]))

    one.run()

    assert one.values == [1]


def test_a_failed_collect_never_reaches_the_sink(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted(CollectError("sensor gone")))

    one.run()

    assert one.taken == []


def test_samples_before_an_exception_are_thrown_away(setup: Callable[..., Setup]) -> None:
    def collect() -> Iterator[Sample]:
        yield LITRES.sample(1)
        raise OSError("no bus")

    one = setup(Scripted(collect))

    one.run()

    assert one.taken == []


def test_a_collector_that_returns_nothing_to_iterate_fails(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted(lambda: None))

    one.run()

    assert "'NoneType' object is not iterable" in one.health.collector("pump0").last_error


def test_an_exception_that_can_not_be_told_still_counts(setup: Callable[..., Setup]) -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    one = setup(Scripted(Mute()))

    one.run()

    assert one.health.collector("pump0").last_error.startswith("Mute (test_sampling.py:")


def test_failures_are_counted(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted(CollectError("a"), CollectError("b"), [], CollectError("c")))

    one.run(times=4)

    health = one.health.collector("pump0")
    assert (health.failures, health.failures_in_a_row, one.health.counts()) == (3, 1, {"collector_failures": 3})


def test_a_failure_is_told_once_and_so_is_its_end(
    setup: Callable[..., Setup], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one = setup(Scripted(CollectError("gone"), CollectError("gone"), []))

    one.run(times=4)

    assert caplog.messages == [
        "collector pump0: gone (1 in a row)",
        "collector pump0 works again after 2 failures",
    ]


def test_an_unsupported_collector_is_not_run_again(setup: Callable[..., Setup]) -> None:
    collector = Scripted(Unsupported("no sensors"))
    one = setup(collector)

    one.run(times=3)

    assert (collector.count, one.state()) == (1, "unsupported")


def test_an_unsupported_collector_is_no_failure(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted(Unsupported("no sensors")))

    one.run()

    assert one.health.counts() == {}


def test_a_sink_that_raises_does_not_stop_the_round() -> None:
    taken = []

    def sink(_metrics: tuple[Metric, ...], samples: Sequence[Sample]) -> None:
        taken.append(samples)
        raise RuntimeError("our mistake")

    loaded = [LoadedCollector(name, Scripted([]), 10, PATIENCE_S) for name in ("a", "b")]
    health = Health()
    sampling = Sampling(loaded, sink, ManualClock(), health)

    sampling.run_once()

    assert (len(taken), health.counts()) == (2, {"collector_samples_lost": 2})
    sampling.stop()


# what comes back


def test_only_the_wrong_samples_are_refused(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted([LITRES.sample(1), LITRES.sample(float("nan")), "what", LITRES.sample(2)]))

    one.run()

    assert one.values == [1, 2]


def test_refused_samples_are_counted(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted([LITRES.sample(float("nan")), "what"]))

    one.run()

    assert one.health.counts() == {"collector_samples_refused": 2}


def test_a_metric_whose_only_sample_was_refused_is_unknown(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted([LITRES.sample(float("nan"))]))

    one.run()

    assert one.metric_names == [["pump0.state"]]


def test_a_metric_with_a_good_sample_beside_a_refused_one_is_known(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted([LITRES.sample(float("nan")), LITRES.sample(1)]))

    one.run()

    assert one.metric_names == [["pump0.litres", "pump0.state"]]


def test_a_refused_sample_of_no_declared_metric_leaves_those_without_samples_unknown(
    setup: Callable[..., Setup],
) -> None:
    one = setup(Scripted([Metric("other", unit="1").sample(1), LITRES.sample(1)]))

    one.run()

    assert one.metric_names == [["pump0.litres"]]


def test_a_refusal_is_told_once(setup: Callable[..., Setup], caplog: pytest.LogCaptureFixture) -> None:
    one = setup(Scripted([LITRES.sample("3"), LITRES.sample("4")]))

    one.run(times=2)

    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == [
        "collector pump0: a sample of litres: a value of type str does not fit its metric's type number"
    ]


def test_a_collector_with_refused_samples_is_ok_and_says_why(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted([LITRES.sample("3")]))

    one.run()

    health = one.health.collector("pump0")
    assert (health.state, health.last_error.partition(":")[0]) == ("ok", "a sample of litres")


def test_a_collector_that_never_stops_yielding_is_cut(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted(lambda: (LITRES.sample(n) for n in itertools.count())))

    one.run()

    assert (len(one.values), one.health.counts()) == (SAMPLES_PER_COLLECT, {"collector_samples_cut": 1})


def test_a_generator_that_is_cut_is_closed(setup: Callable[..., Setup]) -> None:
    closed = []

    def collect() -> Iterator[Sample]:
        try:
            while True:
                yield LITRES.sample(1)
        finally:
            closed.append(True)

    one = setup(Scripted(collect))

    one.run()

    assert closed == [True]


def test_metrics_that_may_have_been_cut_off_are_unknown(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted(lambda: itertools.repeat(LITRES.sample(1))))

    one.run()

    assert one.metric_names == [["pump0.litres"]]


# time


def test_a_hanging_collector_is_stuck(setup: Callable[..., Setup]) -> None:
    one = setup(Hanging())

    one.run()

    assert one.state() == "stuck"


def test_a_hanging_collector_leaves_the_others_their_turn(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted([LITRES.sample(1)]), Hanging(), Scripted([LITRES.sample(2)]))

    one.run()

    assert one.values == [1, 2]


def test_a_hanging_collector_is_counted(setup: Callable[..., Setup]) -> None:
    one = setup(Hanging())

    one.run()

    assert one.health.counts() == {"collector_failures": 1, "collector_timeouts": 1}


def test_a_hanging_collector_is_not_started_again(setup: Callable[..., Setup]) -> None:
    hanging = Hanging()
    one = setup(hanging)

    one.run(times=3)

    assert (hanging.count, one.health.counts()["collector_turns_skipped"]) == (1, 2)


def test_a_hanging_generator_is_given_up_as_well(setup: Callable[..., Setup]) -> None:
    end = threading.Event()

    def collect() -> Iterator[Sample]:
        yield LITRES.sample(1)
        end.wait(PATIENCE_S)

    one = setup(Scripted(collect), timeout_s=AT_ONCE_S)

    one.run()

    assert (one.state(), one.taken) == ("stuck", [])
    end.set()


def test_a_late_result_is_thrown_away(setup: Callable[..., Setup]) -> None:
    hanging = Hanging()
    one = setup(hanging)
    one.run()

    hanging.end.set()
    wait_until(lambda: "collector_results_late" in one.health.counts())

    assert one.taken == []


def test_a_collector_that_returned_late_has_its_turns_again(setup: Callable[..., Setup]) -> None:
    hanging = Hanging()
    one = setup(hanging)
    one.run()
    hanging.end.set()
    wait_until(lambda: one.state() != "stuck")

    one.run()

    assert (one.values, one.state()) == ([1], "ok")


def test_a_collector_that_returned_late_is_no_longer_stuck(setup: Callable[..., Setup]) -> None:
    hanging = Hanging()
    one = setup(hanging)
    one.run()

    hanging.end.set()
    wait_until(lambda: one.state() != "stuck")

    assert one.state() == "failing"


def test_collectors_in_a_row_each_have_their_own_time(setup: Callable[..., Setup]) -> None:
    pause = threading.Event()

    def take_a_tenth_of_a_second() -> list[Sample]:
        pause.wait(0.1)
        return [LITRES.sample(1)]

    one = setup(*[Scripted(take_a_tenth_of_a_second) for _ in range(12)], timeout_s=1)  # 1.2 s together

    one.run()

    assert one.values == [1] * 12


def test_stuck_workers_are_few(setup: Callable[..., Setup]) -> None:
    collectors = [Hanging() for _ in range(STUCK_WORKERS + 3)]
    one = setup(*collectors)

    one.run()

    assert sum(collector.count for collector in collectors) == STUCK_WORKERS


def test_a_collector_without_a_worker_says_why(setup: Callable[..., Setup]) -> None:
    one = setup(*[Hanging() for _ in range(STUCK_WORKERS)], Scripted([]))

    one.run()

    assert "collectors hang" in one.health.collector(f"pump{STUCK_WORKERS}").last_error


def test_a_collector_has_a_worker_again_when_one_came_back(setup: Callable[..., Setup]) -> None:
    hanging = [Hanging() for _ in range(STUCK_WORKERS)]
    last = Scripted([LITRES.sample(1)])
    one = setup(*hanging, last)
    one.run()

    hanging[0].end.set()
    wait_until(lambda: "collector_results_late" in one.health.counts())
    one.sampling.run_once([f"pump{STUCK_WORKERS}"])

    assert one.values == [1]


def test_stop_ends_a_round_whose_collector_hangs() -> None:
    hanging, others = Hanging(), Scripted([])
    loaded = [LoadedCollector("a", hanging, 10, PATIENCE_S), LoadedCollector("b", others, 10, PATIENCE_S)]
    sampling = Sampling(loaded, lambda _metrics, _samples: None, ManualClock(), Health())
    running = threading.Thread(target=sampling.run_once)
    running.start()
    wait_until(lambda: hanging.count == 1)

    sampling.stop()
    running.join(PATIENCE_S)

    assert (running.is_alive(), others.count) == (False, 0)
    hanging.end.set()


def test_nothing_is_run_after_stop(setup: Callable[..., Setup]) -> None:
    collector = Scripted([])
    one = setup(collector)
    one.sampling.stop()

    one.run()

    assert collector.count == 0


def test_two_rounds_run_side_by_side(setup: Callable[..., Setup]) -> None:
    meeting = threading.Barrier(2)
    collectors = [Scripted(lambda: [LITRES.sample(meeting.wait(PATIENCE_S))]) for _ in range(2)]
    one = setup(*collectors)
    rounds = [threading.Thread(target=one.sampling.run_once, args=([name],)) for name in ("pump0", "pump1")]

    for round_ in rounds:
        round_.start()
    for round_ in rounds:
        round_.join(PATIENCE_S)

    assert sorted(one.values, key=str) == [0, 1]


def test_a_collector_never_runs_twice_at_a_time(setup: Callable[..., Setup]) -> None:
    begun, end = threading.Event(), threading.Event()

    def collect() -> list[Sample]:
        begun.set()
        end.wait(PATIENCE_S)
        return []

    collector = Scripted(collect)
    one = setup(collector)
    first = threading.Thread(target=one.run)
    first.start()
    begun.wait(PATIENCE_S)

    one.run()
    end.set()
    first.join(PATIENCE_S)

    assert (collector.count, one.health.counts()) == (1, {"collector_turns_skipped": 1})


@pytest.mark.skipif(sys.platform != "linux", reason="counts the threads of the process")
def test_rounds_leave_no_more_than_a_few_idle_threads(setup: Callable[..., Setup]) -> None:
    hanging = [Hanging() for _ in range(4)]
    one = setup(*hanging)
    one.run()
    for collector in hanging:
        collector.end.set()
    wait_until(lambda: one.health.counts().get("collector_results_late") == len(hanging))

    one.run(times=2)

    wait_until(lambda: sum(thread.name.startswith("sampling-") for thread in threading.enumerate()) <= 2)


# rest


def turns_used(collector: Scripted, one: Setup, turns: int) -> list[int]:
    """Return the turns, counted from 1, at which the collector was run."""
    used = []
    for turn in range(1, turns + 1):
        before = collector.count
        one.run()
        if collector.count > before:
            used.append(turn)
    return used


def test_a_collector_that_keeps_failing_is_tried_less_and_less_often(setup: Callable[..., Setup]) -> None:
    collector = Scripted(CollectError("gone"))

    used = turns_used(collector, setup(collector), 40)

    assert used == [1, 2, 3, 5, 9, 17, 33]


def test_a_collector_that_keeps_failing_is_resting(setup: Callable[..., Setup]) -> None:
    one = setup(Scripted(CollectError("gone")))

    one.run(times=3)

    assert one.state() == "resting"


def test_a_collector_that_works_again_has_all_its_turns(setup: Callable[..., Setup]) -> None:
    collector = Scripted(*[CollectError("gone")] * 3, [])

    used = turns_used(collector, setup(collector), 8)

    assert used == [1, 2, 3, 5, 6, 7, 8]


def test_a_rest_is_told_once(setup: Callable[..., Setup], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    one = setup(Scripted(CollectError("gone")))

    one.run(times=20)

    assert caplog.messages == [
        "collector pump0: gone (1 in a row)",
        "collector pump0: gone (3 in a row); it has fewer turns from now on",
    ]


@pytest.mark.parametrize("interval_s", [1, 10, 60, 300])
def test_no_rest_is_longer_than_its_bound(interval_s: float) -> None:
    breaker = Breaker(interval_s)
    for _ in range(100):
        breaker.failed()

    turns = next(turn for turn in itertools.count(1) if breaker.has_turn())

    assert turns * interval_s <= LONGEST_REST_S


def test_a_collector_with_few_turns_keeps_them_all() -> None:
    breaker = Breaker(3600)
    for _ in range(100):
        breaker.failed()

    assert breaker.has_turn()
