"""Of a document, however long, a bounded part is held."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest

from vssync.errors import ManifestError
from vssync.sources.load import load_sources

MB = 1 << 20
MANIFEST = "version: 1\nowner: kb\nstores: {s: {attributes: {title: {from: %s}}, files: [{path: doc.md}]}}\n"


@pytest.mark.parametrize(
    ("source", "begin", "message"),
    [
        ("front_matter", "---\ntitle: ", "no line `---` ends it within 65,536 characters"),
        ("front_matter", "+++\ntitle = '", "no line `\\+\\+\\+` ends it within 65,536 characters"),
        ("front_matter", '{"title": "', "is longer than 65,536 characters"),
        ("heading", "# ", "its `heading` has 65,534 characters"),
    ],
)
def test_a_text_of_12_mb_is_an_error_that_takes_a_few(tmp_path: Path, source: str, begin: str, message: str) -> None:
    (tmp_path / "vssync.yaml").write_text(MANIFEST % source)
    (tmp_path / "doc.md").write_text(begin + "x" * 12 * MB)
    tracemalloc.start()
    try:
        with pytest.raises(ManifestError, match=message) as caught:
            load_sources(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 6 * MB
    finally:
        tracemalloc.stop()
    assert len(str(caught.value)) < 500
