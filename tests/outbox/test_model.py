"""The outbox against a model of Python lists, with crashes and restarts at any moment."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from outbox.opened import balance, crash_copy, open_outbox
from thingmeter.outbox import Keep, Message, Outbox

DESTINATIONS = ("defender", "topic", "usage-sink")
destinations = st.sampled_from(DESTINATIONS)


class OutboxModel(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="outbox-model-"))
        self.opened = 0
        self.outbox = open_outbox(self.root / "0" / "outbox.db")
        self.abandoned: list[Outbox] = []
        self.waiting: dict[str, list[Message]] = defaultdict(list)
        self.set_aside: dict[str, list[Message]] = defaultdict(list)
        self.counts: Counter[str] = Counter()
        self.state: dict[str, bytes] = {}
        self.last_seq: Counter[str] = Counter()

    @rule(
        destination=destinations,
        key=st.text(st.characters(codec="utf-8"), max_size=9),
        payload=st.binary(max_size=9000),
        keep=st.sampled_from(("all", "all", "newest")),
        state=st.dictionaries(st.sampled_from(("a", "b")), st.binary(max_size=9), max_size=2),
    )
    def put(self, destination: str, key: str, payload: bytes, keep: Keep, state: dict[str, bytes]) -> None:
        priority = "usage" if destination.startswith("usage") else "telemetry"
        message = self.outbox.put(
            destination,
            key,
            payload,
            keep=keep,
            state=state,
            priority=priority,  # type: ignore[arg-type]  # one of two literals
        )
        assert message.seq > self.last_seq[destination]
        self.last_seq[destination] = message.seq
        if keep == "newest":
            self.counts["replaced"] += len(self.waiting[destination])
            self.waiting[destination].clear()
        self.waiting[destination].append(message)
        self.counts["put"] += 1
        self.state.update(state)

    @rule(destination=destinations, outcome=st.sampled_from(("acknowledge", "retire", "set_aside")))
    def settle_next(self, destination: str, outcome: str) -> None:
        message = self.outbox.next(destination)
        assert message == (self.waiting[destination][0] if self.waiting[destination] else None)
        if message is None:
            return
        self.waiting[destination].pop(0)
        match outcome:
            case "acknowledge":
                self.outbox.acknowledge(message)
                self.counts["delivered"] += 1
            case "retire":
                self.outbox.retire(message, "no answer")
                self.counts["unconfirmed"] += 1
            case _:
                self.outbox.set_aside(message, "refused")
                self.set_aside[destination].append(message)

    @rule(destination=destinations, at=st.integers(0, 9))
    def settle_out_of_order(self, destination: str, at: int) -> None:
        if at < len(self.waiting[destination]):
            self.outbox.acknowledge(self.waiting[destination].pop(at))
            self.counts["delivered"] += 1

    @rule(destination=destinations, count=st.integers(1, 5))
    def acknowledge_batch(self, destination: str, count: int) -> None:
        batch = self.outbox.waiting(destination, count)
        assert batch == self.waiting[destination][:count]
        if batch:
            self.outbox.acknowledge_through(destination, batch[-1].seq, state={"a": b"batch"})
            self.state["a"] = b"batch"
            del self.waiting[destination][: len(batch)]
            self.counts["delivered"] += len(batch)

    @precondition(lambda self: bool(self.waiting["defender"]))
    @rule(payload=st.binary(max_size=50))
    def replace_in_flight(self, payload: bytes) -> None:
        in_flight = self.outbox.next("defender")
        assert in_flight is not None
        self.put("defender", "new", payload, "newest", {})
        self.outbox.acknowledge(in_flight)
        self.counts["replaced"] -= 1
        self.counts["delivered"] += 1

    @rule(destination=destinations)
    def acknowledge_again(self, destination: str) -> None:
        self.outbox.acknowledge(Message(destination, "gone", b"", self.last_seq[destination] + 1))

    @rule()
    def crash(self) -> None:
        self.opened += 1
        path = crash_copy(self.root / str(self.opened - 1) / "outbox.db", self.root / str(self.opened))
        self.abandoned.append(self.outbox)
        self.outbox = open_outbox(path)

    @rule()
    def restart(self) -> None:
        self.outbox.close()
        self.outbox = open_outbox(self.root / str(self.opened) / "outbox.db")

    @invariant()
    def what_waits_is_what_the_model_says(self) -> None:
        for destination in DESTINATIONS:
            assert self.outbox.waiting(destination, 100) == self.waiting[destination]

    @invariant()
    def what_was_set_aside_is_what_the_model_says(self) -> None:
        for destination in DESTINATIONS:
            found = [entry.message for entry in self.outbox.set_aside_list(destination)]
            assert found == sorted(self.set_aside[destination], key=lambda message: message.seq)

    @invariant()
    def the_counts_are_what_the_model_says(self) -> None:
        counts = self.outbox.counts()
        assert {name: counts[name] for name in ("put", "delivered", "unconfirmed", "replaced", "dropped")} == {
            "dropped": 0,
            **{name: self.counts[name] for name in ("put", "delivered", "unconfirmed", "replaced")},
        }

    @invariant()
    def everything_put_is_somewhere(self) -> None:
        assert all(balance(self.outbox, destination) == 0 for destination in DESTINATIONS)

    @invariant()
    def the_depth_is_what_waits(self) -> None:
        waiting = [message for messages in self.waiting.values() for message in messages]
        depth = self.outbox.depth()
        assert (depth.rows, depth.bytes) == (len(waiting), sum(len(message.payload) for message in waiting))

    @invariant()
    def the_state_is_what_was_written_last(self) -> None:
        assert {name: self.outbox.state(name) for name in ("a", "b")} == {
            name: self.state.get(name) for name in ("a", "b")
        }

    def teardown(self) -> None:
        for outbox in (self.outbox, *self.abandoned):
            outbox.close()
        shutil.rmtree(self.root)


OutboxModel.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    database=None,
)
TestOutboxAgainstTheModel = OutboxModel.TestCase
