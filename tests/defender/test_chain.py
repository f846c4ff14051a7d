"""The usual chain of credentials: what of it is set up."""

from __future__ import annotations

from pathlib import Path

import pytest

from thingmeter.destinations.defender.chain import METADATA, links_in, profile_files

NO_METADATA = {"AWS_EC2_METADATA_DISABLED": "true"}
KEYS = {"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret"}


def test_with_nothing_set_up_there_is_no_link(tmp_path: Path) -> None:
    assert links_in({"HOME": str(tmp_path), **NO_METADATA}) == ()


def test_without_a_word_against_it_a_machine_may_have_metadata(tmp_path: Path) -> None:
    assert links_in({"HOME": str(tmp_path)}) == (METADATA,)


@pytest.mark.parametrize("name", ["AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_FULL_URI"])
def test_a_variable_that_sets_a_link_up_names_it(tmp_path: Path, name: str) -> None:
    assert links_in({"HOME": str(tmp_path), name: "x", **NO_METADATA}) == (name,)


def test_keys_are_named_without_their_content(tmp_path: Path) -> None:
    links = links_in({"HOME": str(tmp_path), **KEYS, **NO_METADATA})

    assert links == ("AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",)


def test_a_profile_file_that_is_there_is_a_link(tmp_path: Path) -> None:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws/config").write_text("")

    assert links_in({"HOME": str(tmp_path), **NO_METADATA}) == (f"{tmp_path}/.aws/config",)


def test_a_profile_file_that_cannot_be_looked_at_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    below = str(tmp_path / "file" / "credentials")  # not a folder

    assert links_in({"HOME": str(tmp_path), "AWS_SHARED_CREDENTIALS_FILE": below, **NO_METADATA}) == (below,)


def test_without_a_home_in_the_environment_the_users_own_counts() -> None:
    assert profile_files({})[0].is_absolute()
