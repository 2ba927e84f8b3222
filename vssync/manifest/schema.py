"""The manifest's form: what jsonschema finds, in words that name the object, what is wrong, and the way out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from textwrap import indent
from typing import Any

from jsonschema import Draft7Validator, ValidationError, validators
from jsonschema.protocols import Validator

from vssync.manifest.diagnostics import Diagnostic, did_you_mean, format_path
from vssync.manifest.scalars import NonCanonical, is_finite, plain_number, to_text
from vssync.manifest.yaml_loader import TreePath
from vssync.text import shorten_middle

TYPE_NAMES = {
    "object": "a mapping",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "null": "null",
}
YAML_1_1_BOOLEANS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
MANIFEST_VERSION = 1
MAX_VALUE_WIDTH = 60  # of a value in a message
LABEL_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}")  # names of owners, stores, environments: as the schema says
_CHUNKING = "chunking: {size: 800, overlap: 400}"
# (wrong name, a field known in the same mapping, to tell which mapping it is) -> example to show
_HABITS = {
    ("name", "owner"): "owner: product-docs",
    ("vector_stores", "stores"): "stores:\n  guide: {files: [{path: docs/**/*.md}]}",
    ("front_matter", "attributes"): "attributes:\n  title: {from: front_matter}",
    ("extensions", "formats"): "formats:\n  .adoc: .adoc",
    ("batch", "service"): "service:\n  capabilities: {batch_size: 500}",
    ("batch", "guards"): "service:\n  capabilities: {batch_size: 500}",
    ("batch_size", "capabilities"): "capabilities:\n  batch_size: 500",
    ("not", "only"): 'only: ["!prod"]',
    **{(name, "removed"): "removed: delete" for name in ("delete", "deleted", "destroy", "state", "ensure")},
    ("keep", "removed"): "removed: keep",
    ("path", "files"): "files:\n  - path: docs/**/*.md",
    ("paths", "files"): "files:\n  - path: docs/**/*.md",
    ("exclude", "files"): "files:\n  - {path: docs/**/*.md, exclude: [docs/drafts]}",
    **dict.fromkeys(
        (("max_delete", "guards"), ("max_replace", "guards")), "guards: {max_delete: 30%, max_replace: 50%}"
    ),
    **{(name, "chunking"): _CHUNKING for name in ("chunking_strategy", "chunk_size", "chunk_overlap")},
    **{
        (name, each): _CHUNKING
        for name in ("max_chunk_size_tokens", "chunk_overlap_tokens")
        for each in ("chunking", "size")
    },
    **dict.fromkeys((("type", "size"), ("static", "size")), _CHUNKING),
}
_NO_SECRETS = "a manifest holds no secrets: set VSSYNC_API_KEY"
_NOT_WRITTEN = {  # what people look for in `service`, and where it belongs
    **dict.fromkeys(("api_key", "key", "token", "bearer", "password", "secret"), _NO_SECRETS),
    **dict.fromkeys(
        ("auth_command", "token_command", "command"),
        "anybody may propose a manifest, so none names a command to run: use --auth-command or VSSYNC_AUTH_COMMAND",
    ),
}
Violation = Any  # jsonschema's ValidationError, whose stubs call every field optional


def _check_pattern(
    _validator: Validator, pattern: str, value: object, _schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """The keyword `pattern` as JavaScript reads it: there, `$` does not match before a final line break."""
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError(f"does not match {pattern}")


def _check_to_text(
    _validator: Validator, is_required: bool, value: object, _schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """The keyword `asWritten`, our own: with `true`, a number must read back as written (not `1e3` or `.inf`)."""
    if is_required and isinstance(value, NonCanonical):
        yield ValidationError(f"{value.text} is not kept as written")


_extend: Any = validators.extend  # untyped in jsonschema
SchemaValidator: Any = _extend(Draft7Validator, {"asWritten": _check_to_text, "pattern": _check_pattern})


def validate_tree(tree: Mapping[str, Any], schema: Mapping[str, Any], definition: str = "") -> tuple[Diagnostic, ...]:
    """Everything wrong with a tree by the schema, or by the part of the schema that `definition` names."""
    version = tree.get("version")
    if not definition and isinstance(version, int) and not isinstance(version, bool) and version > MANIFEST_VERSION:
        message = f"`version` {version} is newer than this vssync, which reads version {MANIFEST_VERSION}"
        return (Diagnostic(("version",), message, "upgrade vssync, or write `version: 1`"),)
    errors = _validator(schema, definition).iter_errors(tree)
    return tuple(diagnostic for error in errors for diagnostic in _to_diagnostics(error))


_VALIDATORS: dict[tuple[int, str], tuple[Mapping[str, Any], Validator]] = {}  # with the schema, so that its id stays


def _validator(schema: Mapping[str, Any], definition: str) -> Validator:
    """Made once: a program that opens many manifests has one schema for all."""
    place = (id(schema), definition)
    if place not in _VALIDATORS:
        start = schema["definitions"][definition] if definition else schema
        _VALIDATORS[place] = schema, SchemaValidator(_inline_references(start, schema, {}))
    return _VALIDATORS[place][1]


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


def _to_diagnostics(error: Violation) -> Iterator[Diagnostic]:
    """The diagnostics for one of jsonschema's errors: several, one, or none if another error reports the same."""
    path: TreePath = tuple(error.absolute_path)
    subject = f"`{format_path(path)}`"
    if error.validator == "additionalProperties":
        allowed = list(error.schema.get("properties", ()))
        choices = ", ".join(word for word in allowed if word != "$schema")
        takes_x_fields = "patternProperties" in error.schema
        for name in error.instance:
            if name not in allowed and not (name.startswith("x-") and takes_x_fields):
                place = f" in {subject}" if path else ""
                message = f"unknown field `{shorten_middle(name, MAX_VALUE_WIDTH)}`{place}"
                habit = next(
                    (form for (tried, neighbour), form in _HABITS.items() if tried == name and neighbour in allowed), ""
                )
                elsewhere = _NOT_WRITTEN.get(name.replace("-", "_"), "") if "data_url" in allowed else ""
                hint = elsewhere or did_you_mean(name, allowed) or f"allowed here: {choices}"
                hint = f"write\n{indent(habit, ' ' * 6)}" if habit else hint
                yield Diagnostic((*path, name), message, hint, at_name=True)
    elif error.validator == "required":
        # jsonschema reports each missing name, and lists all required names each time; identical problems are merged in
        # ManifestError.
        for name in (name for name in error.validator_value if name not in error.instance):
            hint = "an entry with `file_id` needs a `key`" if name == "key" else f"write `{name}: ...`"
            yield Diagnostic(path, f"{subject if path else 'the manifest'} lacks the field `{name}`", hint)
    elif "propertyNames" in error.relative_schema_path:
        name = f"the name `{shorten_middle(error.instance, MAX_VALUE_WIDTH)}` in {subject}"
        yield Diagnostic((*path, error.instance), *_explain(error, name, is_name=True), at_name=True)
    # inf and NaN are reported by `asWritten`
    elif error.validator not in ("minimum", "maximum") or is_finite(error.instance):
        yield Diagnostic(path, *_explain(error, subject))


