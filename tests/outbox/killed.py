"""Run by test_outbox_crash.py, and killed: puts and acknowledges on many threads, saying what it is sure of.

Lines on stdout: ``put KEY`` once a put has returned, ``acknowledging KEY`` before and ``acknowledged KEY`` after an
acknowledge. FOLDER and the number that its keys begin with are its arguments.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from outbox.opened import limits, open_outbox
from thingmeter.outbox import Outbox


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


def main() -> None:
    outbox = open_outbox(Path(sys.argv[1]), limits(maximum_bytes=1 << 26))
    threads = [
        threading.Thread(target=produce, args=(outbox, f"{sys.argv[2]}.{number}"), name=f"producer-{number}")
        for number in range(3)
    ]
    threads.append(threading.Thread(target=consume, args=(outbox,), name="consumer"))
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()
