"""HTTP: which request does what.

Each request is read and checked in full before its transaction begins, so nobody waits for a slow client, and
the functions that answer know nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import falcon

from vssync.local import batches, fate, files, rules, search, storefiles, stores
from vssync.local.door import Door
from vssync.local.engine import Engine
from vssync.local.errors import ApiError
from vssync.local.incoming import Takes, body, nothing, page, question, upload
from vssync.local.outgoing import answer, register_errors
from vssync.local.paging import Paging

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
    Route("GET", "/v1/vector_stores/{store_id}/files", storefiles.page, page(STORE_FILES)),
    Route(
        "POST", "/v1/vector_stores/{store_id}/files", storefiles.create, body(rules.attachment, rules.LAX.attachment)
    ),
    Route("GET", "/v1/vector_stores/{store_id}/files/{file_id}", storefiles.get),
    Route(
        "POST",
        "/v1/vector_stores/{store_id}/files/{file_id}",
        storefiles.update,
        body(rules.ATTRIBUTES, rules.LAX.update),
    ),
    Route("DELETE", "/v1/vector_stores/{store_id}/files/{file_id}", storefiles.delete),
    Route("GET", "/v1/vector_stores/{store_id}/files/{file_id}/content", storefiles.content),
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
            with engine.transaction(writes=route.writes, fates=req.env.get(fate.ENVIRON, fate.usual)) as tx:
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
    if not (engine.options.ingest_delay or fate.ENVIRON in req.env):
        resp.set_header("openai-poll-after-ms", "1")


def stream(engine: Engine, resp: falcon.Response, content: files.Content) -> None:
    resp.content_type = BINARY
    resp.content_length = content.size
    resp.stream = engine.database.stream(content.blob)
