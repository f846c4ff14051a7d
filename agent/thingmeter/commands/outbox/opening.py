"""Opens the outbox of a configuration: only one that is there, ours, and free.

Root must not open that of a service's own user: what SQLite and the outbox make beside it would be root's, and the
service could not write it. Whoever runs the command is told the line that runs it as that user; setpriv keeps the one
right of root that it needs, to look through folders that are closed to all but root, as those of DynamicUser= are.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

from thingmeter.clock import SystemClock
from thingmeter.config import Config
from thingmeter.config.settings import Outbox as OutboxSettings
from thingmeter.errors import OutboxError, OutboxLocked
from thingmeter.outbox import Outbox

TEN_YEARS_S = 315_360_000  # to look at telemetry is not to drop what is too old of it


@contextlib.contextmanager
def opened(config: Config) -> Iterator[Outbox]:
    """Yield the outbox of ``config``, which is closed at the end.

    Raises:
        OutboxError: there is none, it is another user's, or it cannot be opened.
        OutboxLocked: an agent has it open; the message names its process.
    """
    path = Path(config.outbox.path)
    _check_owner(path)
    limits = OutboxSettings(
        path=config.outbox.path,
        maximum_bytes=config.outbox.maximum_bytes,
        minimum_free_bytes=config.outbox.minimum_free_bytes,
        maximum_age_s=TEN_YEARS_S,
    )
    try:
        outbox = Outbox.open(path, limits=limits, clock=SystemClock())
    except OutboxLocked as error:
        raise OutboxLocked(f"{error}; stop the agent first: sudo systemctl stop thingmeter") from error
    try:
        yield outbox
    finally:
        outbox.close()


def _check_owner(path: Path) -> None:
    """Refuse an outbox that is not there, or not ours.

    Raises:
        OutboxError: why, and the line that runs this command as the user whose it is.
    """
    try:
        owner = path.stat()
    except FileNotFoundError as error:
        raise OutboxError(f"{path}: there is no outbox: no agent has run with this configuration") from error
    except PermissionError as error:
        raise OutboxError(f"{path}: permission denied; run this by sudo") from error
    if owner.st_uid != os.geteuid():
        line = _line_as(owner, path.parent)
        why = f"{path}: belongs to user {owner.st_uid}, who could not write what others make beside it; run: {line}"
        raise OutboxError(why) from PermissionError()


def _line_as(owner: os.stat_result, folder: Path) -> str:
    right = "+dac_read_search"
    switch = ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"]
    keep = [f"--inh-caps={right}", f"--ambient-caps={right}"]
    return shlex.join(["sudo", "env", f"STATE_DIRECTORY={folder}", *switch, *keep, *sys.orig_argv])
