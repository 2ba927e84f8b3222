"""A write answered 200 with what is not success is looked into: nothing is doubled, and nothing is hidden."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.applier.world import Place, live
from vssync.model.report import Status

MANIFEST = """\
version: 1
owner: odd
service: {provider: local, capabilities: {batches: %s}}
stores:
  docs: {filename: "${stem}-${digest}.md", attributes: {level: %s}, files: [{path: "*.md"}]}
"""
FILES: dict[str, str | None] = {f"{number}.md": f"# {number}\n" for number in range(3)}
BODIES: list[Any] = [{"error": {"message": "the quota is used up"}}, None, "ok", [], {"id": "x" * 65_536}]
CREATING = {
    "create store": ("POST", r"/v1/vector_stores", "true"),
    "upload": ("POST", r"/v1/files", "true"),
    "batch": ("POST", r"/v1/vector_stores/[^/]+/file_batches", "true"),
    "attach": ("POST", r"/v1/vector_stores/[^/]+/files", "false"),
}


class OnceOdd(httpx.BaseTransport):
    """Answers the first such request with 200 and this body; it takes effect or not."""

    def __init__(self, inner: httpx.BaseTransport, method: str, path: str, body: Any, *, acts: bool) -> None:
        self.inner, self.method, self.path, self.body, self.acts = inner, method, path, body, acts
        self.is_over = False

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self.is_over or request.method != self.method or not re.fullmatch(self.path, request.url.path):
            return self.inner.handle_request(request)
        self.is_over = True
        if self.acts:
            self.inner.handle_request(request)
        return httpx.Response(200, content=json.dumps(self.body))


def creating() -> Iterator[Any]:
    """Of every run: each write with the first body, and with one or two of the others."""
    for write_number, write in enumerate(CREATING):
        for body_number, body in enumerate(BODIES):
            for acts in (True, False):
                is_soon = body_number in (0, 1 + (write_number + acts) % 4)
                marks = [] if is_soon else [pytest.mark.slow]
                yield pytest.param(write, body, acts, id=f"{write}-{body!s:.40}-{acts}", marks=marks)


@pytest.mark.wide(4)
@pytest.mark.parametrize(("write", "body", "acts"), list(creating()))
def test_a_creating_write_is_looked_into(tmp_path: Path, write: str, body: Any, acts: bool) -> None:
    method, path, batches = CREATING[write]
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST % (batches, 1), **FILES})
    report = place.apply(lambda inner: OnceOdd(inner, method, path, body, acts=acts))
    assert report.converged
    service = live(place)
    assert {name: len(files) for name, files in service.stores.items()} == {"docs": 3}
    assert service.loose == set()
    # Where it did not take effect, nobody can know: the report names the upload that may exist.
    may_exist = write == "upload" and not acts
    assert [orphan.suspected for orphan in report.orphans] == [True] * may_exist
    assert all("quota" in orphan.detail for orphan in report.orphans) or body != BODIES[0]
    assert list(place.plan().changes()) == []
    assert place.gc() == ()


@pytest.mark.wide(3)
@pytest.mark.parametrize("acts", [True, False])
@pytest.mark.parametrize("body", BODIES, ids=str)
def test_attributes_are_looked_at_and_what_is_not_there_is_unknown(tmp_path: Path, body: Any, acts: bool) -> None:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST % ("true", 1), **FILES})
    assert place.apply().converged
    place.write({"vssync.yaml": MANIFEST % ("true", 2)})
    attributes = r"/v1/vector_stores/[^/]+/files/[^/]+"
    report = place.apply(lambda inner: OnceOdd(inner, "POST", attributes, body, acts=acts))
    assert report.converged is acts
    if acts:
        assert list(place.plan().changes()) == []
        return
    (unknown,) = (outcome for outcome in report.outcomes if outcome.status is not Status.DONE)
    assert unknown.status is Status.UNKNOWN
    assert "it may have taken effect" in unknown.detail
    assert len(list(place.plan().changes())) == 1


@pytest.mark.parametrize("body", [{"id": "x", "deleted": False}, {"error": {"message": "locked"}}, None, []], ids=str)
def test_what_was_not_deleted_is_not_done(tmp_path: Path, body: Any) -> None:
    place = Place(tmp_path)
    place.write({"vssync.yaml": MANIFEST % ("true", 1), **FILES})
    assert place.apply().converged
    place.write({"2.md": None})
    report = place.apply(
        lambda inner: OnceOdd(inner, "DELETE", r"/v1/vector_stores/[^/]+/files/[^/]+", body, acts=False)
    )
    assert not report.converged
    assert {name: len(files) for name, files in live(place).stores.items()} == {"docs": 3}
    assert place.apply().converged
    assert {name: len(files) for name, files in live(place).stores.items()} == {"docs": 2}
