"""A fresh service on a clock that stands still, and a client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.local.client import Api, Clock
from vssync.local import Options, Service, open_service


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def opened(folder: Path, clock: Clock) -> Iterator[Callable[..., Service]]:
    """Opens the service with the given options; closed after the test."""
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(open_service(folder, clock=clock, options=Options(**options)))


@pytest.fixture
def mounted(opened: Callable[..., Service]) -> Iterator[Callable[..., Api]]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Api(opened(**options)))


@pytest.fixture
def api(mounted: Callable[..., Api]) -> Api:
    return mounted()