def _type_hint(value: object, allowed_types: list[str]) -> str:
    """A hint for a value of a wrong type; `allowed_types` are names from TYPE_NAMES."""
    if isinstance(value, dict | list) and "text" in allowed_types:
        if "a number" in allowed_types:
            return 'one plain value: a list may be written as text, "a,b"'
        return 'text that starts with `{` or `[` needs quotes: "{a,b}/*.md"'
    if isinstance(value, str) and "a list" in allowed_types:
        return f"write [{shorten_middle(value, MAX_VALUE_WIDTH)}]"
    if isinstance(value, str) and (meaning := YAML_1_1_BOOLEANS.get(value.lower())):
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
    shown = f"`{shown}`" if isinstance(value, str) else shown
    shown = _type_name(value) if value is None or isinstance(value, bool) else shown
    match error.validator:
        case "type":
            json_types = [limit] if isinstance(limit, str) else limit
            allowed_types = [TYPE_NAMES[name] for name in json_types if name != "null"]
            is_fraction = isinstance(value, float) and "a whole number" in allowed_types
            message = f"{subject} must be {_join_alternatives(allowed_types)}, not "
            message += shorten_middle(to_text(value), MAX_VALUE_WIDTH) if is_fraction else _type_name(value)
            form = error.schema.get("patternErrorMessage") if is_fraction else ""
            return message, f"allowed: {form}" if form else _type_hint(value, allowed_types)
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
