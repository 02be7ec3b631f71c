"""An alliance that serves, made quickly from one that was made before."""

from __future__ import annotations

import shutil
import socket

import pytest

from tests.conftest import Alliance
from tests.faultkit import Stepper, check_strace


@pytest.fixture
def going(published, tmp_path):
    """A node that serves members maison, with three cases published, and market."""
    folder = tmp_path / "alliance"
    shutil.copytree(published.folder, folder)
    made = Alliance(folder, published.url)
    made.serve()
    yield made
    made.stop()


@pytest.fixture
def stepper(tmp_path):
    """Runs commands that are killed at a given step."""
    check_strace()
    made = Stepper(tmp_path)
    yield made
    made.close()


@pytest.fixture
def free_port():
    """A port of this machine that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
