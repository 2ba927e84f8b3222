"""The service as a value, a WSGI application over one folder: which request does what."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import falcon

from vssync.local import files, ingestion, queries, responses, rules, search, store_files, stores
from vssync.local.connections import resetting_after_errors
from vssync.local.database import Database
from vssync.local.dialects import Dialect, LocalOptions
from vssync.local.errors import ApiError
from vssync.local.gateway import ENGINE_KEY, Gateway, register_errors, write_json
from vssync.local.queries import OVERRIDES_KEY, Engine, PageLimits, PageRequest, Transaction, normal_ingestion
from vssync.local.requests import (
    RequestReader,
    json_body,
    no_input,
    page_query,
    response_body,
    search_body,
    upload_form,
)


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    path: str
    handler: Callable[..., Any]
    read_input: RequestReader = no_input

    @property
    def reads_batches(self) -> bool:
        return "/file_batches" in self.path and self.handler is not store_files.create_batch


STORE = "/v1/vector_stores/{store_id}"
UPLOAD_PAGES = PageLimits(10_000, 10_000, backwards=False, filters={"purpose": ("purpose", rules.PURPOSES)})
OBJECT_PAGES = PageLimits()
FILE_PAGES = PageLimits(filters={"filter": ("status", rules.STATUSES)})
ROUTES = (
    Route("GET", "/v1/models", responses.list_models),
    Route("GET", "/v1/models/{model}", responses.get_model),
    Route("POST", "/v1/responses", responses.create_response, response_body),
    Route("GET", "/v1/files", files.list_files, page_query(UPLOAD_PAGES)),
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
    Route("GET", f"{STORE}/files", store_files.list_store_files, page_query(FILE_PAGES)),
    Route("POST", f"{STORE}/files", store_files.attach_file, json_body(*rules.ATTACHMENT)),
    Route("GET", f"{STORE}/files/{{file_id}}", store_files.get_store_file),
    Route("POST", f"{STORE}/files/{{file_id}}", store_files.update_attributes, json_body(*rules.ATTRIBUTES)),
    Route("DELETE", f"{STORE}/files/{{file_id}}", store_files.detach_file),
    Route("GET", f"{STORE}/files/{{file_id}}/content", store_files.get_chunks),
    Route("GET", f"{STORE}/file_batches", store_files.list_batches, page_query(OBJECT_PAGES)),
    Route("POST", f"{STORE}/file_batches", store_files.create_batch, json_body(*rules.BATCH)),
    Route("GET", f"{STORE}/file_batches/{{batch_id}}", store_files.get_batch),
    Route("POST", f"{STORE}/file_batches/{{batch_id}}/cancel", store_files.cancel_batch),
    Route("GET", f"{STORE}/file_batches/{{batch_id}}/files", store_files.list_batch_files, page_query(FILE_PAGES)),
)


@lru_cache(maxsize=64)  # compiling the routes takes as long as some requests, and a service may be opened often
def create_app(dialect: Dialect) -> falcon.App[Any, Any]:
    """The application of all services of a dialect: a request says by `ENGINE_KEY` whose it is."""
    app: falcon.App[Any, Any] = falcon.App(middleware=[Gateway()])
    paths = dict.fromkeys(route.path for route in ROUTES if dialect.has_batches or "/file_batches" not in route.path)
    for path in paths:  # the framework looks for a responder for each method under these names
        routes = [route for route in ROUTES if route.path == path]
        responders = {f"on_{route.method.lower()}": make_responder(route) for route in routes}
        app.add_route(path, SimpleNamespace(**responders))
    register_errors(app, paths)
    return app


def make_responder(route: Route) -> Callable[..., None]:
    is_query = route.method == "GET" or route.handler in (search.search_store, responses.create_response)

    def respond(req: falcon.Request, resp: falcon.Response, **ids: str) -> None:
        engine: Engine = req.env[ENGINE_KEY]
        with route.read_input(req, engine) as arguments:
            for store_id in stores_read(route, ids, arguments):
                require_settled(engine, store_id)
            if (status := engine.options.dialect.unreadable_batches) and route.reads_batches:
                raise ApiError(status, f"The batches of '{ids['store_id']}' cannot be read.", code="not_found")
            overrides = req.env.get(OVERRIDES_KEY, normal_ingestion)
            short = is_short(engine, req.path, arguments.get("page"))
            begin = partial(engine.transaction, writes=route.method != "GET", overrides=overrides, short=short)
            with begin() as tx:  # mostly nothing is due, and one transaction is enough
                is_due = has_due_work(tx, ids.get("store_id"), is_query=is_query)
                result: Any = None if is_due else route.handler(tx, **ids, **arguments)
            if is_due:
                do_due_work(engine, ids.get("store_id"), is_query=is_query)
                with begin() as tx:
                    result = route.handler(tx, **ids, **arguments)
        if not is_query:
            shorten_listings(engine, req.path, ids.get("store_id"))
        if route.handler is stores.create_store:
            engine.unsettled[result["id"]] = engine.options.dialect.unsettled
        if isinstance(result, files.FileContent):
            resp.content_type, resp.content_length = "application/octet-stream", result.size
            resp.stream = engine.database.open_blob(result.blob)
            return
        if isinstance(result, responses.ServerSentEvents):
            resp.content_type, resp.stream = "text/event-stream", result.pieces
            return
        write_json(resp, result)
        if not (engine.options.ingest_delay or OVERRIDES_KEY in req.env):  # each query ingests: nothing to wait for
            resp.set_header("openai-poll-after-ms", "1")

    return respond


def stores_read(route: Route, ids: Mapping[str, str], arguments: Mapping[str, Any]) -> list[str]:
    """The stores of which a request concerns what they hold."""
    if route.handler is responses.create_response:
        return responses.queried_stores(arguments["body"])
    return [ids["store_id"]] if route.path.startswith(f"{STORE}/") else []


def require_settled(engine: Engine, store_id: str) -> None:
    """A new store is known at once, and what it holds after a number of requests and of seconds."""
    dialect = engine.options.dialect
    is_settled = True
    if remaining := engine.unsettled.get(store_id, 0):
        engine.unsettled[store_id] = remaining - 1
        is_settled = False
    elif seconds := dialect.creating_seconds + dialect.propagating_seconds:
        with engine.transaction(writes=False) as tx:
            is_settled = queries.store_age(tx, queries.require_store(tx, store_id)) >= seconds
    if not is_settled:
        raise ApiError(404, f"VectorStore {store_id} with status Completed not found", code="not_found")


def is_short(engine: Engine, path: str, page: PageRequest | None) -> bool:
    """Whether a listing, which begins without a cursor, leaves rows out."""
    if not page or path not in engine.short:
        return False
    if not (page.after or page.before):
        engine.short[path] = max(0, engine.short[path] - 1)
    return engine.short[path] > 0


def shorten_listings(engine: Engine, path: str, store_id: str | None) -> None:
    """After a write: the count includes the listing under way."""
    dialect = engine.options.dialect
    if store_id and dialect.short_files:
        engine.short[f"/v1/vector_stores/{store_id}/files"] = dialect.short_files + 1
    if path in ("/v1/vector_stores", f"/v1/vector_stores/{store_id}") and dialect.short_stores:
        engine.short["/v1/vector_stores"] = dialect.short_stores + 1


def has_due_work(tx: Transaction, store_id: str | None, *, is_query: bool) -> bool:
    is_due = files.expired_files(tx) or store_files.leaving_files(tx)
    return bool(is_due or (is_query and ingestion.waiting_files(tx, store_id, 1)))


def do_due_work(engine: Engine, store_id: str | None, *, is_query: bool) -> None:
    """Expired and detached files go before anybody sees them; a query about a store (or any) advances ingestion."""
    with engine.transaction(writes=True) as tx:
        for row in files.expired_files(tx):
            files.remove_file(tx, row)
        for row in store_files.leaving_files(tx):
            store_files.remove_store_file(tx, row)
        if is_query:
            ingestion.advance_ingestion(tx, store_id)


class Service(AbstractContextManager["Service"]):
    """Any number of threads may call it, and any number of processes may open the same folder."""

    def __init__(self, folder: Path, clock: Callable[[], float], options: LocalOptions, *, create: bool):
        self._database = Database(folder, create=create)
        self._engine = Engine(self._database, clock, options)
        if options.dialect.drops_batches:
            with self._engine.transaction(writes=True) as tx:
                store_files.drop_unfinished(tx)
        app: WSGIApplication = create_app(options.dialect)
        self._app = resetting_after_errors(app) if options.dialect.resets_after_errors else app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return self._app(environ | {ENGINE_KEY: self._engine}, start_response)

    def close(self) -> None:
        """Requests under way end; later ones fail."""
        self._database.close()

    def __exit__(self, *_: object) -> None:
        self.close()


def open_service(
    folder: Path, *, clock: Callable[[], float] = time.time, options: LocalOptions | None = None, create: bool = True
) -> Service:
    """Opens the data in `folder`. Raises `LocalDataError`.

    A missing database is created at once or, without `create`, by the first request that writes.
    """
    return Service(folder, clock, options or LocalOptions(), create=create)
