"""The manifest's schema allows what the API does, and says so in its own numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from vssync import limits
from vssync.sources.schemas import load_schema

DEFINITIONS = load_schema("manifest.schema.json")["definitions"]
STORE = DEFINITIONS["store"]["properties"]
MAX_ID_LENGTH = 256  # no limit is documented, and ids seen are shorter
CHUNKING = DEFINITIONS["chunking"]["properties"]


# Numbers of OpenAI's description that only the schema needs: 64 characters of an attribute's name, 365 days
# (`VectorStoreExpirationAfter`), 2,000 files (`CreateVectorStoreFileBatchRequest`).
@pytest.mark.parametrize(
    ("rules", "expected"),
    [
        (STORE["id"], {"maxLength": MAX_ID_LENGTH}),
        (DEFINITIONS["file"]["properties"]["file_id"], {"maxLength": MAX_ID_LENGTH}),
        (STORE["description"], {"maxLength": limits.MAX_VALUE_LENGTH}),
        (STORE["metadata"], {"maxProperties": limits.MAX_METADATA}),
        (STORE["metadata"]["additionalProperties"], {"maxLength": limits.MAX_VALUE_LENGTH}),
        (DEFINITIONS["attributeName"], {"maxLength": 64}),
        (DEFINITIONS["attributes"]["additionalProperties"], {"maxLength": limits.MAX_VALUE_LENGTH}),
        (STORE["expires_after"]["properties"]["days"], range(1, 366)),
        (DEFINITIONS["service"]["properties"]["capabilities"]["properties"]["batch_size"], range(1, 2001)),
        (CHUNKING["size"], limits.CHUNK_SIZES),
        (CHUNKING["overlap"], range(limits.CHUNK_SIZES[-1] // 2 + 1)),
    ],
)
def test_the_schema_has_the_same_numbers(rules: Mapping[str, Any], expected: range | Mapping[str, int]) -> None:
    wanted = {"minimum": expected[0], "maximum": expected[-1]} if isinstance(expected, range) else expected
    assert {name: rules.get(name) for name in wanted} == wanted
