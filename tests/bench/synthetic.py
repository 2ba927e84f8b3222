"""A plan against a listing that is made up while it is read: `python -m tests.bench.synthetic RESULT FOLDER`.

It shows how a plan grows beyond what a service can be filled with in a day. The files are real, and read; the one store
of the manifest answers as if an apply of them had ended. Making up its rows takes time and memory in the same process.
"""

from __future__ import annotations

import gc
import sys
from pathlib import Path

import httpx

from tests.bench.program import write_result
from vssync.api.connect import connect
from vssync.api.rate_limit import Clock
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Session, Settings, load_manifest
from vssync.endpoints import resolve_endpoint
from vssync.limits import PAGE_SIZE
from vssync.model.digests import mark_for, store_mark_for, with_key
from vssync.model.marks import MARK, STORE_OWNER, Origin
from vssync.model.plan import Options
from vssync.model.state import Desired
from vssync.threads import Pool


class AppliedStore(httpx.BaseTransport):
    """A service with the one store of a manifest, as an apply left it."""

    def __init__(self, desired: Desired) -> None:
        self._owner, (self._store,) = desired.owner, desired.stores
        self.requests = 0

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests += 1
        if request.url.path.endswith("/files"):
            rows, total = self._files(request.url.params), len(self._store.files)
            has_more = bool(rows) and rows[-1]["id"] != str(total - 1)
        else:
            rows, has_more = ([self._row()] if request.url.path.endswith("/vector_stores") else []), False
        return httpx.Response(200, json={"object": "list", "data": rows, "has_more": has_more})

    def _row(self) -> dict[str, object]:
        total = len(self._store.files)
        counts = {"completed": total, "in_progress": 0, "failed": 0, "cancelled": 0, "total": total}
        metadata = {**self._store.metadata, STORE_OWNER: str(store_mark_for(self._owner, self._store))}
        fields = {"created_at": 100, "status": "completed", "file_counts": counts}
        return {"id": "vs_1", "name": self._store.name, "metadata": metadata, **fields}

    def _files(self, asked: httpx.QueryParams) -> list[dict[str, object]]:
        step = -1 if asked.get("order") == "desc" else 1
        numbers = range(len(self._store.files))[::step]
        begin = numbers.index(int(asked["after"])) + 1 if "after" in asked else 0
        return [self._file(number) for number in numbers[begin : begin + PAGE_SIZE]]

    def _file(self, number: int) -> dict[str, object]:
        file = self._store.files[number]
        mark = mark_for(self._owner, file, (), origin=Origin.UPLOADED)
        attributes = {**with_key(file.attributes, file.key), MARK: str(mark)}
        fields = {"status": "completed", "usage_bytes": 1, "last_error": None, "chunking_strategy": None}
        return {"id": str(number), "created_at": 1_000 + number, "attributes": attributes, **fields}


def main() -> None:
    gc.set_threshold(250_000)  # as the command line does
    result, folder = map(Path, sys.argv[1:])
    settings = Settings(manifest=str(folder))
    loaded = load_manifest(settings)
    service = AppliedStore(loaded.desired)
    endpoint = resolve_endpoint(loaded.desired.service, settings.caller, {})
    client = connect(endpoint, auth=None, clock=Clock(), workers=1, transport=service)
    with Pool(1) as pool:
        plan = make_plan_now(Session(settings, loaded, endpoint, client, pool), Options())
    assert plan.empty
    write_result(result, service.requests)


if __name__ == "__main__":
    main()
