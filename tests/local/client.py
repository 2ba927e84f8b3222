"""A small client for the tests: every call says which status it expects, and gives the JSON."""

from __future__ import annotations

from types import TracebackType
from typing import Any

import httpx

from vssync.local.app import Service
from vssync.local.transport import LocalTransport


class Clock:
    """Time that passes when a test says so."""

    def __init__(self, now: float = 1_700_000_000):
        self.now = now

    def __call__(self) -> float:
        return self.now


class Api:
    def __init__(self, service: Service | httpx.BaseTransport):
        transport = service if isinstance(service, httpx.BaseTransport) else LocalTransport(service)
        self.http = httpx.Client(transport=transport, base_url="http://local/v1")

    def __enter__(self) -> Api:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.http.close()

    def send(self, verb: str, path: str, status: int = 200, **options: Any) -> Any:
        response = self.http.request(verb, path, **options)
        assert response.status_code == status, response.text
        return response.json()

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        return self.send("GET", path, status, params=query)

    def post(self, path: str, body: Any = None, status: int = 200) -> Any:
        return self.send("POST", path, status, json=body)

    def delete(self, path: str, status: int = 200) -> Any:
        return self.send("DELETE", path, status)

    def upload(self, name: str = "a.md", content: bytes = b"some text", status: int = 200, **fields: Any) -> Any:
        form = {"purpose": "assistants"} | fields
        return self.send("POST", "/files", status, files={"file": (name, content)}, data=form)

    def files(self, *names: str, content: bytes = b"some text") -> list[str]:
        return [self.upload(name, content)["id"] for name in names]

    def store(self, *names: str, **body: Any) -> str:
        """A store, with one File of each of these names attached."""
        store = self.post("/vector_stores", body)["id"]
        for file_id in self.files(*names):
            self.attach(store, file_id)
        return str(store)

    def attach(self, store: str, file_id: str, status: int = 200, **more: Any) -> Any:
        return self.post(f"/vector_stores/{store}/files", {"file_id": file_id, **more}, status)

    def batch(self, store: str, *file_ids: str, status: int = 200, **more: Any) -> Any:
        return self.post(f"/vector_stores/{store}/file_batches", {"file_ids": list(file_ids), **more}, status)

    def search(self, store: str, query: Any, status: int = 200, **more: Any) -> Any:
        return self.post(f"/vector_stores/{store}/search", {"query": query, **more}, status)


def counts(**expected: int) -> dict[str, int]:
    full = dict.fromkeys(("in_progress", "completed", "failed", "cancelled"), 0) | expected
    return {**full, "total": sum(full.values())}


def ids(page: Any) -> list[str]:
    return [entry["id"] for entry in page["data"]]
