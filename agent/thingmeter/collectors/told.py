"""What an exception out of other people's code comes to in the log and in ``status``: one short line that prints."""

from __future__ import annotations

import os
from pathlib import PurePath

from thingmeter.config.wording import escape
from thingmeter.errors import ThingmeterError

LONGEST_CHARACTERS = 300
STANDARD_LIBRARY = str(PurePath(os.__file__).parent)  # installed packages lie below it, in site- or dist-packages


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
    """Return where it was raised: the innermost line that is not the standard library's, if there is one."""
    innermost = own = None
    step = error.__traceback__
    while step is not None:
        innermost = step
        if not _is_standard(step.tb_frame.f_code.co_filename):
            own = step
        step = step.tb_next
    found = own or innermost
    return f" ({PurePath(found.tb_frame.f_code.co_filename).name}:{found.tb_lineno})" if found else ""


def _is_standard(file: str) -> bool:
    return file.startswith(("<frozen", STANDARD_LIBRARY)) and "-packages" not in file
