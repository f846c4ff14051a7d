"""DevRev's token, read from its file for each attempt: tokens expire and are replaced while the agent runs."""

from __future__ import annotations

import re
from pathlib import Path

from thingmeter.config.wording import escape
from thingmeter.errors import Denied

MAXIMUM_BYTES = 16_384  # DevRev's are JSON Web Tokens of about a thousand
TOKEN = re.compile(rb"[!-~]+")  # what a header can carry


def read_token(path: str) -> str:
    """Return the token in the file, without the white space around it.

    Raises:
        Denied: there is none that a header can carry; the file's content is never part of the message.
    """
    shown = f"{escape(path)} ([devrev] token_file)"
    try:
        with Path(path).open("rb") as file:
            content = file.read(MAXIMUM_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no path of a file"
        raise Denied(f"cannot read DevRev's token: {reason}: {shown}") from error
    if len(content) > MAXIMUM_BYTES:
        raise Denied(f"no token of DevRev is as long as the content of {shown}")
    token = content.strip()
    if not token:
        raise Denied(f"DevRev's token is missing: {shown} is empty")
    if not TOKEN.fullmatch(token):
        raise Denied(f"DevRev's token must be one line of printable ASCII without spaces: {shown}")
    return token.decode("ascii")
