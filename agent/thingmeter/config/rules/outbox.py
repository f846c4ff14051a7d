"""[outbox]: where it lies."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import structs

from thingmeter.config.reading import Reading
from thingmeter.config.settings import Outbox
from thingmeter.config.wording import escape, show

SYSTEM_STATE = "/var/lib/thingmeter"
OUTBOX_FILE = "outbox.db"


def read_outbox(reading: Reading) -> tuple[Outbox, tuple[str, ...]]:
    """Return [outbox] with an absolute path, and the variables that gave the path where no file does."""
    path = ("outbox", "path")
    outbox = reading.struct(Outbox, ("outbox",))
    if outbox.path:
        file = reading.resolve(path, outbox.path)
        if file.is_dir():
            reading.report(path, f"is a directory, must be a file ({escape(str(file))})")
        return structs.replace(outbox, path=str(file)), ()
    folder, variables = _state_folder(reading)
    return structs.replace(outbox, path=str(folder / OUTBOX_FILE)), variables


def _state_folder(reading: Reading) -> tuple[Path, tuple[str, ...]]:
    """Return where state is kept, and the variables that say so. Sources: systemd.exec(5), XDG Base Directory 0.8."""
    state = reading.environment.get("STATE_DIRECTORY", "").partition(":")[0]  # systemd joins several by colons
    if state:
        return Path(state).absolute(), ("STATE_DIRECTORY",)
    if os.geteuid() == 0:
        return Path(SYSTEM_STATE), ()
    home = reading.environment.get("XDG_STATE_HOME", "")
    if Path(home).is_absolute():  # the specification: a relative one is ignored
        return Path(home, "thingmeter"), ("XDG_STATE_HOME",)
    home = reading.environment.get("HOME") or os.path.expanduser("~")  # noqa: PTH111 - Path.expanduser raises
    if not Path(home).is_absolute():
        reason = f"path is missing, and its default has no place: $HOME is {show(home)}, no absolute path"
        reading.report(("outbox", "path"), reason, at=("outbox",))
    return Path(home, ".local", "state", "thingmeter"), ("HOME",)
