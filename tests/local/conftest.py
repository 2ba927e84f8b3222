"""A fresh service on a clock that stands still, and a client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.local.client import Api, Clock
from vssync.local.app import Service, open_service
from vssync.local.dialects import Dialect, LocalOptions
from vssync.local.faults.kind import FaultContext
from vssync.local.faults.rules import with_faults
from vssync.local.transport import LocalTransport


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
        yield lambda **options: stack.enter_context(open_service(folder, clock=clock, options=LocalOptions(**options)))


@pytest.fixture
def mounted(opened: Callable[..., Service]) -> Iterator[Callable[..., Api]]:
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Api(opened(**options)))


@pytest.fixture
def api(mounted: Callable[..., Api]) -> Api:
    return mounted()


@pytest.fixture
def misbehaving(opened: Callable[..., Service], clock: Clock, naps: list[float]) -> Iterator[Callable[..., Api]]:
    """A client of a service with these faults, in a dialect with these switches."""
    with ExitStack() as stack:

        def build(*rules: str, seed: int = 0, **switches: Any) -> Api:
            service = opened(dialect=Dialect(**switches))
            world = FaultContext(naps.append, clock, seed)
            return stack.enter_context(Api(LocalTransport(with_faults(service, rules, world))))

        yield build


@pytest.fixture
def naps() -> list[float]:
    """How long faults would have waited."""
    return []
