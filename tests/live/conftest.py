"""`-m live` without a service is an error, and a budget that is spent ends the run; either way nothing stays behind."""

from __future__ import annotations

from collections.abc import Generator, Iterator

import pytest

from tests.live.service import BudgetSpent, LiveService, read_service

_RUNS: list[LiveService] = []


def pytest_collection_finish(session: pytest.Session) -> None:
    if any(item.get_closest_marker("live") for item in session.items):
        read_service()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveService]:
    service = LiveService.from_environment(tmp_path_factory.mktemp("live"))
    service.write_manifest({})
    _RUNS.append(service)
    try:
        yield service
    finally:
        left = service.clean_up()
        service.http.close()
        assert not left, f"not removed: {left}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    try:
        yield
    except BudgetSpent as error:
        item.session.shouldfail = str(error)
        raise


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for service in _RUNS:
        terminalreporter.write_line(f"live: {service.spent}")
