"""What a registration leaves in the memory of the daemon: nothing of the libraries that it takes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from end_to_end.agent import Agent, environment
from end_to_end.registration_device import Devices, cloud, devices, next_reports, wait_until_registered
from thingmeter.sandbox.cloud import Sandbox

__all__ = ["cloud", "devices"]  # fixtures

CONTROL_PLANE = re.compile(
    r"urllib3|awscrt|awsiot|botocore|boto3|aiohttp|cryptography"
    r"|thingmeter\.destinations\.(https|tls|pacing)"
    r"|thingmeter\.destinations\.(defender\.(control_plane|signing|credentials|refusals)|devrev\.(uoms|token)|\w+\.registrar)"
    r"|thingmeter\.registration\.attempt"
)
IMPORTED = re.compile(r"import time: +\d+ \| +\d+ \| +(\S+)")  # what PYTHONPROFILEIMPORTTIME prints of each module


def imported_by(agent: Agent) -> set[str]:
    """Return every module that the newest process has imported; its environment asked for them to be printed."""
    return set(IMPORTED.findall(agent.log.text()))


def libraries_in(agent: Agent) -> set[str]:
    """Return the names of the files that the running process has mapped into its memory."""
    maps = Path(f"/proc/{agent.pid}/maps").read_text()
    return {Path(line.split(maxsplit=5)[5]).name for line in maps.splitlines() if line.count("/")}


def test_a_fresh_interpreter_that_imports_the_daemon_has_nothing_of_a_control_plane() -> None:
    code = "import sys, thingmeter.daemon; print('\\n'.join(sys.modules))"

    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment(), timeout=20
    )

    modules = loaded.stdout.split()
    assert "thingmeter.registration.child" in modules
    assert [module for module in modules if CONTROL_PLANE.match(module)] == []


@pytest.mark.needs_aws
def test_a_daemon_that_has_registered_has_imported_nothing_of_a_control_plane(devices: Devices) -> None:
    agent = devices.make()
    agent.environment = {"PYTHONPROFILEIMPORTTIME": "1"}

    agent.start()
    wait_until_registered(agent)
    agent.stop()

    modules = imported_by(agent)
    assert "thingmeter.registration.child" in modules
    assert sorted(module for module in modules if CONTROL_PLANE.match(module)) == []


@pytest.mark.needs_aws
def test_a_daemon_that_has_registered_has_mapped_the_same_libraries_as_one_that_has_not(
    cloud: Sandbox, devices: Devices
) -> None:
    registering, other = devices.make(), devices.make(metrics_registration="off", uoms_registration="off")

    for agent in (registering, other):
        agent.start()
        next_reports(cloud, agent, 2)
    wait_until_registered(registering)

    assert "_awscrt.abi3.so" not in libraries_in(registering)
    assert libraries_in(registering) == libraries_in(other)
