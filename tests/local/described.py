"""A published description of OpenAI's API as a judge: `VSSYNC_CONTRACT_SPEC` says where its file is."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import yaml
from jsonschema import Draft202012Validator, ValidationError
from referencing import Registry
from referencing.jsonschema import DRAFT202012

from tests.contract import AN_ERROR, Held

SPEC = os.environ.get("VSSYNC_CONTRACT_SPEC", "")
AS_JSON = ("content", "application/json", "schema")
NOT_DESCRIBED = {
    "GET /vector_stores/{vector_store_id}/file_batches",
    *("GET /models", "GET /models/{model}", "POST /responses"),  # in other parts of it
}


@cache
def spec() -> Any:
    return closed(yaml.safe_load(Path(SPEC).read_text()))


def closed(part: Any) -> Any:
    """With no further fields in any object, and with OpenAPI's `nullable` as JSON Schema has it."""
    if isinstance(part, list):
        return [closed(subschema) for subschema in part]
    if not isinstance(part, dict):
        return part
    inner = {name: closed(subschema) for name, subschema in part.items()}
    if isinstance(part.get("properties"), dict):
        inner = {"additionalProperties": False, **inner}
    nullable = any(subschema.get("nullable") is True for subschema in (part, *part.get("allOf", ())))
    return {"anyOf": [inner, {"type": "null"}]} if nullable else inner


class Described(Held):
    """Holds both sides to the published description."""

    def wrong_in(self, operation: str, request: httpx.Request) -> set[str]:
        verb, path = operation.split(" ")
        if operation not in NOT_DESCRIBED and "json" in request.headers.get("content-type", ""):
            return differing(json.loads(request.content), "paths", path, verb.lower(), "requestBody", *AS_JSON)
        return set()

    def wrong_with(self, operation: str, answer: Any) -> set[str]:
        if operation == AN_ERROR:
            return differing(answer, "components", "schemas", "ErrorResponse")
        verb, path = operation.split(" ")
        if operation in NOT_DESCRIBED:
            return set()
        return differing(answer, "paths", path, verb.lower(), "responses", "200", *AS_JSON)


def differing(value: Any, *place: str) -> set[str]:
    """Where a value is not as this place of the description says, list positions left out."""
    pointer = "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in place)
    document = DRAFT202012.create_resource(spec())
    registry: Registry[Any] = Registry().with_resource("urn:spec", document)
    errors = Draft202012Validator({"$ref": f"urn:spec#{pointer}"}, registry=registry).iter_errors(value)
    return {".".join(names) for error in errors for names in places(error)}


def places(error: ValidationError) -> Iterator[list[str]]:
    """Of further fields each, else the one that is wrong, or lacks something."""
    names = [part for part in error.absolute_path if isinstance(part, str)]
    instance: Any = error.instance
    schema: Any = error.schema
    if error.validator == "additionalProperties":
        yield from ([*names, further] for further in sorted(set(instance) - set(schema["properties"])))
    else:
        yield names


def operations() -> set[str]:
    """All that are described, but for uploads in parts."""
    paths = {path: verbs for path, verbs in spec()["paths"].items() if not path.startswith("/uploads")}
    return {f"{verb.upper()} {path}" for path, verbs in paths.items() for verb in verbs}
