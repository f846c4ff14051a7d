"""The files that hold keys, certificates and passwords: there, readable, and private where they must be.

Their contents are not looked at. Private means that nobody but the owner may read or change the file; under
``$CREDENTIALS_DIRECTORY`` that is not asked, since systemd protects it by an access list that looks like mode 0440.
Source: systemd.exec(5), LoadCredential=.
"""

from __future__ import annotations

import os
import shlex
import stat
from pathlib import Path

from thingmeter.config.wording import escape

_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def file_fault(path: Path, *, private: bool, credentials_directory: str = "") -> str | None:
    """Return what is wrong with the file ``path``, or None.

    Args:
        path: absolute.
        private: refuse it where group or others have any right to it.
        credentials_directory: the value of ``$CREDENTIALS_DIRECTORY``; files under it may have any mode.
    """
    shown = escape(str(path))
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            return f"is a directory, must be a file ({shown})"
        if not stat.S_ISREG(status.st_mode):
            return f"is no regular file ({shown})"
        with path.open("rb"):
            pass
    except OSError as error:
        return f"cannot be read: {(error.strerror or str(error)).lower()} ({shown})"
    if status.st_size == 0:
        return f"is empty ({shown})"
    mode = stat.S_IMODE(status.st_mode)
    if private and mode & _OTHERS and not _is_under(path, credentials_directory):
        return (
            f"is open to group or others (mode {mode:04o}), must be readable by its owner only; "
            f"run: chmod 600 {escape(shlex.quote(str(path)))}"
        )
    return None


def _is_under(path: Path, folder: str) -> bool:
    return bool(folder) and Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))
