"""The manifest's schema allows what the API does, and says so in its own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from vssync import limits
from vssync.sources.schemas import load_schema

DEFINITIONS = load_schema("manifest.schema.json")["definitions"]
STORE = DEFINITIONS["store"]["properties"]
CHUNKING = DEFINITIONS["chunking"]["properties"]


@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (STORE["id"], {"maxLength": limits.MAX_ID_LENGTH}),
        (DEFINITIONS["file"]["properties"]["file_id"], {"maxLength": limits.MAX_ID_LENGTH}),
        (STORE["description"], {"maxLength": limits.MAX_VALUE_LENGTH}),
        (STORE["metadata"], {"maxProperties": limits.MAX_METADATA}),
        (STORE["metadata"]["additionalProperties"], {"maxLength": limits.MAX_VALUE_LENGTH}),
        (DEFINITIONS["attributeName"], {"maxLength": limits.MAX_KEY_LENGTH}),
        (DEFINITIONS["attributes"]["additionalProperties"], {"maxLength": limits.MAX_VALUE_LENGTH}),
        (STORE["expires_after"]["properties"]["days"], limits.EXPIRY_DAYS),
        (DEFINITIONS["service"]["properties"]["capabilities"]["properties"]["batch_size"], limits.BATCH_SIZES),
        (CHUNKING["size"], limits.CHUNK_SIZES),
        (CHUNKING["overlap"], range(limits.CHUNK_SIZES[-1] // 2 + 1)),
    ],
)
def test_the_schema_has_the_same_numbers(rules: Mapping[str, Any], expected: range | Mapping[str, int]) -> None:
    wanted = {"minimum": expected[0], "maximum": expected[-1]} if isinstance(expected, range) else expected
    assert {name: rules.get(name) for name in wanted} == wanted
