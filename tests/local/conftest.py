"""A fresh service on a clock that stands still, and a client for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.local.client import Api, Clock
from vssync.local import Dialect, LocalTransport, Options, Service, World, open_service, with_faults


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


@pytest.fixture
def misbehaving(opened: Callable[..., Service], clock: Clock, naps: list[float]) -> Iterator[Callable[..., Api]]:
    """A client of a service with these faults, in a dialect with these switches."""
    with ExitStack() as stack:

        def build(*rules: str, seed: int = 0, **switches: Any) -> Api:
            service = opened(dialect=Dialect(**switches))
            world = World(naps.append, clock, seed)
            return stack.enter_context(Api(LocalTransport(with_faults(service, rules, world))))

        yield build


@pytest.fixture
def naps() -> list[float]:
    """How long faults would have waited."""
    return []
