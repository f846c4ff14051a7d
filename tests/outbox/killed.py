"""Run by test_crash.py, and killed: puts and acknowledges on many threads, saying what it is sure of.

It freezes usage as well, of samples in the journal, and acknowledges that in requests.

Lines on stdout: ``sampled KEY`` and ``frozen KEY`` once those are done, ``put KEY`` once a put has returned,
``acknowledging KEY`` before and ``acknowledged KEY`` after an acknowledge. FOLDER and the number that its keys begin
with are its arguments.
"""

from __future__ import annotations

import os
import sys
import threading
from datetime import date
from pathlib import Path

from outbox.opened import limits, open_outbox
from thingmeter.outbox import Entry, JournalRow, Outbox

DAY = date(2026, 5, 14)


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # one write: lines of threads never mix, and none waits in a buffer


def produce(outbox: Outbox, prefix: str) -> None:
    for number in range(1_000_000):
        key = f"{prefix}.{number}"
        outbox.put("usage-sink", key, key.encode() * 20, priority="usage", state={prefix: str(number).encode()})
        say(f"put {key}")


def consume(outbox: Outbox) -> None:
    put = threading.Event()
    outbox.listen("usage-sink", put.set)
    while True:
        message = outbox.next("usage-sink")
        if message is None:
            put.wait(1)
            put.clear()
        elif message.seq % 7:
            say(f"acknowledging {message.key}")
            outbox.acknowledge(message)
            say(f"acknowledged {message.key}")
        else:
            outbox.set_aside(message, "every seventh")


def freeze(outbox: Outbox, prefix: str, first_window: int) -> None:
    for number in range(1_000_000):
        key = f"{prefix}.{number}"
        window = first_window + number * 900
        outbox.append_journal([JournalRow(window, key.encode())])
        say(f"sampled {key}")
        point = Entry(key, key.encode() * 20, DAY, 0.1)
        outbox.freeze({"devrev.litres": [point]}, windows=[window], state={"frozen": key.encode()})
        say(f"frozen {key}")


def consume_requests(outbox: Outbox) -> None:
    put = threading.Event()
    outbox.listen("devrev.litres", put.set)
    while True:
        batch = outbox.waiting("devrev.litres", 20)
        if len(batch) < 5:  # so that requests have more than one point
            put.wait(1)
            put.clear()
            continue
        outbox.acknowledge_all({"devrev.litres": batch[-1].seq})


def main() -> None:
    outbox = open_outbox(Path(sys.argv[1]), limits(maximum_bytes=1 << 26))
    threads = [
        threading.Thread(target=produce, args=(outbox, f"{sys.argv[2]}.{number}"), name=f"producer-{number}")
        for number in range(3)
    ]
    threads.append(threading.Thread(target=consume, args=(outbox,), name="consumer"))
    freezing = (outbox, f"{sys.argv[2]}.frozen", int(sys.argv[2]) * 1_000_000_000)
    threads.append(threading.Thread(target=freeze, args=freezing, name="freezer"))
    threads.append(threading.Thread(target=consume_requests, args=(outbox,), name="requests"))
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()
