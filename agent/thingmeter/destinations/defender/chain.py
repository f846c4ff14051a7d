"""What may give credentials to the usual chain, told without asking it (pure, but for a look at which files are there).

The runtime that walks the chain names the failure of one link only, and not which. Source: the AWS SDKs and tools
reference guide, "Standardized credential providers".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from thingmeter.config.wording import escape

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
OTHERS = (
    "AWS_PROFILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
)
METADATA = "the metadata of a virtual machine"


def profile_files(environment: Mapping[str, str]) -> tuple[Path, Path]:
    """Return where the shared credentials and the shared configuration are, whether they are there or not."""
    folder = Path(environment.get("HOME") or "~").expanduser() / ".aws"
    return (
        Path(environment.get("AWS_SHARED_CREDENTIALS_FILE") or folder / "credentials"),
        Path(environment.get("AWS_CONFIG_FILE") or folder / "config"),
    )


def links_in(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the links of the chain that are set up, in words; without any there can be no credentials."""
    links = [
        f"{name} (set, but not {other})" for name, other in (KEYS, KEYS[::-1]) if _is_alone(name, other, environment)
    ]
    if all(environment.get(name) for name in KEYS):
        links.append(f"{KEYS[0]} and {KEYS[1]}")
    links += [name for name in OTHERS if environment.get(name)]
    links += [escape(str(path)) for path in profile_files(environment) if _is_there(path)]
    if environment.get("AWS_EC2_METADATA_DISABLED", "").lower() != "true":
        links.append(METADATA)
    return tuple(links)


def _is_alone(name: str, other: str, environment: Mapping[str, str]) -> bool:
    return bool(environment.get(name)) and not environment.get(other)


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except FileNotFoundError:
        return False
    except (OSError, ValueError):  # it may be there, but not for us
        return True
    return True
