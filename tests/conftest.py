"""What no test may touch: the network beyond this machine, the real home, real credentials, real waiting."""

from __future__ import annotations

import gc
import importlib.util
import ipaddress
import os
import sys
import time
from collections import Counter
from collections.abc import Generator, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, settings

from vssync.local import database

# A machine that is busy for a moment has proved no law wrong.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


# What tests with a marker need, and the extras that install it.
_NEEDED = (("oci", ("oci",), "oci"), ("convert", ("markitdown", "distributed"), "convert,dask"))


class OnlyLoopbackInTests(RuntimeError):
    """A test tried to reach another machine."""


class NoSleepingInTests(RuntimeError):
    """A test, or what it runs, tried to wait; give it a clock that does not."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-goldens", action="store_true", help="write what is expected anew, to be reviewed as text"
    )
    parser.addoption(
        "--no-skips",
        action="store_true",
        help="fail the tests that would be skipped because something is not installed",
    )


def pytest_configure() -> None:
    """What a container's image often sets would have hundreds of processes compile the same modules."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    gc.set_threshold(20_000, 50, 100)  # what is collected lives to the end, and looking through it all takes time


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a wide table every run takes one row of so many, beginning with the first; the slow tests have the others."""
    rows = Counter[str]()
    for item in items:
        if (wide := item.get_closest_marker("wide")) and not item.get_closest_marker("slow"):
            table = item.nodeid.partition("[")[0]
            if rows[table] % wide.args[0]:
                item.add_marker("slow")
            rows[table] += 1


def pytest_collection_finish() -> None:
    gc.freeze()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Each worker has half of the files until it is done with them: what a file's tests share is made once."""
    from xdist.scheduler import WorkStealingScheduling  # type: ignore[import-untyped]  # it ships no types

    return WorkStealingScheduling(config, log) if config.option.dist == "load" else None


def pytest_runtest_setup(item: pytest.Item) -> None:
    _live_test.is_running = item.get_closest_marker("live") is not None
    for marker, packages, extras in _NEEDED:
        if item.get_closest_marker(marker) and not all(map(importlib.util.find_spec, packages)):
            names = " and ".join(f"`{package}`" for package in packages)
            pytest.skip(f"not installed: {names}; pip install -c .ci/constraints.txt -e '.[{extras}]'")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A condition that stands at the test itself (`skipif`) is one of the system, and goes on skipping."""
    report = yield
    if not item.get_closest_marker("skipif"):
        _refuse_skip(item.config, report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _refuse_skip(collector.config, report)
    return report


def _refuse_skip(config: pytest.Config, report: pytest.TestReport | pytest.CollectReport) -> None:
    is_known_failure = hasattr(report, "wasxfail")  # which is reported as skipped, and ran all the same
    if config.getoption("--no-skips") and report.skipped and not is_known_failure:
        report.outcome = "failed"
        _file, _line, reason = report.longrepr if isinstance(report.longrepr, tuple) else ("", 0, report.longrepr)
        report.longrepr = f"{report.nodeid}: {str(reason).removeprefix('Skipped: ')}, and --no-skips was given"


class _LiveTest:
    """Whether a test against a live service runs: it reaches other machines, and waits for them."""

    is_running = False


_live_test = _LiveTest()
_RESOLVING = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
_SENDING = ("socket.connect", "socket.sendto", "socket.sendmsg")


def _only_loopback(event: str, arguments: tuple[Any, ...]) -> None:
    """An audit hook also sees what a replaced `connect` does not: fixtures of a whole file, UDP, questions to DNS."""
    if not event.startswith("socket.") or _live_test.is_running:
        return
    if event in _RESOLVING:
        host = arguments[0]
    elif event in _SENDING and isinstance(arguments[1], tuple):  # others are of this machine: a path, or nothing
        host = arguments[1][0]
    else:
        return
    if host and not _is_here(os.fsdecode(host)):
        raise OnlyLoopbackInTests(f"{event}: {host}")


def _is_here(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost"
    return address.is_loopback or address.is_unspecified


sys.addaudithook(_only_loopback)


@pytest.fixture(scope="session", autouse=True)
def no_waiting_for_disks() -> Iterator[None]:
    """Only a power cut tells a file that was flushed from one that was not. What fails there, a test puts in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _file: None)
        patch.setattr(database, "PRAGMAS", (*database.PRAGMAS, "pragma synchronous = off"))
        yield


@pytest.fixture(autouse=True)
def no_sleeping(monkeypatch: pytest.MonkeyPatch) -> None:
    if _live_test.is_running:
        return
    real = time.sleep

    def sleep(seconds: float) -> None:
        if sys._getframe(1).f_globals["__name__"] != "subprocess":  # it waits for a process to end in small naps
            raise NoSleepingInTests(f"{seconds} s")
        real(seconds)

    monkeypatch.setattr(time, "sleep", sleep)


@pytest.fixture(scope="session", autouse=True)
def no_looking_for_cookies() -> Iterator[None]:
    """httpx has http.cookiejar look for them in each answer, for a tenth of a request's time; what is set is kept."""
    look = httpx.Cookies.extract_cookies

    def extract_cookies(cookies: httpx.Cookies, response: httpx.Response) -> None:
        if "set-cookie" in response.headers:
            look(cookies, response)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.Cookies, "extract_cookies", extract_cookies)
        yield


_PRIVATE = ("VSSYNC_", "OCI_", "OPENAI_", "AWS_", "AZURE_", "KUBERNETES_")
_SCREEN = ("CI", "COLUMNS", "TERM", "TTY_INTERACTIVE")  # what decides how much is printed
_LOCALE = ("LC_", "LANG")  # of one that is not installed, as when it came by ssh, every shell warns
_FETCHING_NOTHING = {  # what a test starts, or a script that it runs
    "GIT_ALLOW_PROTOCOL": "file",
    "GIT_TEMPLATE_DIR": "",  # nor a folder of sample hooks for each repository
    "PIP_NO_INDEX": "1",
    "UV_OFFLINE": "1",
    "npm_config_offline": "true",
    "npm_config_update_notifier": "false",
}


@pytest.fixture(scope="session", autouse=True)
def plain_environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No variable that could hold a credential or shape a run, also for what the tests of a file share.

    HOME stays until a test begins: npm has its registry there.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name in _SCREEN or (name.startswith(_PRIVATE + _LOCALE) and name != "VSSYNC_CONTRACT_SPEC"):
                patch.delenv(name)
        for name, value in _FETCHING_NOTHING.items():
            patch.setenv(name, value)
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        yield


@pytest.fixture(scope="session")
def new_homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Numbered here: `mktemp` looks through all folders for the next number, and there would be one a test."""
    return map(tmp_path_factory.mktemp("homes").joinpath, map(str, count()))


@pytest.fixture(autouse=True)
def own_home(monkeypatch: pytest.MonkeyPatch, new_homes: Iterator[Path]) -> Path:
    """A home of its own, and no proxy on the way to this machine."""
    home = next(new_homes)
    home.mkdir()
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(home))
    return home
