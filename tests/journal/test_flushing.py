"""A line is on the disk before its request goes out, however many threads write at once."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
import pytest

from tests.applier.test_process import select_nothing
from tests.applier.world import Place
from tests.support import ENDPOINT
from vssync.journal.records import Operation, Write
from vssync.journal.writer import Journal
from vssync.threads import Pool

MANIFEST = """\
version: 1
owner: flushed
service: {capabilities: {batch_size: 4}}
stores:
  docs:
    guards: {max_delete: 100%, max_replace: 100%}
    files: [{path: "*.md"}]
    overrides: [{match: "2*.md", attributes: {level: LEVEL}}]
"""
OPERATIONS = {
    ("POST", "vector_stores"): Operation.CREATE_STORE,
    ("POST", "vector_stores/*"): Operation.UPDATE_STORE,
    ("POST", "vector_stores/*/file_batches"): Operation.ATTACH,
    ("POST", "vector_stores/*/files/*"): Operation.ATTRIBUTES,
    ("DELETE", "vector_stores/*/files/*"): Operation.DETACH,
    ("POST", "files"): Operation.UPLOAD,
    ("DELETE", "files/*"): Operation.DELETE_UPLOAD,
}


def test_lines_of_writes_side_by_side_reach_the_disk_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each before its write is sent."""
    journal, path = Journal(tmp_path / "state"), tmp_path / "state" / "journal.jsonl"
    real, flushed = os.fsync, list[bytes]()

    def fsync(handle: int) -> None:
        for _ in range(3000):  # the first one lasts until all have written their lines
            if flushed or path.read_bytes().count(b"\n") == 8:
                break
            select_nothing()
        lines = path.read_bytes()
        real(handle)
        flushed.append(lines)

    def send(name: str) -> None:
        with journal.around(Write(Operation.UPLOAD, name=name)):
            assert f'"{name}"'.encode() in flushed[-1]

    monkeypatch.setattr(os, "fsync", fsync)
    with Pool(8) as pool:
        pool.map(send, [f"{number}.md" for number in range(8)])
    assert len(flushed) == 2
    journal.close()


@dataclass
class Disk(httpx.BaseTransport):
    """What the machine would have of the journal after a crash, and the requests that went out before their lines."""

    state: Path
    inner: httpx.BaseTransport | None = None
    real_fsync: Callable[[int], None] = os.fsync
    lines: list[dict[str, object]] = field(default_factory=list)
    sent: set[Operation] = field(default_factory=set)
    early: list[str] = field(default_factory=list)

    def fsync(self, handle: int) -> None:
        flushed = os.fstat(handle)
        texts = [path.read_bytes() for path in self.state.glob("*/journal.*") if os.path.samestat(path.stat(), flushed)]
        self.real_fsync(handle)
        self.lines += [json.loads(line) for text in texts for line in text.splitlines()]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert self.inner
        path = request.url.path.removeprefix("/v1/")
        if request.method != "GET" and not path.endswith("/search"):
            operation = OPERATIONS[request.method, re.sub(r"(?<=/)(vs_|file-)\w+", "*", path)]
            text = path + request.read().decode()
            self.sent.add(operation)
            if not any(self._is_of(line, operation, text) for line in self.lines):
                self.early.append(f"{operation} {text}")
        return self.inner.handle_request(request)

    @staticmethod
    def _is_of(line: dict[str, object], operation: Operation, text: str) -> bool:
        files = line.get("files", ())
        assert isinstance(files, list | tuple)
        named = [*files, line.get("store", ""), line.get("name", "")]
        return line.get("op") == operation and all(str(name) in text for name in named)


@pytest.mark.parametrize("workers", [1, 32])
def test_no_request_goes_out_before_its_line_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    place = Place(tmp_path, endpoint=replace(ENDPOINT, embedded=False))
    disk = Disk(place.state)

    def watch(inner: httpx.BaseTransport) -> Disk:
        disk.inner = inner
        return disk

    monkeypatch.setattr(os, "fsync", disk.fsync)
    place.write({"vssync.yaml": MANIFEST.replace("LEVEL", "1"), **{f"{n}.md": f"# {n}\n" for n in range(30)}})
    assert place.apply(watch, workers=workers).converged
    place.write(
        {"vssync.yaml": MANIFEST.replace("LEVEL", "2"), **{f"{n}.md": "# new\n" for n in range(9)}, "9.md": None}
    )
    assert place.apply(watch, workers=workers).converged
    assert (disk.early, disk.sent) == ([], set(OPERATIONS.values()))
