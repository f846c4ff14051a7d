"""What the log says of registration: each change once, aloud; repeats at DEBUG."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping

from thingmeter.errors import DeliveryError, Denied, Throttled
from thingmeter.plans import Action, Outcome, Standing
from thingmeter.registration.remembered import Remembered

logger = logging.getLogger(__name__)

DONE: Mapping[Action, str] = {"create": "created", "adopt": "adopted", "update": "updated", "unchanged": "unchanged"}
ORDER: tuple[Standing, ...] = ("registered", "disabled", "conflict", "refused", "denied")
NAMES = 5  # that a line lists
_LEVELS: Mapping[Standing, int] = {
    "registered": logging.INFO,
    "disabled": logging.ERROR,  # its records wait, or are lost: money in both cases
    "conflict": logging.ERROR,
    "refused": logging.ERROR,
    "denied": logging.WARNING,
}


def changed(service: str, outcome: Outcome) -> None:
    """Log that a definition stands otherwise than before."""
    if outcome.standing != "registered":
        _log_standing(service, outcome.name, outcome.standing, outcome.reason)
    elif outcome.reason:
        what = DONE.get(outcome.action, outcome.action)
        logger.warning("registration %s: %s registered (%s), but: %s", service, outcome.name, what, outcome.reason)
    else:
        what = DONE.get(outcome.action, outcome.action)
        logger.info("registration %s: %s registered (%s)", service, outcome.name, what)


def remind(service: str, remembered: Mapping[str, Remembered]) -> None:
    """Log at a start what was wrong before it, a line for each reason; nothing for what is registered."""
    names: dict[tuple[Standing, str], list[str]] = {}
    for name, one in remembered.items():
        if one.standing != "registered":
            names.setdefault((one.standing, one.reason), []).append(name)
    for (standing, reason), of in names.items():
        more = f" and {len(of) - NAMES} more" if len(of) > NAMES else ""
        _log_standing(
            service, f"{', '.join(of[:NAMES])}{more}", standing, f"{reason} (found earlier; asked again later)"
        )


def waiting(service: str, seconds: float) -> None:
    """Log that this device's turn is to come."""
    logger.info("registration %s: in %.0f min, this device's share of spread_s", service, seconds / 60)


def summary(service: str, outcomes: Iterable[Outcome], *, is_news: bool) -> None:
    """Log what an attempt came to: ``registration defender: 5 registered (3 created, 2 adopted), 1 conflict``."""
    found = list(outcomes)
    standings = Counter(outcome.standing for outcome in found)
    actions = Counter(DONE[one.action] for one in found if one.standing == "registered" and one.action in DONE)
    how = ", ".join(f"{actions[word]} {word}" for word in DONE.values() if actions[word])
    counts = [f"{standings[standing]} {standing}" for standing in ORDER if standings[standing]]
    if how and counts:
        counts[0] += f" ({how})"
    level = logging.INFO if is_news else logging.DEBUG
    logger.log(level, "registration %s: %s", service, ", ".join(counts) or "nothing to register")


class Trouble:
    """Why attempts fail; ``str()`` is the reason of the last one, empty when it did not."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._words = ""

    def __str__(self) -> str:
        return self._words

    def __bool__(self) -> bool:
        return bool(self._words)

    def begin(self, error: DeliveryError, wait_s: float) -> None:
        """Log that an attempt failed, and when the next one comes."""
        words = f"{_kind(error)}: {error}"
        level = logging.DEBUG if words == self._words else logging.WARNING
        logger.log(level, "registration %s: %s; next attempt in %.0f s", self._service, words, wait_s)
        self._words = words

    def end(self) -> None:
        """Take note of an attempt that did not fail."""
        self._words = ""


def _kind(error: DeliveryError) -> str:
    if isinstance(error, Denied):
        return "denied"
    return "asked to wait" if isinstance(error, Throttled) else "not reached"


def _log_standing(service: str, name: str, standing: Standing, reason: str) -> None:
    level = _LEVELS.get(standing, logging.WARNING)
    logger.log(level, "registration %s: %s %s: %s", service, name, standing, reason or "no reason was given")
