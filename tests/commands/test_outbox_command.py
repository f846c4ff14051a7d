"""``thingmeter outbox`` list, show, replay and drop, on a real outbox."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from commands.stopped_agent import LITRES, StoppedAgent, record, refuse
from thingmeter.cli import FAILED, PERMISSION
from thingmeter.outbox import Entry, JournalRow, Message

USAGE = 2


@pytest.fixture
def filled(agent: StoppedAgent) -> StoppedAgent:
    """Five records: two waiting, two refused by DevRev, one without an account; and one report."""
    with agent.opened() as outbox:
        outbox.freeze({LITRES: [record(n) for n in range(4)]}, aside={LITRES: [(record(9), "no account_ref")]})
        refuse(outbox, 2, "400: bad\x1b[31m account")
        outbox.put("defender", "1795332468", b'{"hed": {"rid": 1795332468}}', keep="newest")
    return agent


def waiting(agent: StoppedAgent) -> list[Message]:
    with agent.opened() as outbox:
        return outbox.waiting(LITRES, 10)


def kept_aside(agent: StoppedAgent) -> list[str]:
    with agent.opened() as outbox:
        return [entry.message.key for entry in outbox.set_aside_list(LITRES)]


def test_list_tells_what_waits_and_what_was_set_aside(filled: StoppedAgent) -> None:
    told = filled.outbox("list")

    (line,) = (words for words in told.table if words[:1] == [LITRES] and len(words) == 6)
    assert (line[1], line[3], line[5]) == ("2", "3", "0")


def test_list_counts_the_reasons(filled: StoppedAgent) -> None:
    queues = filled.outbox("list", "--json").json["queues"]

    (reasons,) = (queue["reasons"] for queue in queues if queue["destination"] == LITRES)
    assert [(reason["count"], reason["reason"][:14]) for reason in reasons] == [
        (2, "400: bad\x1b[31m "),
        (1, "no account_ref"),
    ]


def test_list_escapes_what_came_from_outside(filled: StoppedAgent) -> None:
    assert "400: bad\\u001b[31m account" in filled.outbox("list").out


def test_list_leaves_out_what_never_had_a_message(filled: StoppedAgent) -> None:
    queues = filled.outbox("list", "--json").json["queues"]

    assert [queue["destination"] for queue in queues] == ["defender", LITRES]


@pytest.mark.parametrize("name", ["devrev", "pumped_litres", LITRES])
def test_one_destination_may_be_named_by_its_uom(filled: StoppedAgent, name: str) -> None:
    queues = filled.outbox("list", "--json", "--destination", name).json["queues"]

    assert [queue["destination"] for queue in queues] == [LITRES]


@pytest.mark.parametrize(("name", "found"), [("topic", "topic"), ("devrev.topic", "devrev.topic")])
def test_a_uom_named_as_a_destination_is_meant_in_full_only(agent: StoppedAgent, name: str, found: str) -> None:
    with agent.opened() as outbox:
        outbox.put("topic", "1", b"{}")
        outbox.freeze({"devrev.topic": [record(1, name="topic")]})

    told = agent.outbox("list", "--json", "--destination", name).json

    assert [queue["destination"] for queue in told["queues"]] == [found]


def test_a_queue_without_any_dated_usage_is_listed(agent: StoppedAgent) -> None:
    with agent.opened() as outbox:
        outbox.freeze({"devrev.gone": [Entry("1", b"{}")]})

    told = agent.outbox("list", "--json").json

    assert [queue["destination"] for queue in told["queues"]] == ["devrev.gone"]


def test_list_can_tell_of_one_reason_alone(filled: StoppedAgent) -> None:
    queues = filled.outbox("list", "--json", "--destination", "devrev", "--reason", "no acc").json["queues"]

    assert [message["key"] for message in queues[0]["messages"]] == ["pump-7.1.2.9"]


def test_list_shows_the_oldest_twenty_of_what_was_set_aside(agent: StoppedAgent) -> None:
    with agent.opened() as outbox:
        outbox.freeze({}, aside={LITRES: [(record(n), "why") for n in range(25)]})

    assert agent.outbox("list").out.endswith("... and 5 more; --all lists them\n")


def test_list_shows_all_of_what_was_set_aside(agent: StoppedAgent) -> None:
    with agent.opened() as outbox:
        outbox.freeze({}, aside={LITRES: [(record(n), "why") for n in range(25)]})

    assert agent.outbox("list", "--all").out.count("pump-7.1.2.") == 25


def test_list_tells_of_the_journal(agent: StoppedAgent) -> None:
    with agent.opened() as outbox:
        outbox.append_journal([JournalRow(900, b"x" * 9)])

    assert agent.outbox("list", "--json").json["journal"] == {"rows": 1, "bytes": 9}


def test_list_tells_what_was_lost(filled: StoppedAgent) -> None:
    filled.outbox("drop", "--reason", "no account", "--yes")

    (loss,) = filled.outbox("list", "--json").json["losses"]

    assert (loss["destination"], loss["why"], loss["messages"], loss["amount"]) == (LITRES, "hand", 1, "1")


def test_looking_at_old_telemetry_drops_none(agent: StoppedAgent) -> None:
    text = (agent.folder / "thingmeter.toml").read_text()
    (agent.folder / "thingmeter.toml").write_text(f"{text}maximum_age_s = 60\n")
    with agent.opened() as outbox:
        outbox.put("topic", "1", b"{}")

    assert agent.outbox("list", "--json").json["queues"][0]["waiting"] == 1


def test_show_tells_a_record_and_its_reason(filled: StoppedAgent) -> None:
    (message,) = filled.outbox("show", "pump-7.1.2.9", "--json").json["messages"]

    assert message["reason"] == "no account_ref"
    assert message["content"] == ("pumped_litres 1 at 2026-01-01T02:22:30.000Z, account ACC-1 (sum, id pump-7.1.2.9)")


def test_show_finds_what_waits_as_well(filled: StoppedAgent) -> None:
    (message,) = filled.outbox("show", "pump-7.1.2.3", "--json").json["messages"]

    assert (message["reason"], message["set_aside"]) == (None, None)


def test_show_reads_a_report(filled: StoppedAgent) -> None:
    (message,) = filled.outbox("show", "1795332468", "--json").json["messages"]

    assert message["content"] == "{'hed': {'rid': 1795332468}}"


def test_show_takes_a_sequence_number(filled: StoppedAgent) -> None:
    told = filled.outbox("show", "2", "--destination", "devrev")

    assert ["key", "pump-7.1.2.1"] in told.table


def test_show_asks_which_where_two_have_the_number(filled: StoppedAgent) -> None:
    told = filled.outbox("show", "1")

    assert (told.code, told.err) == (FAILED, "1: 2 messages have it; say which by --destination\n")


def test_show_says_so_where_there_is_no_such_message(filled: StoppedAgent) -> None:
    told = filled.outbox("show", "pump-7.1.2.99")

    assert (told.code, told.out, told.err) == (FAILED, "", "pump-7.1.2.99: no such message\n")


def test_show_survives_a_payload_that_says_nothing(agent: StoppedAgent) -> None:
    with agent.opened() as outbox:
        outbox.put("topic", "1", b"\xff\xfe")

    (message,) = agent.outbox("show", "1", "--json").json["messages"]

    assert message["content"] == "unreadable: b'\\xff\\xfe'"


def test_replay_puts_everything_back_behind_what_waits(filled: StoppedAgent) -> None:
    told = filled.outbox("replay", "--all", "--json")

    assert told.json == {"replayed": {LITRES: 3}}
    assert [message.key[-1] for message in waiting(filled)] == ["2", "3", "0", "1", "9"]


def test_what_is_replayed_has_the_same_bytes(filled: StoppedAgent) -> None:
    filled.outbox("replay", "pump-7.1.2.9")

    assert waiting(filled)[-1].payload == record(9).payload


def test_replay_takes_single_keys(filled: StoppedAgent) -> None:
    filled.outbox("replay", "pump-7.1.2.1", "pump-7.1.2.1")

    assert kept_aside(filled) == ["pump-7.1.2.0", "pump-7.1.2.9"]


def test_replay_takes_a_reason(filled: StoppedAgent) -> None:
    filled.outbox("replay", "--reason", "400")

    assert kept_aside(filled) == ["pump-7.1.2.9"]


def test_replay_of_another_destination_touches_nothing(filled: StoppedAgent) -> None:
    told = filled.outbox("replay", "--destination", "level")

    assert (told.code, told.err, len(kept_aside(filled))) == (FAILED, "nothing of that was set aside\n", 3)


@pytest.mark.parametrize("action", ["replay", "drop"])
def test_nothing_is_changed_before_it_is_said_what(filled: StoppedAgent, action: str) -> None:
    told = filled.outbox(action)

    assert (told.code, len(kept_aside(filled))) == (USAGE, 3)


@pytest.mark.parametrize("action", [["replay"], ["drop", "--yes"]])
def test_one_wrong_key_leaves_the_others_alone(filled: StoppedAgent, action: list[str]) -> None:
    told = filled.outbox(*action, "pump-7.1.2.1", "pump-7.1.2.77")

    assert (told.code, told.err, len(kept_aside(filled))) == (FAILED, "pump-7.1.2.77: no such message\n", 3)


def test_drop_asks_first(filled: StoppedAgent) -> None:
    told = filled.outbox("drop", "--all")

    assert (told.code, told.err) == (USAGE, "3 messages would be given up for good; to do it, say --yes as well\n")


def test_drop_that_was_not_confirmed_gives_up_nothing(filled: StoppedAgent) -> None:
    filled.outbox("drop", "--all")

    assert len(kept_aside(filled)) == 3


def test_drop_gives_up_what_is_named(filled: StoppedAgent) -> None:
    filled.outbox("drop", "pump-7.1.2.0", "--yes")

    assert kept_aside(filled) == ["pump-7.1.2.1", "pump-7.1.2.9"]


def test_drop_never_touches_what_waits(filled: StoppedAgent) -> None:
    filled.outbox("drop", "--all", "--yes")

    assert [message.key[-1] for message in waiting(filled)] == ["2", "3"]


def test_a_running_agent_is_named(filled: StoppedAgent) -> None:
    with filled.opened():
        told = filled.outbox("list")

    assert told.code == FAILED
    assert f"in use by process {os.getpid()}" in told.err
    assert told.err.endswith("stop the agent first: sudo systemctl stop thingmeter\n")


def test_an_outbox_that_is_not_there_is_not_made(agent: StoppedAgent) -> None:
    told = agent.outbox("list")

    assert (told.code, [file.name for file in agent.folder.iterdir()]) == (FAILED, ["thingmeter.toml"])


def test_an_action_that_is_none_is_a_usage_error(agent: StoppedAgent) -> None:
    with pytest.raises(SystemExit) as end:
        agent.outbox("lsit")

    assert end.value.code == USAGE


def of_another_user(agent: StoppedAgent) -> tuple[Path, int]:
    """Return an outbox that is not ours, and whose it is; to someone who cannot give files away, a file of root."""
    if os.geteuid() != 0:
        return Path("/etc/passwd"), 0
    os.chown(agent.folder / "outbox.db", 4321, 4321)
    return agent.folder / "outbox.db", 4321


def test_the_outbox_of_another_user_is_left_alone_and_he_is_named(filled: StoppedAgent) -> None:
    path, owner = of_another_user(filled)
    (filled.folder / "thingmeter.toml").write_text(f'[thing]\nname = "pump-7"\n[outbox]\npath = "{path}"\n')

    told = filled.outbox("list")

    assert told.code == PERMISSION
    assert told.err.startswith(
        f"{path}: belongs to user {owner}, who could not write what others make beside it; run: "
    )


def test_whoever_asks_is_told_the_line_that_runs_as_that_user(filled: StoppedAgent) -> None:
    path, owner = of_another_user(filled)
    (filled.folder / "thingmeter.toml").write_text(f'[thing]\nname = "pump-7"\n[outbox]\npath = "{path}"\n')

    told = filled.outbox("list")

    line = shlex.split(told.err.partition("; run: ")[2])
    assert line[:5] == ["sudo", "env", f"STATE_DIRECTORY={path.parent}", "setpriv", f"--reuid={owner}"]
