"""Who is billed: an account, and optionally an organisation and a user of it, by reference or read from a dimension."""

from __future__ import annotations

from typing import Final

from msgspec import Meta

NAME: Final = r"^[A-Za-z_][A-Za-z0-9_]{0,63}$"
NAME_WORDS: Final = "1 to 64 (the limit of DevRev) of the characters a-z A-Z 0-9 _, the first no digit"
_REFERENCE: Final = r"^\S(?:.{0,254}\S)?$"
_REFERENCE_WORDS: Final = "1 to 256 characters that neither begin nor end with a space"


def reference(whose: str, example: str, default: str = "none") -> Meta:
    """Return what is said of a setting that holds a reference, which goes to DevRev untouched."""
    return Meta(
        description=whose,
        pattern=_REFERENCE,
        examples=[example],
        extra={"allowed": _REFERENCE_WORDS, "default": default},
    )


def dimension_of(whose: str, example: str) -> Meta:
    """Return what is said of a setting that names the dimension in which samples bring a reference."""
    return Meta(
        description=f"the dimension of the samples whose value is {whose}; it need not be one of dimensions",
        pattern=NAME,
        examples=[example],
        extra={"allowed": f"a dimension of the metric, {NAME_WORDS}", "default": "none"},
    )
