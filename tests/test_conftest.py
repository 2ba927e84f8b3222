"""The guards of conftest.py guard."""

import os
import socket
import time
from pathlib import Path

import pytest

from tests.conftest import NoSleepingInTests, OnlyLoopbackInTests


def test_other_machines_are_out_of_reach() -> None:
    with socket.socket() as line, pytest.raises(OnlyLoopbackInTests):
        line.connect(("192.0.2.1", 80))


def test_nobody_waits() -> None:
    with pytest.raises(NoSleepingInTests):
        time.sleep(1)


def test_the_real_home_and_credentials_are_hidden(own_home: Path) -> None:
    assert Path.home() == own_home
    assert not [name for name in os.environ if name.startswith(("OPENAI_", "OCI_"))]
