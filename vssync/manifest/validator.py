"""jsonschema's validator, with `pattern` as editors read it and our own keyword `asWritten`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft7Validator, ValidationError, validators
from jsonschema.protocols import Validator

from vssync.manifest.acceptance import as_in_javascript
from vssync.manifest.scalars import NonCanonical


def _check_regex(
    _validator: Validator, pattern: str, value: object, _schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """The keyword `pattern` as JavaScript reads it."""
    if isinstance(value, str) and not re.search(as_in_javascript(pattern), value):
        yield ValidationError(f"does not match {pattern}")


def _check_as_written(
    _validator: Validator, is_required: bool, value: object, _schema: Mapping[str, Any]
) -> Iterator[ValidationError]:
    """The keyword `asWritten`, our own: with `true`, a number must read back as written (not `1e3` or `.inf`)."""
    if is_required and isinstance(value, NonCanonical):
        yield ValidationError(f"{value.text} is not kept as written")


_extend: Any = validators.extend  # untyped in jsonschema
SchemaValidator: Any = _extend(Draft7Validator, {"asWritten": _check_as_written, "pattern": _check_regex})
