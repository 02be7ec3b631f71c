"""A new folder is whole or not there, and never over another one."""

from __future__ import annotations

import pytest

from hub.cli.folders import new_folder, remember_hub, write_config
from hub.config import load_config
from hub.errors import ConfigError

SECTIONS = {
    "alliance": {"name": "alliance.example", "pin": "pin.json"},
    "self": {"role": "officer", "name": "anna"},
    "client": {"hubs": []},
}


def make(folder):
    with new_folder(folder) as new:
        (new / "private").mkdir(mode=0o700)
        write_config(new, SECTIONS)


def test_a_folder_is_made_with_its_parents(tmp_path):
    folder = tmp_path / "a" / "b"
    make(folder)
    assert {p.name for p in folder.iterdir()} >= {"config.toml", "hub.db", "private"}
    assert load_config(folder)["self"]["name"] == "anna"
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["b"]


def test_other_files_of_an_existing_folder_stay(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    make(tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert (tmp_path / "config.toml").exists()


@pytest.mark.parametrize("name", ["config.toml", "private", "hub.db"])
def test_a_folder_in_use_is_refused_and_untouched(tmp_path, name):
    path = tmp_path / "used" / name
    path.parent.mkdir()
    path.write_text("somebody's")
    with pytest.raises(ConfigError, match="in use"):
        make(path.parent)
    assert path.read_text() == "somebody's"
    assert [p.name for p in path.parent.iterdir()] == [name]


def test_nothing_is_left_of_a_folder_that_failed(tmp_path):
    def fail():
        with new_folder(tmp_path / "new") as new:
            (new / "half").write_text("x")
            raise ConfigError("no")

    with pytest.raises(ConfigError, match="no"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        make(tmp_path / "file" / "new")


def test_a_value_that_the_configuration_refuses_makes_no_folder(tmp_path):
    wrong = {**SECTIONS, "self": {"role": "officer", "name": "Anna"}}

    def fail():
        with new_folder(tmp_path / "new") as new:
            write_config(new, wrong)

    with pytest.raises(ConfigError, match=r"self\.name"):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_the_first_hub_is_remembered_and_no_other(tmp_path):
    """What somebody wrote into the file is never replaced."""
    make(tmp_path / "new")
    remember_hub(tmp_path / "new", "https://node1.example")
    remember_hub(tmp_path / "new", "https://node2.example")
    assert load_config(tmp_path / "new")["client"]["hubs"] == ["https://node1.example"]
