"""What the whole suite shares: the real parts a test may need, and the word at the end on what could not run.

A test marked ``needs_X`` is skipped where X is missing, and the end of the run says so with the one command that brings
it. With CI=true every real part must be there: a skipped one fails the run.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest

from thingmeter.config.settings import Outbox as OutboxSettings
from thingmeter.outbox import Outbox
from thingmeter.testing import ManualClock

pytest_plugins = ["brokers"]

CI = os.environ.get("CI") == "true"
NOT_RUN = "not run: "

hypothesis.settings.register_profile("quick", deadline=None, max_examples=60)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def has_namespaces() -> bool:
    """Whether this user may make network, mount and user namespaces."""
    try:
        unshare = ["unshare", "--user", "--map-root-user", "--net", "--mount", "true"]
        return subprocess.run(unshare, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


def has_program(*names: str) -> Callable[[], bool]:
    """Whether programs are in PATH, or where Debian keeps daemons."""
    path = os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/sbin"))
    return lambda: all(shutil.which(name, path=path) for name in names)


REAL_PARTS: dict[str, tuple[Callable[[], bool], str]] = {
    "needs_mosquitto": (
        has_program("mosquitto", "mosquitto_pub", "mosquitto_sub"),
        "sudo apt-get install mosquitto mosquitto-clients",
    ),
    "needs_compiler": (has_program("cc"), "sudo apt-get install gcc libc6-dev"),
    "needs_namespaces": (has_namespaces, "sudo sysctl kernel.unprivileged_userns_clone=1, or run as root"),
    "needs_fuse": (lambda: os.access("/dev/fuse", os.R_OK | os.W_OK), "sudo chmod a+rw /dev/fuse"),
    "needs_aws": (lambda: importlib.util.find_spec("awscrt") is not None, "pip install 'thingmeter[aws]'"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a real part that is missing."""
    used = {marker.name for item in items for marker in item.iter_markers()} & REAL_PARTS.keys()
    missing = {name for name in used if not REAL_PARTS[name][0]()}
    for item in items:
        for name in sorted({marker.name for marker in item.iter_markers()} & missing):
            item.add_marker(pytest.mark.skip(reason=NOT_RUN + name))


def skipped_parts(config: pytest.Config) -> Counter[str]:
    """Return how many tests were skipped for each missing real part."""
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    reasons = [report.longrepr[2] for report in reports if isinstance(report.longrepr, tuple)]
    return Counter(reason.partition(NOT_RUN)[2] or reason for reason in reasons)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say what was not run, and what brings it."""
    parts = skipped_parts(config)
    if parts:
        terminalreporter.section("not run")
    for name, count in sorted(parts.items()):
        remedy = REAL_PARTS[name][1] if name in REAL_PARTS else "see the reason above"
        terminalreporter.line(f"{count} tests: {name}; {remedy}")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """With CI=true a skipped real part is a failure."""
    if CI and not hasattr(session.config, "workerinput") and skipped_parts(session.config):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands still until it is moved."""
    return ManualClock()


@pytest.fixture
def outbox(tmp_path: Path, clock: ManualClock) -> Iterator[Outbox]:
    """A real outbox that moves with ``clock``."""
    outbox = Outbox.open(tmp_path / "outbox.db", limits=OutboxSettings(minimum_free_bytes=0), clock=clock)
    yield outbox
    outbox.close()
