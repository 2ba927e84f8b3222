"""The manifest's form: what jsonschema says, in words that name the object, what is wrong, and the way out.

The schema is the authority; this module only adds the rule that numbers must read back as written, which JSON Schema
cannot say. Rules over several fields are in `rules`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from jsonschema import Draft7Validator, ValidationError, validators
from jsonschema.protocols import Validator

from vssync.manifest.diagnostics import Diagnostic, TreePath, did_you_mean, format_path
from vssync.manifest.yaml_loader import NonCanonicalFloat, NonCanonicalInt, as_written

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
LABEL_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}")  # names of owners, stores, environments: as the schema says
Explanation = tuple[str, str]  # message and hint
Wrong = Any  # a ValidationError, all of whose fields are typed as perhaps unset


def _whole_pattern(_: Validator, pattern: str, value: object, __: Mapping[str, Any]) -> Iterator[ValidationError]:
    """`pattern` as JavaScript reads it: there, `$` does not match before a last line break."""
    if isinstance(value, str) and not re.search(re.sub(r"\$$", r"\\Z", pattern), value):
        yield ValidationError(pattern)


_extend: Any = validators.extend  # untyped in jsonschema


def _as_written(_: Validator, wanted: bool, value: object, __: Mapping[str, Any]) -> Iterator[ValidationError]:
    if wanted and isinstance(value, NonCanonicalInt | NonCanonicalFloat):
        yield ValidationError(value.text)


SchemaValidator: Any = _extend(Draft7Validator, {"asWritten": _as_written, "pattern": _whole_pattern})


def validate_tree(tree: Mapping[str, Any], schema: Mapping[str, Any], part: str = "") -> tuple[Diagnostic, ...]:
    """Every fault of a tree against the schema, or against one of its definitions. Paths are the tree's own."""
    version = tree.get("version")
    if not part and isinstance(version, int) and not isinstance(version, bool) and version > MANIFEST_VERSION:
        hint = "upgrade vssync, or write `version: 1`"
        return (
            Diagnostic(
                ("version",), f"`version` {version} is newer than the newest known here, {MANIFEST_VERSION}", hint
            ),
        )
    rules = _inlined(schema["definitions"][part] if part else schema, schema)
    errors = SchemaValidator(rules).iter_errors(tree)
    return tuple(fault for error in errors for fault in _faults(error))


def _inlined(node: Any, schema: Mapping[str, Any]) -> Any:
    """The schema with what its references name in their places: looking them up again for each value is slow."""
    if isinstance(node, list):
        return [_inlined(part, schema) for part in node]
    if not isinstance(node, dict):
        return node
    if isinstance(reference := node.get("$ref"), str):
        target: Any = schema
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        return _inlined(target, schema)
    return {name: _inlined(value, schema) for name, value in node.items()}


def _faults(error: Wrong) -> Iterator[Diagnostic]:
    path: TreePath = tuple(error.absolute_path)
    if error.validator == "additionalProperties":
        yield from _unknown_fields(error, path)
    elif error.validator == "required":
        yield from _missing_fields(error, path)
    elif "propertyNames" in error.relative_schema_path:
        message, hint = _say(error, f"the name `{_short(error.instance)}` in `{format_path(path)}`")
        yield Diagnostic((*path, error.instance), message, hint, at_name=True)
    elif not (error.validator in ("minimum", "maximum") and not math.isfinite(error.instance)):
        message, hint = _say(error, f"`{format_path(path)}`")
        yield Diagnostic(path, message, hint)


def _unknown_fields(error: Wrong, path: TreePath) -> Iterator[Diagnostic]:
    known = list(error.schema.get("properties", ()))
    for name in error.instance:
        if name not in known and not (name.startswith("x-") and "patternProperties" in error.schema):
            where = f" in `{format_path(path)}`" if path else ""
            hint = did_you_mean(name, known) or f"known here: {', '.join(word for word in known if word != '$schema')}"
            yield Diagnostic((*path, name), f"unknown field `{_short(name)}`{where}", hint, at_name=True)


