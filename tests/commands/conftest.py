from __future__ import annotations

from pathlib import Path

import pytest

from commands.stopped_agent import CONFIGURATION, StoppedAgent


@pytest.fixture
def agent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> StoppedAgent:
    """A stopped agent that never ran."""
    (tmp_path / "thingmeter.toml").write_text(CONFIGURATION)
    return StoppedAgent(tmp_path, capsys)
