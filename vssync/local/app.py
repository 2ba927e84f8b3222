"""The service as a value, a WSGI application over one folder: which request does what."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import falcon

from vssync.local import batches, files, ingestion, queries, rules, search, store_files, stores
from vssync.local.database import Database
from vssync.local.dialects import LocalOptions
from vssync.local.errors import ApiError
from vssync.local.gateway import Gateway
from vssync.local.queries import PageLimits
from vssync.local.requests import RequestReader, json_body, no_input, page_query, search_body, upload_form
from vssync.local.responses import register_errors, write_json
from vssync.local.transaction import OVERRIDES_KEY, Engine, normal_ingestion

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str
    handler: Callable[..., Any]
    read_input: RequestReader = no_input

    @property
    def is_below_store(self) -> bool:
        """Whether it is about what a store holds, rather than the store."""
        return self.path.startswith("/v1/vector_stores/{store_id}/")

    @property
    def is_query(self) -> bool:
        return self.method == "GET" or self.handler is search.search_store


STORE = "/v1/vector_stores/{store_id}"
FILE_PAGES = PageLimits(10_000, 10_000, backwards=False, filters={"purpose": ("purpose", rules.PURPOSES)})
OBJECT_PAGES = PageLimits()
STORE_FILE_PAGES = PageLimits(filters={"filter": ("status", rules.STATUSES)})
ROUTES = (
    Route("GET", "/v1/files", files.list_files, page_query(FILE_PAGES)),
    Route("POST", "/v1/files", files.create_file, upload_form),
    Route("GET", "/v1/files/{file_id}", files.get_file),
    Route("DELETE", "/v1/files/{file_id}", files.delete_file),
    Route("GET", "/v1/files/{file_id}/content", files.read_file),
    Route("GET", "/v1/vector_stores", stores.list_stores, page_query(OBJECT_PAGES)),
    Route("POST", "/v1/vector_stores", stores.create_store, json_body(rules.check_new_store)),
    Route("GET", STORE, stores.get_store),
    Route("POST", STORE, stores.update_store, json_body(rules.STORE_UPDATE)),
    Route("DELETE", STORE, stores.delete_store),
    Route("POST", f"{STORE}/search", search.search_store, search_body),
    Route("GET", f"{STORE}/files", store_files.list_store_files, page_query(STORE_FILE_PAGES)),
    Route("POST", f"{STORE}/files", store_files.attach_file, json_body(rules.STRICT.attachment, rules.LAX.attachment)),
    Route("GET", f"{STORE}/files/{{file_id}}", store_files.get_store_file),
    Route(
        "POST",
        f"{STORE}/files/{{file_id}}",
        store_files.update_attributes,
        json_body(rules.STRICT.update, rules.LAX.update),
    ),
    Route("DELETE", f"{STORE}/files/{{file_id}}", store_files.detach_file),
    Route("GET", f"{STORE}/files/{{file_id}}/content", store_files.get_chunks),
    Route("GET", f"{STORE}/file_batches", batches.list_batches, page_query(OBJECT_PAGES)),
    Route("POST", f"{STORE}/file_batches", batches.create_batch, json_body(rules.STRICT.batch, rules.LAX.batch)),
    Route("GET", f"{STORE}/file_batches/{{batch_id}}", batches.get_batch),
    Route("POST", f"{STORE}/file_batches/{{batch_id}}/cancel", batches.cancel_batch),
    Route("GET", f"{STORE}/file_batches/{{batch_id}}/files", batches.list_batch_files, page_query(STORE_FILE_PAGES)),
)


def create_app(engine: Engine) -> falcon.App[Any, Any]:
    dialect = engine.options.dialect
    app: falcon.App[Any, Any] = falcon.App(middleware=[Gateway(engine)])
    paths = dict.fromkeys(route.path for route in ROUTES if dialect.has_batches or "/file_batches" not in route.path)
    for path in paths:
        app.add_route(path, Resource(engine, path))
    register_errors(app, dialect.errors, paths)
    return app


class Resource:
    """One path, with a responder for each method under the name the framework looks for."""

    def __init__(self, engine: Engine, path: str):
        for route in ROUTES:
            if route.path == path:
                setattr(self, f"on_{route.method.lower()}", make_responder(engine, route))


def make_responder(engine: Engine, route: Route) -> Callable[..., None]:
    def respond(req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        with route.read_input(req, engine) as arguments:
            if route.is_below_store:
                require_settled(engine, ids["store_id"])
            do_due_work(engine, ids.get("store_id"), is_query=route.is_query)
            overrides = req.env.get(OVERRIDES_KEY, normal_ingestion)
            with engine.transaction(writes=route.method != "GET", overrides=overrides) as tx:
                result = route.handler(tx, **ids, **arguments)
        if route.handler is stores.create_store:
            engine.unsettled[result["id"]] = engine.options.dialect.unsettled
        if isinstance(result, files.FileContent):
            resp.content_type, resp.content_length = "application/octet-stream", result.size
            resp.stream = engine.database.open_blob(result.blob)
            return
        write_json(resp, result)
        if not (engine.options.ingest_delay or OVERRIDES_KEY in req.env):  # each query ingests: nothing to wait for
            resp.set_header("openai-poll-after-ms", "1")

    return respond


def require_settled(engine: Engine, store_id: str) -> None:
    """A new store is known at once, and what it holds after a number of requests and of seconds."""
    remaining = engine.unsettled.get(store_id, 0)
    if remaining:
        engine.unsettled[store_id] = remaining - 1
    if remaining or is_propagating(engine, store_id):
        raise ApiError(404, f"VectorStore {store_id} with status Completed not found", code="not_found")


def is_propagating(engine: Engine, store_id: str) -> bool:
    dialect = engine.options.dialect
    if not (seconds := dialect.creating_seconds + dialect.propagating_seconds):
        return False
    with engine.transaction(writes=False) as tx:
        return queries.store_age(tx, queries.require_store(tx, store_id)) < seconds


def do_due_work(engine: Engine, store_id: str | None, *, is_query: bool) -> None:
    """Expired Files go before anybody sees them; a query about a store (or any) advances ingestion."""
    with engine.transaction(writes=False) as tx:
        idle = not files.expired_files(tx) and not (is_query and ingestion.waiting_files(tx, store_id, 1))
    if idle:
        return
    with engine.transaction(writes=True) as tx:
        for row in files.expired_files(tx):
            files.remove_file(tx, row)
        if is_query:
            ingestion.advance_ingestion(tx, store_id)


class Service:
    """Any number of threads may call it, and any number of processes may open the same folder."""

    def __init__(self, folder: Path, clock: Callable[[], float], options: LocalOptions, *, create: bool):
        self._database = Database(folder, create=create)
        engine = Engine(self._database, clock, options)
        if options.dialect.drops_batches:
            with engine.transaction(writes=True) as tx:
                batches.drop_unfinished(tx)
        self._app = create_app(engine)

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

    A missing database is created at once or, without `create`, by the first request that writes.
    """
    return Service(folder, clock, options or LocalOptions(), create=create)
