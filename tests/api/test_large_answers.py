"""What a service can make a client hold: a bounded amount for each object, whatever it says of it."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.support import client_of

MOST_EACH = 3_000  # bytes of a store that is listed; 100,000 of them took 160 MB


def store(number: int) -> dict[str, Any]:
    counts = {"total": 1, "completed": 1, "failed": 0, "in_progress": 0, "cancelled": 0}
    metadata = {"team": f"team {number}", "vssync_owner": f"v1;kb{number};docs;0123456789abcdef"}
    named = {"id": f"vs_{number}", "object": "vector_store", "name": f"store {number}", "created_at": number}
    return {**named, "status": "completed", "file_counts": counts, "metadata": metadata}


def listing(count: int) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        start = int(request.url.params.get("after", "vs_-1").removeprefix("vs_")) + 1
        rows = [store(number) for number in range(start, min(start + 100, count))]
        return httpx.Response(200, json={"data": rows, "has_more": start + 100 < count})

    return answer


def peak_of(count: int) -> int:
    """The bytes that listing so many stores takes at most."""
    client = client_of(listing(count))
    tracemalloc.start()
    try:
        assert len(client.list_stores()) == count
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("count", [800, pytest.param(30_000, marks=pytest.mark.slow)])
def test_many_stores_take_little_each(count: int) -> None:
    peak_of(100)  # what is loaded once
    assert peak_of(count) < count * MOST_EACH