def _missing_fields(error: Wrong, path: TreePath) -> Iterator[Diagnostic]:
    for name in error.validator_value:
        if name not in error.instance:
            subject = f"`{format_path(path)}`" if path else "the manifest"
            yield Diagnostic(path, f"{subject} lacks the field `{name}`", _example(name))


def _example(name: str) -> str:
    return "a File declared by `file_id` needs a key" if name == "key" else f"write `{name}: ...`"


def _say(error: Wrong, subject: str) -> Explanation:
    said = EXPLANATIONS.get(str(error.validator))
    return said(error, subject) if said else (f"{subject} is not allowed: {error.message}", "")


def _type(error: Wrong, subject: str) -> Explanation:
    wanted = error.validator_value if isinstance(error.validator_value, list) else [error.validator_value]
    kinds = [TYPE_NAMES[kind] for kind in wanted if kind != "null"]
    return f"{subject} must be {_either(kinds)}, not {_kind(error.instance)}", _type_hint(error.instance, kinds)


def _type_hint(value: object, kinds: list[str]) -> str:
    if isinstance(value, dict | list) and "text" in kinds:
        if "a number" in kinds:
            return 'one plain value: a list may be written as text, "a,b"'
        return 'text that starts with `{`, `[` or `*` needs quotes: "{a,b}/*.md"'
    if isinstance(value, str) and "a list" in kinds:
        return f"write [{_short(value)}]"
    if isinstance(value, str) and (meaning := YAML_1_1_BOOLEANS.get(value.lower())):
        return f"`{value}` is text in YAML 1.2; write {meaning}"
    if not isinstance(value, str | dict | list) and kinds == ["text"]:
        return f'write "{as_written(value)}"'
    return ""


def _kind(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    kinds = ((dict, "a mapping"), (list, "a list"), (str, "text"), (int, "a number"), (float, "a number"))
    return next((name for kind, name in kinds if isinstance(value, kind)), "null")


def _either(words: list[str]) -> str:
    last = words[-1]
    if len(words) == 1:
        return last
    return ", ".join(words) if " or " in last else f"{', '.join(words[:-1])} or {last}"


def _enum(error: Wrong, subject: str) -> Explanation:
    known = [str(word) for word in error.validator_value]
    allowed = _either([f"`{word}`" for word in known])
    return f"{subject} must be {allowed}, not {_shown(error.instance)}", did_you_mean(str(error.instance), known)


def _pattern(error: Wrong, subject: str) -> Explanation:
    shown = _shown(error.instance)
    message = "is not allowed" if shown in subject else f"cannot be {shown}"
    return f"{subject} {message}", f"allowed: {error.schema['patternErrorMessage']}"


def _written(error: Wrong, subject: str) -> Explanation:
    if not math.isfinite(error.instance):
        return f"{subject} is not a finite number: {error.message}", f'write "{error.message}" for the text'
    plain = int(error.instance) if isinstance(error.instance, int) else float(error.instance)
    return (
        f"{subject} would not be kept as written: {error.message} is {plain}",
        f'write {plain} for the number, or "{error.message}" for the text',
    )


EXPLANATIONS: dict[str, Callable[[Wrong, str], Explanation]] = {
    "type": _type,
    "enum": _enum,
    "pattern": _pattern,
    "asWritten": _written,
    "const": lambda e, subject: (f"{subject} must be {e.validator_value}, not {_shown(e.instance)}", ""),
    "minimum": lambda e, subject: (f"{subject} is {e.instance}; at least {e.validator_value} is allowed", ""),
    "maximum": lambda e, subject: (f"{subject} is {e.instance}; at most {e.validator_value} is allowed", ""),
    "minLength": lambda _, subject: (f"{subject} is empty", ""),
    "maxLength": lambda e, subject: (
        f"{subject} has {len(e.instance):,} characters; at most {e.validator_value} are allowed",
        "",
    ),
    "minItems": lambda _, subject: (f"{subject} is empty", "leave it out"),
    "maxProperties": lambda e, subject: (
        f"{subject} has {len(e.instance)} names; at most {e.validator_value} are allowed",
        "",
    ),
}


def _shown(value: object) -> str:
    return f"`{_short(value)}`" if isinstance(value, str) else _kind(value) if isinstance(value, bool) else str(value)


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
