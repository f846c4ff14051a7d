"""What an exception out of other people's code comes to in the log and in ``status``: one short line that prints."""

from __future__ import annotations

from pathlib import PurePath

from thingmeter.config.wording import escape
from thingmeter.errors import ThingmeterError

LONGEST_CHARACTERS = 300


def told(error: BaseException) -> str:
    """Return ``error`` in words; unless it was raised on purpose, with its type and the place in the source."""
    try:
        message = escape(str(error)[:LONGEST_CHARACTERS])
    except Exception:  # noqa: BLE001  # a __str__ of others
        message = ""
    if isinstance(error, ThingmeterError) and message:
        return message
    name = type(error).__name__
    return f"{name}: {message}{_place(error)}" if message else f"{name}{_place(error)}"


def _place(error: BaseException) -> str:
    step = error.__traceback__
    if step is None:
        return ""
    while step.tb_next is not None:
        step = step.tb_next
    return f" ({PurePath(step.tb_frame.f_code.co_filename).name}:{step.tb_lineno})"
