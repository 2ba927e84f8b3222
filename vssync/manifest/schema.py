"""Validates a manifest against its schema; each diagnostic names the object, what is wrong, and the way out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from textwrap import indent
from typing import Any

from vssync.manifest.acceptance import Check, compile_check
from vssync.manifest.diagnostics import API_CHUNKING, Diagnostic, did_you_mean, format_path
from vssync.manifest.scalars import is_finite, plain_number, to_text
from vssync.manifest.yaml_loader import TreePath
from vssync.text import shorten_middle

_TYPE_NAMES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
_YAML_1_1_BOOLEANS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
MANIFEST_VERSION = 1
MAX_VALUE_WIDTH = 60  # of a value in a message
LABEL_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}")  # names of owners, stores, environments: as the schema says
_CHUNKING = "chunking: {size: 800, overlap: 400}"
# What people write by mistake or out of habit. (unknown name, a field allowed beside it) -> what to write.
_EXAMPLES = {
    ("name", "owner"): "owner: product-docs",
    ("vector_stores", "stores"): "stores:\n  guide: {files: [{path: docs/**/*.md}]}",
    ("front_matter", "attributes"): "attributes:\n  title: {from: front_matter}",
    ("extensions", "formats"): "formats:\n  .adoc: .adoc",
    ("batch", "service"): "service:\n  capabilities: {batch_size: 500}",
    ("batch", "guards"): "service:\n  capabilities: {batch_size: 500}",
    ("questions", "stores"): "stores:\n  guide: {tests: questions.yaml}",
    ("questions", "tests"): "tests: questions.yaml",
    ("name", "file_id"): "filename: sso.md",
    ("not", "only"): 'only: ["!prod"]',
    **{(name, "removed"): "removed: delete" for name in ("delete", "deleted", "destroy", "state", "ensure")},
    ("keep", "removed"): "removed: keep",
    ("path", "files"): "files:\n  - path: docs/**/*.md",
    ("paths", "files"): "files:\n  - path: docs/**/*.md",
    ("exclude", "files"): "files:\n  - {path: docs/**/*.md, exclude: [docs/drafts]}",
    **{(name, "guards"): "guards: {max_delete: 30%, max_replace: 50%}" for name in ("max_delete", "max_replace")},
    **{(name, "chunking"): _CHUNKING for name in ("chunking_strategy", "chunk_size", "chunk_overlap")},
    **{(name, "chunking"): _CHUNKING for name in API_CHUNKING.values()},
    **{(name, "size"): _CHUNKING for name in ("type", "static", *API_CHUNKING.values())},
}
_SERVICE_HINTS = {  # what a manifest never holds, and where to set it
    **dict.fromkeys(
        ("api_key", "key", "token", "bearer", "password", "secret"), "a manifest holds no secrets: set VSSYNC_API_KEY"
    ),
    **dict.fromkeys(
        ("auth_command", "token_command", "command"),
        "anybody may propose a manifest, so none names a command to run: use --auth-command or VSSYNC_AUTH_COMMAND",
    ),
}
Violation = Any  # jsonschema's ValidationError, whose stubs call every field optional


def validate_tree(tree: Mapping[str, Any], schema: Mapping[str, Any], definition: str = "") -> tuple[Diagnostic, ...]:
    """Everything wrong with a tree by the schema, or by the part of the schema that `definition` names."""
    version = tree.get("version")
    if not definition and isinstance(version, int) and not isinstance(version, bool) and version > MANIFEST_VERSION:
        message = f"`version` {version} is newer than this vssync, which reads version {MANIFEST_VERSION}"
        return (Diagnostic(("version",), message, f"upgrade vssync, or write `version: {MANIFEST_VERSION}`"),)
    inlined, is_valid = compile_schema(schema, definition)
    if is_valid(tree):
        return ()
    from vssync.manifest.validator import SchemaValidator  # most trees need no jsonschema

    manifest, _ = compile_schema(schema, "")
    errors = SchemaValidator(inlined).iter_errors(tree)
    return tuple(diagnostic for error in errors for diagnostic in _to_diagnostics(error, manifest))


CompiledSchema = tuple[Mapping[str, Any], Check]
# By a schema's `id` and the definition. The schema is kept, so that its `id` is not reused.
_COMPILED: dict[tuple[int, str], tuple[Mapping[str, Any], CompiledSchema]] = {}


def compile_schema(schema: Mapping[str, Any], definition: str) -> CompiledSchema:
    """The schema without references and its check, made once: a program may open many manifests."""
    cache_key = (id(schema), definition)
    if cache_key not in _COMPILED:
        inlined = _inline_references(schema["definitions"][definition] if definition else schema, schema, {})
        _COMPILED[cache_key] = schema, (inlined, compile_check(inlined, {}))
    return _COMPILED[cache_key][1]


def _inline_references(node: Any, schema: Mapping[str, Any], inlined: dict[str, Any]) -> Any:
    """The schema with each `$ref` replaced by what it refers to: looking it up for every value is slow.

    `inlined` collects the targets, each of which is built once.
    """
    if isinstance(node, list):
        return [_inline_references(item, schema, inlined) for item in node]
    if not isinstance(node, dict):
        return node
    if isinstance(reference := node.get("$ref"), str):
        if reference not in inlined:
            target: Any = schema
            for step in reference.removeprefix("#/").split("/"):
                target = target[step]
            inlined[reference] = _inline_references(target, schema, inlined)
        return inlined[reference]
    return {name: _inline_references(value, schema, inlined) for name, value in node.items()}


def _to_diagnostics(error: Violation, manifest: Mapping[str, Any]) -> Iterator[Diagnostic]:
    """The diagnostics for one of jsonschema's errors: several, one, or none if another error reports the same.

    `manifest` is the form of a whole manifest, or of a file of questions.
    """
    path: TreePath = tuple(error.absolute_path)
    subject = f"`{format_path(path)}`"
    if error.validator == "additionalProperties":
        allowed = list(error.schema.get("properties", ()))
        takes_x_fields = "patternProperties" in error.schema
        for name in error.instance:
            if name not in allowed and not (name.startswith("x-") and takes_x_fields):
                parent = f" in {subject}" if path else ""
                message = f"unknown field `{shorten_middle(name, MAX_VALUE_WIDTH)}`{parent}"
                hint = _unknown_field_hint(name, allowed, path, manifest)
                yield Diagnostic((*path, name), message, hint, at_name=True)
    elif error.validator == "required":
        # jsonschema reports each missing name, and lists all required names each time; identical problems are merged in
        # ManifestError.
        for name in (name for name in error.validator_value if name not in error.instance):
            hint = "an entry with `file_id` needs a `key`" if name == "key" else f"write `{name}: ...`"
            document = "the file" if "questions" in error.schema.get("properties", ()) else "the manifest"
            yield Diagnostic(path, f"{subject if path else document} lacks the field `{name}`", hint)
    elif "propertyNames" in error.relative_schema_path:
        name = f"the name `{shorten_middle(error.instance, MAX_VALUE_WIDTH)}` in {subject}"
        yield Diagnostic((*path, error.instance), *_explain(error, name, is_name=True), at_name=True)
    elif error.validator not in ("minimum", "maximum") or is_finite(error.instance):  # `asWritten` reports the others
        yield Diagnostic(path, *_explain(error, subject))


def _unknown_field_hint(name: str, allowed: list[str], path: TreePath, manifest: Mapping[str, Any]) -> str:
    """A hint for a field that is not among those allowed beside it."""
    examples = (example for (unknown, other), example in _EXAMPLES.items() if unknown == name and other in allowed)
    if example := next(examples, ""):
        return f"write\n{indent(example, ' ' * 6)}"
    is_in_service = "data_url" in allowed  # which no other mapping has
    hint = _SERVICE_HINTS.get(name.replace("-", "_")) if is_in_service else ""
    choices = ", ".join(other for other in allowed if other != "$schema")
    return hint or _places_hint(name, path, manifest) or did_you_mean(name, allowed) or f"allowed here: {choices}"


def _places_hint(name: str, path: TreePath, manifest: Mapping[str, Any]) -> str:
    """Where a field belongs that other mappings of the manifest have: what is nearest to the path, and least deep."""
    by_distance: dict[tuple[int, int], list[str]] = {}
    for place in _find_places(name, manifest, path, ()):
        shared = sum(place[:length] == path[:length] for length in range(1, len(place) + 1))
        depth = len(place) + ("defaults" in place)  # so that it is as deep as `stores.NAME`
        where = f"in `{format_path(place)}`" if place else "at the top of the manifest"
        by_distance.setdefault((-shared, depth), []).append(where)
    return f"it belongs {_join_alternatives(by_distance[min(by_distance)])}" if by_distance else ""


def _find_places(name: str, form: Mapping[str, Any], path: TreePath, place: TreePath) -> Iterator[TreePath]:
    """The mappings that have this field; where their names are free, they are those of the path."""
    free: str | int = path[len(place)] if path[: len(place)] == place != path else "NAME"
    fields, of_any = form.get("properties", {}), form.get("additionalProperties")
    if name in fields:
        yield place
    for field, below in [*fields.items(), (free, of_any), (0, form.get("items"))]:
        if isinstance(below, dict):
            yield from _find_places(name, below, path, (*place, field))


def _type_hint(value: object, allowed_types: list[str]) -> str:
    """A hint for a value of a wrong type; `allowed_types` are names from _TYPE_NAMES."""
    if isinstance(value, dict | list) and "text" in allowed_types:
        if "a number" in allowed_types:
            return 'one plain value: a list may be written as text, "a,b"'
        return 'text that starts with `{` or `[` needs quotes: "{a,b}/*.md"'
    if isinstance(value, str) and "a list" in allowed_types:
        return f"write [{shorten_middle(value, MAX_VALUE_WIDTH)}]"
    if isinstance(value, str) and (meaning := _YAML_1_1_BOOLEANS.get(value.lower())):
        return f"`{value}` is text in YAML 1.2; write {meaning}"
    if isinstance(value, bool | int | float) and allowed_types == ["text"]:
        return f'write "{to_text(value)}"'
    return ""


def _type_name(value: object) -> str:
    """What a value is, for "must be text, not ..."; a boolean is named by its value."""
    if isinstance(value, bool):
        return "true" if value else "false"
    names = ((dict, "a mapping"), (list, "a list"), (str, "text"), (int, "a number"), (float, "a number"))
    return next((name for type_, name in names if isinstance(value, type_)), "null")


def _join_alternatives(words: list[str]) -> str:
    """Words joined with "or"; only with commas if the last is "true or false", which has an "or" of its own."""
    last = words[-1]
    if len(words) == 1:
        return last
    return ", ".join(words) if " or " in last else f"{', '.join(words[:-1])} or {last}"


_SENTENCES = {
    "const": "must be {limit}, not {value}",
    "minimum": "is {value}; must be at least {limit}",
    "maximum": "is {value}; must be at most {limit}",
    "minLength": "is empty",
    "maxLength": "has {size:,} characters; at most {limit} are allowed",
    "minItems": "is empty",
    "maxProperties": "has {size:,} names; at most {limit} are allowed",
}


def _explain(error: Violation, subject: str, *, is_name: bool = False) -> tuple[str, str]:
    """The message and the hint for a value (or with `is_name`, a field's name) that breaks a rule of the schema."""
    value, limit = error.instance, error.validator_value
    shown = shorten_middle(str(value), MAX_VALUE_WIDTH)
    if isinstance(value, str):
        shown = f"`{shown}`"
    elif value is None or isinstance(value, bool):
        shown = _type_name(value)
    match error.validator:
        case "type":
            return _explain_type(error, subject)
        case "const" if isinstance(value, str) and value == str(limit):
            return f"{subject} must be {limit}, not text", f"write {limit} without quotes"
        case "enum":
            allowed = [str(word) for word in limit if word is not None]
            choices = _join_alternatives([f"`{word}`" for word in allowed])
            return f"{subject} must be {choices}, not {shown}", did_you_mean(str(value), allowed)
        case "pattern":
            message = "is not allowed" if is_name else f"cannot be {shown}"
            return f"{subject} {message}", f"allowed: {error.schema['patternErrorMessage']}"
        case "asWritten" if not is_finite(value):
            text = shorten_middle(value.text, MAX_VALUE_WIDTH)
            return f"{subject} is not a finite number: {text}", f'write "{text}" for the text'
        case "asWritten":
            plain = plain_number(value)
            message = f"{subject} would not be kept as written: {value.text} is {plain}"
            return message, f'write {plain} for the number, or "{value.text}" for the text'
    size = len(value) if isinstance(value, str | dict) else 0
    sentence = _SENTENCES.get(error.validator, "is not allowed: {message}")
    sentence = sentence.format(limit=limit, value=shown, size=size, message=error.message)
    return f"{subject} {sentence}", "name at least one" if error.validator == "minItems" else ""


def _explain_type(error: Violation, subject: str) -> tuple[str, str]:
    """The message and the hint for a value of the wrong type."""
    value, types = error.instance, error.validator_value
    allowed_types = [_TYPE_NAMES[name] for name in ([types] if isinstance(types, str) else types) if name != "null"]
    message = f"{subject} must be {_join_alternatives(allowed_types)}, not"
    allowed = error.schema.get("patternErrorMessage")  # which text, such as `30%`
    # Quotes would not make this whole number match the pattern.
    if (
        allowed_types == ["text"]
        and type(value) is int
        and allowed
        and not re.search(error.schema["pattern"], str(value))
    ):
        return f"{message} {_type_name(value)}", f"allowed: {allowed}"
    if isinstance(value, float) and "a whole number" in allowed_types:
        return f"{message} {shorten_middle(to_text(value), MAX_VALUE_WIDTH)}", f"allowed: {allowed}" if allowed else ""
    return f"{message} {_type_name(value)}", _type_hint(value, allowed_types)
