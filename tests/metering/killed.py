"""Run by test_metering_crash.py, and killed: emits on several threads and samples a counter, saying what it is sure of.

Lines on stdout: ``emitting N`` before and ``emitted N`` after each emit of 1, ``counting N`` before and ``counted N``
after each turn that has committed the counter at N. FOLDER is its argument; the counter goes on from a file in it.
"""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

from metering.device import Device, devrev, limits, uom
from thingmeter.clock import SystemClock
from thingmeter.metrics import Metric

LITRES = Metric("pump.litres", unit="l", kind="counter", resets="never")


def say(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # one write: lines of threads never mix, and none waits in a buffer


def emit(device: Device) -> None:
    for number in range(1_000_000):
        say(f"emitting {number}")
        device.metering.emit("emitted", 1)
        say(f"emitted {number}")


def count(device: Device, reading: Path) -> None:
    value = int(reading.read_text()) if reading.exists() else 0
    while True:
        value += 1
        reading.with_suffix(".new").write_text(str(value))
        reading.with_suffix(".new").replace(reading)
        device.sample(value, LITRES)
        say(f"counting {value}")
        device.metering.turn()
        say(f"counted {value}")


def main() -> None:
    folder = Path(sys.argv[1])
    settings = devrev(uom("emitted", "sum", ""), uom("litres", "sum", "pump.litres"), window_s=1)
    device = Device(folder, settings, SystemClock(), bounds=limits(1 << 28))  # type: ignore[arg-type]  # it is not moved here
    threads = [threading.Thread(target=emit, args=(device,), name=f"emit-{number}") for number in range(3)]
    threads.append(threading.Thread(target=count, args=(device, folder / "reading"), name="count"))
    for thread in threads:
        thread.start()


if __name__ == "__main__":
    main()
