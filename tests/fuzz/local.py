"""The local service as a target: requests by WSGI, each history on a copy of the same data."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any
from wsgiref.util import setup_testing_defaults

from vssync.local.app import Service, open_service

NO_HEADERS: Mapping[str, str] = MappingProxyType({})
FORM = {"content-type": "multipart/form-data; boundary=b"}
UPLOAD = (
    '--b\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n--b\r\nContent-Disposition: form-data; '
    'name="file"; filename="a.md"\r\n\r\nalpha beta\r\n--b--\r\n'
)


@cache
def template() -> tuple[Path, Mapping[str, str]]:
    """A folder with a store that holds a file and a batch, and their ids by the names that requests have for them."""
    folder = Path(tempfile.mkdtemp(prefix="vssync-fuzz-"))
    with open_service(folder, clock=lambda: 1.75e9) as service:
        file = ask(service, "POST", "/v1/files", UPLOAD, headers=FORM)["id"]
        store = ask(service, "POST", "/v1/vector_stores", {"name": "docs"})["id"]
        attached = {"file_ids": [file], "attributes": {"lang": "en", "rank": 1, "is_new": True}}
        batch = ask(service, "POST", f"/v1/vector_stores/{store}/file_batches", attached)["id"]
        ask(service, "GET", f"/v1/vector_stores/{store}/files", None)
    return folder, {"{store}": store, "{file}": file, "{batch}": batch}


def filled(text: str) -> str:
    """A text of a request with the ids of the template's objects."""
    for name, id_ in template()[1].items():
        text = text.replace(name, id_)
    return text


@cache
def kept_open() -> Service:
    return open_service(template()[0], clock=lambda: 1.75e9)


def search(body: Any) -> None:
    """Searches the template, which a search leaves as it is."""
    ask(kept_open(), "POST", filled("/v1/vector_stores/{store}/search"), body)


@contextmanager
def opened() -> Iterator[Callable[..., Any]]:
    """A service on a copy of the template; gives what asks it."""
    source, _ = template()
    folder = source.with_name(source.name + ".run")
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(source, folder)

    def ask_it(method: str, path: str, body: Any, query: str, headers: Mapping[str, str]) -> Any:
        text = filled(body if isinstance(body, str) else json.dumps(body))
        return ask(service, method, filled(path), text, filled(query), headers=headers)

    with open_service(folder, clock=lambda: 1.75e9) as service:
        yield ask_it


def ask(
    service: Service, method: str, path: str, body: Any, query: str = "", *, headers: Mapping[str, str] = NO_HEADERS
) -> Any:
    """What a request is answered, which is never a failure of the service; an error has a message."""
    content = (body if isinstance(body, str) else json.dumps(body)).encode(errors="surrogatepass")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "PATH_INFO": path.encode(errors="surrogatepass").decode("latin-1"),
        "QUERY_STRING": query.encode(errors="replace").decode("latin-1"),
        "CONTENT_LENGTH": str(len(content)),
        "wsgi.input": io.BytesIO(content),
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in headers.items()},
        "CONTENT_TYPE": headers.get("content-type", "application/json"),
    }
    setup_testing_defaults(environ)
    statuses: list[str] = []

    def start(status: str, *_: object) -> Callable[[bytes], object]:
        statuses.append(status)
        return len

    answer = b"".join(service(environ, start))
    assert statuses[0] < "500", f"{method} {path}: {statuses[0]} {answer!r}"
    if statuses[0] >= "400" and method != "HEAD":
        assert json.loads(answer)["error"]["message"], answer
        return None
    return json.loads(answer) if answer.startswith((b"{", b"[")) else answer
