"""What OpenAI's own Python client says of requests and answers, read strictly.

Its types are lenient on purpose: they let further fields pass, and convert. Here are copies of them that take their
fields and nothing else, their words and no other, and convert nothing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from types import UnionType
from typing import Annotated, Any, Generic, Literal, NamedTuple, Required, TypeVar, Union, get_args, get_origin
from urllib.parse import parse_qsl

import httpx
from openai import types
from openai.types import responses, shared, vector_stores
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model
from typing_extensions import get_type_hints, is_typeddict

Item = TypeVar("Item")
Found = tuple[str, str]  # the operation, and where
AN_ERROR = "an error"
BYTES = "GET /files/{file_id}/content"  # answered by them alone


class Page(BaseModel, Generic[Item]):
    """A listing, whole: the package's own class has two of its fields, those that its callers need."""

    object: Literal["list"]
    data: list[Item]
    first_id: str
    last_id: str
    has_more: bool


class Results(BaseModel):
    """Likewise of a search."""

    object: Literal["vector_store.search_results.page"]
    search_query: list[str]
    data: list[types.VectorStoreSearchResponse]
    has_more: bool
    next_page: str | None


class Text(BaseModel):
    """Likewise of a store file's text."""

    object: Literal["vector_store.file_content.page"]
    data: list[vector_stores.FileContentResponse]
    has_more: bool
    next_page: str | None


class Models(BaseModel):
    """Likewise of the models."""

    object: Literal["list"]
    data: list[types.Model]


class Refused(BaseModel):
    error: shared.ErrorObject


class Operation(NamedTuple):
    """The package's types for it: of the answer, and of what is sent as JSON, as a form, or behind the `?`."""

    answer: Any = None
    body: Any = None
    form: Any = None
    query: Any = None


STORES = "/vector_stores"
STORE = f"{STORES}/{{vector_store_id}}"
STORE_FILE = f"{STORE}/files/{{file_id}}"
BATCH = f"{STORE}/file_batches/{{batch_id}}"
OPERATIONS = {
    "GET /models": Operation(Models),
    "GET /models/{model}": Operation(types.Model),
    "POST /responses": Operation(responses.Response, responses.response_create_params.ResponseCreateParamsNonStreaming),
    "GET /files": Operation(Page[types.FileObject], query=types.FileListParams),
    "POST /files": Operation(types.FileObject, form=types.FileCreateParams),
    "GET /files/{file_id}": Operation(types.FileObject),
    "DELETE /files/{file_id}": Operation(types.FileDeleted),
    BYTES: Operation(),
    f"GET {STORES}": Operation(Page[types.VectorStore], query=types.VectorStoreListParams),
    f"POST {STORES}": Operation(types.VectorStore, types.VectorStoreCreateParams),
    f"GET {STORE}": Operation(types.VectorStore),
    f"POST {STORE}": Operation(types.VectorStore, types.VectorStoreUpdateParams),
    f"DELETE {STORE}": Operation(types.VectorStoreDeleted),
    f"POST {STORE}/search": Operation(Results, types.VectorStoreSearchParams),
    f"GET {STORE}/files": Operation(Page[vector_stores.VectorStoreFile], query=vector_stores.FileListParams),
    f"POST {STORE}/files": Operation(vector_stores.VectorStoreFile, vector_stores.FileCreateParams),
    f"GET {STORE_FILE}": Operation(vector_stores.VectorStoreFile),
    f"POST {STORE_FILE}": Operation(vector_stores.VectorStoreFile, vector_stores.FileUpdateParams),
    f"DELETE {STORE_FILE}": Operation(vector_stores.VectorStoreFileDeleted),
    f"GET {STORE_FILE}/content": Operation(Text),
    f"POST {STORE}/file_batches": Operation(vector_stores.VectorStoreFileBatch, vector_stores.FileBatchCreateParams),
    f"GET {BATCH}": Operation(vector_stores.VectorStoreFileBatch),
    f"POST {BATCH}/cancel": Operation(vector_stores.VectorStoreFileBatch),
    f"GET {BATCH}/files": Operation(Page[vector_stores.VectorStoreFile], query=vector_stores.FileBatchListFilesParams),
    # Not OpenAI's, and asked only of services that have it: like its other listings.
    f"GET {STORE}/file_batches": Operation(Page[vector_stores.VectorStoreFileBatch], query=types.VectorStoreListParams),
}

# Where the service answers otherwise on purpose, in each dialect, and why.
Deviations = dict[str, set[Found]]
TELLS_DESCRIPTION: Deviations = {
    "`description` is in no answer that is described; without it nobody could see that a store has another": {
        (f"POST {STORES}", "description"),
        (f"GET {STORES}", "data.description"),
        (f"GET {STORE}", "description"),
        (f"POST {STORE}", "description"),
    }
}
ATTACHING = {(f"POST {STORE}/files", "chunking_strategy"), (f"POST {STORE_FILE}", "chunking_strategy")}
READING = {
    (f"GET {STORE}/files", "data.chunking_strategy"),
    (f"GET {STORE_FILE}", "chunking_strategy"),
    (f"GET {BATCH}/files", "data.chunking_strategy"),
}
HIDES_CHUNKING = "OCI does not tell how a file was cut: `chunking_strategy` is null"
LEAVES_PARAM_OUT = "OCI passes errors on without `param`"
DEVIATIONS: dict[str, Deviations] = {
    "local": TELLS_DESCRIPTION,
    "openai": TELLS_DESCRIPTION,
    "oci": TELLS_DESCRIPTION
    | {
        HIDES_CHUNKING: ATTACHING | READING,
        LEAVES_PARAM_OUT: {(AN_ERROR, "error")},
        "OCI's own errors are a code and a message, without `error`": {
            (AN_ERROR, name) for name in ("", "code", "message")
        },
        "OCI gives a file's text in the older form: an object with the file's name and attributes": {
            (f"GET {STORE_FILE}/content", name) for name in ("", "file_id", "filename", "attributes", "content")
        },
    },
    "compatible": TELLS_DESCRIPTION
    | {
        "others answer `auto` for what came by batch, as it was asked for": READING,
        "others' errors are a message alone": {(AN_ERROR, "error")},
    },
}
IDS = (
    *(("vector_stores", "vector_store_id"), ("file_batches", "batch_id"), ("files", "file_id")),
    ("models", "model"),
)
ELSEWHERE = {"file", "vector_store_id"}  # in types of what is sent: the bytes of a form, and a part of the path


