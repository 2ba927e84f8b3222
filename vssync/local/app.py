"""The service as a value, a WSGI callable over one folder: which request does what."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import falcon

from vssync.local import batches, files, rules, search, store_files, stores, transaction
from vssync.local.database import Database
from vssync.local.dialects import LocalOptions
from vssync.local.engine import Engine
from vssync.local.errors import ApiError
from vssync.local.gateway import Door
from vssync.local.paging import Paging
from vssync.local.requests import Takes, body, nothing, page, question, upload
from vssync.local.responses import answer, register_errors

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


BINARY = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Route:
    verb: str
    path: str
    act: Callable[..., Any]
    takes: Takes = nothing

    @property
    def writes(self) -> bool:
        return self.verb != "GET"

    @property
    def inside(self) -> bool:
        """Whether it is about what a store holds, rather than the store."""
        return self.path.startswith("/v1/vector_stores/{store_id}/")

    @property
    def looks(self) -> bool:
        return self.verb == "GET" or self.act is search.search


FILES = Paging(10_000, 10_000, backwards=False, filters={"purpose": ("purpose", rules.PURPOSES)})
OBJECTS = Paging()
STORE_FILES = Paging(filters={"filter": ("status", rules.STATUSES)})

ROUTES = (
    Route("GET", "/v1/files", files.page, page(FILES)),
    Route("POST", "/v1/files", files.create, upload),
    Route("GET", "/v1/files/{file_id}", files.get),
    Route("DELETE", "/v1/files/{file_id}", files.delete),
    Route("GET", "/v1/files/{file_id}/content", files.content),
    Route("GET", "/v1/vector_stores", stores.page, page(OBJECTS)),
    Route("POST", "/v1/vector_stores", stores.create, body(rules.new_store)),
    Route("GET", "/v1/vector_stores/{store_id}", stores.get),
    Route("POST", "/v1/vector_stores/{store_id}", stores.update, body(rules.STORE_UPDATE)),
    Route("DELETE", "/v1/vector_stores/{store_id}", stores.delete),
    Route("POST", "/v1/vector_stores/{store_id}/search", search.search, question),
    Route("GET", "/v1/vector_stores/{store_id}/files", store_files.page, page(STORE_FILES)),
    Route(
        "POST", "/v1/vector_stores/{store_id}/files", store_files.create, body(rules.attachment, rules.LAX.attachment)
    ),
    Route("GET", "/v1/vector_stores/{store_id}/files/{file_id}", store_files.get),
    Route(
        "POST",
        "/v1/vector_stores/{store_id}/files/{file_id}",
        store_files.update,
        body(rules.ATTRIBUTES, rules.LAX.update),
    ),
    Route("DELETE", "/v1/vector_stores/{store_id}/files/{file_id}", store_files.delete),
    Route("GET", "/v1/vector_stores/{store_id}/files/{file_id}/content", store_files.content),
    Route("GET", "/v1/vector_stores/{store_id}/file_batches", batches.page, page(OBJECTS)),
    Route("POST", "/v1/vector_stores/{store_id}/file_batches", batches.create, body(rules.batch, rules.LAX.batch)),
    Route("GET", "/v1/vector_stores/{store_id}/file_batches/{batch_id}", batches.get),
    Route("POST", "/v1/vector_stores/{store_id}/file_batches/{batch_id}/cancel", batches.cancel),
    Route("GET", "/v1/vector_stores/{store_id}/file_batches/{batch_id}/files", batches.files, page(STORE_FILES)),
)


def application(engine: Engine) -> falcon.App[Any, Any]:
    dialect = engine.options.dialect
    app: falcon.App[Any, Any] = falcon.App(middleware=[Door(engine)])
    for path in dict.fromkeys(route.path for route in ROUTES):
        if dialect.has_batches or "/file_batches" not in path:
            app.add_route(path, Endpoint(engine, path))
    register_errors(app, dialect.errors)
    return app


class Endpoint:
    """One path, with a responder for each verb under the name the framework looks for."""

    def __init__(self, engine: Engine, path: str):
        for route in ROUTES:
            if route.path == path:
                setattr(self, f"on_{route.verb.lower()}", responder(engine, route))


def responder(engine: Engine, route: Route) -> Callable[..., None]:
    def respond(req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        with route.takes(req, engine) as sent:
            if route.inside:
                settle(engine, ids["store_id"])
            engine.upkeep(ids.get("store_id"), looks=route.looks)
            with engine.transaction(
                writes=route.writes, fates=req.env.get(transaction.FATES_ENVIRON, transaction.usual_ingestion)
            ) as tx:
                outcome = route.act(tx, **ids, **sent)
        if route.act is stores.create:
            engine.unsettled[outcome["id"]] = engine.options.dialect.unsettled
        if isinstance(outcome, files.Content):
            stream(engine, resp, outcome)
        else:
            answer(resp, outcome)
            hint(req, resp, engine)

    return respond


def settle(engine: Engine, store_id: str) -> None:
    """A new store is known by itself at once, and what it holds after so many requests and so many seconds."""
    left = engine.unsettled.get(store_id, 0)
    if left:
        engine.unsettled[store_id] = left - 1
    if left or engine.propagating(store_id):
        raise ApiError(404, f"VectorStore {store_id} with status Completed not found", code="not_found")


def hint(req: falcon.Request, resp: falcon.Response, engine: Engine) -> None:
    """Where each look does work there is nothing to wait for; otherwise clients know best."""
    if not (engine.options.ingest_delay or transaction.FATES_ENVIRON in req.env):
        resp.set_header("openai-poll-after-ms", "1")


def stream(engine: Engine, resp: falcon.Response, content: files.Content) -> None:
    resp.content_type = BINARY
    resp.content_length = content.size
    resp.stream = engine.database.stream(content.blob)


class Service:
    """Any number of threads may call it, and any number of processes may open the same folder."""

    def __init__(self, folder: Path, clock: Callable[[], float], options: LocalOptions, *, create: bool = True):
        self._database = Database(folder, create=create)
        engine = Engine(self._database, clock, options)
        if options.dialect.drops_batches:
            with engine.transaction(writes=True) as tx:
                batches.drop(tx)
        self._app = application(engine)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._app(environ, start_response)

    def close(self) -> None:
        """Requests under way end; later ones fail."""
        self._database.close()

    def __enter__(self) -> Service:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_service(
    folder: Path, *, clock: Callable[[], float] = time.time, options: LocalOptions | None = None, create: bool = True
) -> Service:
    """Opens the data in `folder`. Raises `LocalDataError`.

    What is missing is created, at once or, without `create`, by the first request that writes.
    """
    return Service(folder, clock, options or LocalOptions(), create=create)
