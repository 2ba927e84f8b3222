"""What no test may touch: the network beyond this machine, the real home, real credentials, real waiting."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

# A machine that is busy for a moment has proved no law wrong.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


class OnlyLoopbackInTests(RuntimeError):
    """A test tried to reach another machine."""


class NoSleepingInTests(RuntimeError):
    """A test, or what it runs, tried to wait; give it a clock that does not."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens", action="store_true", help="write what is expected anew, to be reviewed as text"
    )
    parser.addoption("--no-skips", action="store_true", help="a test that is skipped has failed")


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("oci") and not importlib.util.find_spec("oci"):
        pytest.skip("the package `oci` is not installed: pip install -c .ci/constraints.txt -e '.[oci]'")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.skipped and item.config.getoption("--no-skips"):
        report.outcome = "failed"
    return report


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket.connect

    def connect(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and str(address[0]) not in ("127.0.0.1", "::1", "localhost"):
            raise OnlyLoopbackInTests(f"connect to {address}")
        real(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect)


@pytest.fixture(autouse=True)
def no_sleeping(monkeypatch: pytest.MonkeyPatch) -> None:
    real = time.sleep

    def sleep(seconds: float) -> None:
        if sys._getframe(1).f_globals["__name__"] != "subprocess":  # it waits for a process to end in small naps
            raise NoSleepingInTests(f"{seconds} s")
        real(seconds)

    monkeypatch.setattr(time, "sleep", sleep)


_PRIVATE = ("VSSYNC_", "OCI_", "OPENAI_", "AWS_", "AZURE_", "KUBERNETES_")
_SCREEN = ("COLUMNS", "TERM", "TTY_INTERACTIVE")


@pytest.fixture(scope="session", autouse=True)
def plain_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No variable that could hold a credential or shape a run, also for what the tests of a file share.

    HOME stays until a test begins: npm has its registry there.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name in _SCREEN or (name.startswith(_PRIVATE) and name != "VSSYNC_CONTRACT_SPEC"):
                patch.delenv(name)
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of its own, and no proxy on the way to this machine."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home))
    return home