def strict(kind: Any) -> Any:
    """A copy of a type that takes its fields and nothing else, at any depth."""
    if is_typeddict(kind) or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        config = ConfigDict(extra="forbid", strict=True)
        fields: dict[str, Any] = {
            name: (strict(hint), ... if needed else None) for name, hint, needed in fields_of(kind)
        }
        return create_model(kind.__name__, __config__=config, **fields)
    origin: Any = get_origin(kind)
    if origin in (None, Literal):
        return kind
    if origin in (Annotated,):  # with notes for the package itself
        return strict(get_args(kind)[0])
    inner = tuple(strict(part) for part in get_args(kind))
    if origin in (Union, UnionType):
        return Union[inner]  # noqa: UP007 - of as many as there are
    return (list if origin in (Sequence, Iterable) else origin)[inner]  # JSON has no other sequence


def fields_of(kind: Any) -> Iterator[tuple[str, Any, bool]]:
    """Each field's name and type, and whether it must be there."""
    if not is_typeddict(kind):
        for name, field in kind.model_fields.items():
            yield name, field.annotation, field.is_required()
        return
    hint: Any
    for name, hint in get_type_hints(kind, include_extras=True).items():
        origin: Any = get_origin(hint)
        needed = origin is Required
        if name not in ELSEWHERE:
            yield name, get_args(hint)[0] if needed else hint, needed


@cache
def adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(strict(kind))


def wrong(kind: Any, value: Any) -> set[str]:
    """Where a value is not as the type says: names, dotted, without positions in lists; none for the value itself."""
    try:
        adapter(kind).validate_json(json.dumps(value))
    except ValidationError as error:
        return {path_of(value, problem["loc"]) for problem in error.errors()}
    return set()


def path_of(value: Any, steps: Sequence[int | str]) -> str:
    """As far as the steps lead into the value: then come names of types, or of what is missing."""
    names = []
    for step in steps:
        if isinstance(value, dict) and step in value:
            names.append(str(step))
        elif not (isinstance(value, list) and isinstance(step, int)):
            break
        value = value[step]
    return ".".join(names)


def operation_of(request: httpx.Request) -> str:
    """`GET /v1/files/file-1` as the table above names it."""
    path = request.url.path.partition("/v1")[2]
    for collection, name in IDS:
        path = re.sub(f"/{collection}/(?!search$)[^/]+", f"/{collection}/{{{name}}}", path)
    return f"{request.method} {path}"


def form_of(content: bytes, kind: str) -> Iterator[tuple[str, str]]:
    """The fields of a form that are texts."""
    _, _, boundary = kind.partition("boundary=")
    for part in content.split(f"--{boundary}".encode())[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        if b"; filename=" not in head:
            (name,) = re.findall(rb'; name="([^"]+)"', head)
            yield name.decode(), value.removesuffix(b"\r\n").decode()


def nested(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """`a[b]=1` as an object in an object, and numbers as numbers."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        outer, bracket, inner = name.partition("[")
        parent, last = (fields.setdefault(outer, {}), inner.removesuffix("]")) if bracket else (fields, name)
        parent[last] = int(value) if value.isdecimal() else value
    return fields


class Held(httpx.BaseTransport):
    """Passes requests on, and holds those that are taken, and what comes back, to the package's types."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner
        self.operations: set[str] = set()
        self.wrong_requests: set[Found] = set()
        self.wrong_answers: set[Found] = set()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        response = self.inner.handle_request(request)
        response.read()
        operation = operation_of(request)
        if response.is_success:
            self.operations.add(operation)
            self.wrong_requests |= {(operation, name) for name in self.wrong_in(operation, request)}
        else:
            operation = AN_ERROR
        if operation != BYTES:
            self.wrong_answers |= {(operation, name) for name in self.wrong_with(operation, response.json())}
        return response

    def close(self) -> None:
        self.inner.close()

    def wrong_in(self, operation: str, request: httpx.Request) -> set[str]:
        """Where what is sent is not as described: in its JSON, its form, or its query."""
        described = OPERATIONS[operation]
        content, kind = request.content, request.headers.get("content-type", "")
        if kind.startswith("multipart/"):
            return wrong(described.form, nested(form_of(content, kind)))
        if content:
            return wrong(described.body, json.loads(content))
        query = nested(parse_qsl(request.url.query.decode(), keep_blank_values=True))
        return wrong(described.query, query) if query else set()

    def wrong_with(self, operation: str, answer: Any) -> set[str]:
        """Where what came back is not as described."""
        return wrong(Refused if operation == AN_ERROR else OPERATIONS[operation].answer, answer)


def assert_as_described(held: Held, provider: str) -> None:
    """Nothing that was sent or answered differs, but for what is listed."""
    assert held.wrong_requests == set()
    assert held.wrong_answers <= set().union(*DEVIATIONS[provider].values())
