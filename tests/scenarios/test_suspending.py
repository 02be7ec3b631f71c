"""The officers suspend a report: nobody's answer has it, until the day that they name."""

import re

from click.testing import CliRunner

from hub.cli import hub


def test_a_suspended_report_is_in_nobodys_answer(going):
    file = going.folder / "list.csv"
    file.write_text("domain\na.example\n")
    going.hub("market", "pull")
    assert going.hub("market", "screen", file, status=3)[0]["match"] == "exact"
    words = ("suspend", "maison/1", "--ground", "complaint", "--until")
    going.hub("node", *words, "2020-01-31", status=2)
    assert "is past" in going.said
    assert "Say with --until" in going.said
    going.hub("market", "pull")
    assert going.hub("market", "screen", file, status=3)[0]["match"] == "exact"
    going.hub("node", *words, "2099-01-31")
    going.hub("market", "pull")
    assert going.hub("market", "screen", file)[0]["match"] is None
    [shown] = going.hub("market", "show", "maison/1")
    assert any(cause["state"] == "suspended" for cause in shown["why"])
    assert going.hub("market", "audit")[0]["ok"]


def test_the_command_says_its_version():
    said = CliRunner().invoke(hub, ["--version"]).output
    assert re.fullmatch(r"hub, version [0-9.]+\n", said)
