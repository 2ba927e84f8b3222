"""Reading requests: each `Takes` turns one into keyword arguments for the function that answers it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, NoReturn

import falcon

from vssync.local import files, filters, paging, rules
from vssync.local.checks import Check, invalid
from vssync.local.engine import Engine
from vssync.local.errors import ApiError

Sent = dict[str, Any]
Takes = Callable[[falcon.Request, Engine], AbstractContextManager[Sent]]

MOST_JSON_BYTES = 128 << 20  # above the largest batch the rules allow


def nothing(_req: falcon.Request, _engine: Engine) -> AbstractContextManager[Sent]:
    return nullcontext({})


def body(check: Check, lax: Check | None = None) -> Takes:
    """`lax` is the check of services that do not enforce their limits."""

    def take(req: falcon.Request, engine: Engine) -> AbstractContextManager[Sent]:
        chosen = lax if lax and engine.options.dialect.lax else check
        return nullcontext({"body": chosen(read_json(req), "")})

    return take


def question(req: falcon.Request, engine: Engine) -> AbstractContextManager[Sent]:
    sent = read_json(req)
    checked = rules.SEARCH(sent, "")
    used = set(filters.kinds(sent["filters"])) if "filters" in checked else set()
    if not engine.options.dialect.searches_in and (refused := used & {"in", "nin"}):
        raise invalid("filters", f"'{min(refused)}' is not supported")
    return nullcontext({"body": checked})


def page(accepted: paging.Paging) -> Takes:
    return lambda req, _engine: nullcontext({"page": paging.page(query(req), accepted)})


@contextmanager
def upload(req: falcon.Request, engine: Engine) -> Iterator[Sent]:
    with files.received(req, engine.options.max_file_bytes, engine.database.path.parent) as arrived:
        yield {"body": arrived}


def query(req: falcon.Request) -> dict[str, str]:
    return {name: sent[-1] if isinstance(sent, list) else sent for name, sent in req.params.items()}


def read_json(req: falcon.Request) -> Any:
    if (req.content_type or "").partition(";")[0].strip().lower() != falcon.MEDIA_JSON:
        raise ApiError(400, "Content-Type must be application/json.", code="invalid_content_type")
    if (length := req.content_length or 0) > MOST_JSON_BYTES:
        raise ApiError(413, f"The body is larger than {MOST_JSON_BYTES:,} bytes.", code="body_too_large")
    try:
        return json.loads(req.stream.read(length), parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, f"The body is not valid JSON: {error}.", code="invalid_json") from None


def refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
