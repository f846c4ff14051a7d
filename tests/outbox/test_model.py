"""The outbox against a model of Python lists, with crashes and restarts at any moment."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import date
from fractions import Fraction
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from outbox.opened import START, balance, crash_copy, ledger_balance, open_outbox
from thingmeter.outbox import Count, Entry, JournalRow, Keep, LedgerRow, Message, Outbox

DESTINATIONS = ("defender", "topic", "usage-sink", "usage.litres", "usage.hours")
USAGE = DESTINATIONS[2:]
destinations = st.sampled_from(DESTINATIONS)
usage_destinations = st.sampled_from(USAGE)
windows = st.sampled_from((-1, 0, 900, 1800))
entries = st.builds(
    Entry,
    key=st.text("abc", max_size=5),
    payload=st.binary(max_size=50) | st.builds(bytes.__mul__, st.binary(max_size=9), st.just(400)),
    day=st.none() | st.dates(date(2026, 5, 12), date(2026, 5, 15)),
    amount=st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False),
)


@dataclass
class Books:
    """What the ledger is to say: each message's day and amount in the place where it is."""

    entries: dict[tuple[str, int], Entry] = field(default_factory=dict)
    places: dict[tuple[str, int], str] = field(default_factory=dict)

    def enter(self, destination: str, seq: int, entry: Entry, place: str) -> None:
        self.entries[destination, seq] = entry
        self.places[destination, seq] = place

    def move(self, message: Message, place: str) -> None:
        if (message.destination, message.seq) in self.places:
            self.places[message.destination, message.seq] = place

    def rows(self) -> dict[tuple[str, date], LedgerRow]:
        rows: dict[tuple[str, date], LedgerRow] = {}
        for (destination, seq), entry in self.entries.items():
            if entry.day is not None:
                row = rows.get((destination, entry.day)) or LedgerRow(destination, entry.day)
                for place in ("measured", self.places[destination, seq]):
                    count: Count = getattr(row, place)
                    more = Count(count.points + 1, count.amount + Fraction(entry.amount))
                    row = replace(row, **{place: more})  # type: ignore[arg-type]  # the name of one of its counts
                rows[destination, entry.day] = row
        return rows


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
        self.books = Books()
        self.journal: dict[int, list[bytes]] = defaultdict(list)

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
            for replaced in self.waiting[destination]:
                self.books.move(replaced, "dropped")
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
                self.books.move(message, "delivered")
            case "retire":
                self.outbox.retire(message, "no answer")
                self.counts["unconfirmed"] += 1
                self.books.move(message, "unconfirmed")
            case _:
                self.outbox.set_aside(message, "refused")
                self.set_aside[destination].append(message)
                self.books.move(message, "set_aside")

    @rule(destination=destinations, at=st.integers(0, 9))
    def settle_out_of_order(self, destination: str, at: int) -> None:
        if at < len(self.waiting[destination]):
            message = self.waiting[destination].pop(at)
            self.outbox.acknowledge(message)
            self.counts["delivered"] += 1
            self.books.move(message, "delivered")

    @rule(destination=destinations, count=st.integers(1, 5))
    def acknowledge_batch(self, destination: str, count: int) -> None:
        batch = self.outbox.waiting(destination, count)
        assert batch == self.waiting[destination][:count]
        if batch:
            self.outbox.acknowledge_through(destination, batch[-1].seq, state={"a": b"batch"})
            self.state["a"] = b"batch"
            self.leave(batch, "delivered")

    @rule(count=st.integers(1, 4), outcome=st.sampled_from(("delivered", "unconfirmed")))
    def settle_one_request_of_many_queues(self, count: int, outcome: str) -> None:
        batches = {destination: self.outbox.waiting(destination, count) for destination in USAGE}
        through = {destination: batch[-1].seq for destination, batch in batches.items() if batch}
        if outcome == "delivered":
            self.outbox.acknowledge_all(through, state={"b": b"all"})
        else:
            self.outbox.retire_all(through, "no answer", state={"b": b"all"})
        self.state["b"] = b"all"
        for batch in batches.values():
            self.leave(batch, outcome)

    def leave(self, batch: list[Message], outcome: str) -> None:
        for message in batch:
            self.waiting[message.destination].remove(message)
            self.counts[outcome] += 1
            self.books.move(message, outcome)

    @rule(
        puts=st.dictionaries(usage_destinations, st.lists(entries, max_size=3), max_size=3),
        aside=st.dictionaries(usage_destinations, st.lists(entries, max_size=2), max_size=1),
        ended=st.sets(windows, max_size=2),
    )
    def freeze(self, puts: dict[str, list[Entry]], aside: dict[str, list[Entry]], ended: set[int]) -> None:
        reasons = {destination: [(entry, "too much") for entry in each] for destination, each in aside.items()}
        self.outbox.freeze(puts, aside=reasons, windows=ended, state={"a": b"frozen"})
        self.state["a"] = b"frozen"
        for place, into, more in (("waiting", self.waiting, puts), ("set_aside", self.set_aside, aside)):
            for destination, each in more.items():
                for entry in each:
                    self.last_seq[destination] += 1
                    seq = self.last_seq[destination]
                    into[destination].append(Message(destination, entry.key, entry.payload, seq, START))
                    self.books.enter(destination, seq, entry, place)
                    self.counts["put"] += 1
        for window in ended:
            self.journal.pop(window, None)

    @rule(window=windows, payload=st.binary(max_size=50) | st.just(b"sample" * 999))
    def append_journal(self, window: int, payload: bytes) -> None:
        self.outbox.append_journal([JournalRow(window, payload), JournalRow(0, b"0")], state={"b": b"journal"})
        self.state["b"] = b"journal"
        self.journal[window].append(payload)
        self.journal[0].append(b"0")

    @rule(window=windows)
    def forget_journal(self, window: int) -> None:
        self.outbox.forget_journal([window])
        self.journal.pop(window, None)

    @rule(destination=destinations, whole=st.booleans())
    def replay(self, destination: str, *, whole: bool) -> None:
        found = sorted(self.set_aside[destination], key=lambda message: message.seq)
        chosen = found if whole else found[1:3]
        seqs = None if whole else [message.seq for message in chosen]
        assert self.outbox.replay(destination, seqs) == len(chosen)
        for message in chosen:
            self.set_aside[destination].remove(message)
            self.last_seq[destination] += 1
            again = replace(message, seq=self.last_seq[destination])
            self.waiting[destination].append(again)
            if entry := self.books.entries.pop((destination, message.seq), None):
                del self.books.places[destination, message.seq]
                self.books.enter(destination, again.seq, entry, "waiting")

    @rule(destination=destinations, whole=st.booleans())
    def drop_set_aside(self, destination: str, *, whole: bool) -> None:
        found = sorted(self.set_aside[destination], key=lambda message: message.seq)
        chosen = found if whole else found[:1]
        seqs = None if whole else [message.seq for message in chosen]
        assert self.outbox.drop_set_aside(destination, seqs) == len(chosen)
        for message in chosen:
            self.set_aside[destination].remove(message)
            self.counts["dropped"] += 1
            self.books.move(message, "dropped")

    @precondition(lambda self: bool(self.waiting["defender"]))
    @rule(payload=st.binary(max_size=50))
    def replace_in_flight(self, payload: bytes) -> None:
        in_flight = self.outbox.next("defender")
        assert in_flight is not None
        self.put("defender", "new", payload, "newest", {})
        self.outbox.acknowledge(in_flight)
        self.books.move(in_flight, "delivered")
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
            name: self.counts[name] for name in ("put", "delivered", "unconfirmed", "replaced", "dropped")
        }

    @invariant()
    def everything_put_is_somewhere(self) -> None:
        assert all(balance(self.outbox, destination) == 0 for destination in DESTINATIONS)

    @invariant()
    def the_depth_is_what_waits(self) -> None:
        waiting = [message for messages in self.waiting.values() for message in messages]
        depth = self.outbox.depth()
        rows = sum(len(each) for each in self.journal.values())
        assert (depth.rows, depth.journal_rows) == (len(waiting), rows)

    @invariant()
    def the_bytes_are_those_of_the_payloads_unless_they_were_compressed(self) -> None:
        waiting = [message for messages in self.waiting.values() for message in messages]
        depth = self.outbox.depth()
        small = sum(len(message.payload) for message in waiting if len(message.payload) <= 1024)
        assert small <= depth.bytes <= sum(len(message.payload) for message in waiting)

    @invariant()
    def the_ledger_is_what_the_model_says(self) -> None:
        assert {(row.destination, row.day): row for row in self.outbox.ledger()} == self.books.rows()

    @invariant()
    def the_ledger_adds_up(self) -> None:
        for row in self.outbox.ledger():
            assert ledger_balance(row) == Count()

    @invariant()
    def the_journal_is_what_the_model_says(self) -> None:
        found: dict[int, list[bytes]] = defaultdict(list)
        for row in self.outbox.journal():
            found[row.window].append(row.payload)
        assert found == {window: each for window, each in self.journal.items() if each}

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
