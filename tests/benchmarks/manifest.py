"""How fast manifests are read, at which memory: `python -m tests.benchmarks.manifest`; reports, asserts nothing.

Goals on two cores: 100,000 files by patterns with 20 overrides in 4 s and 1.5 KB a file; 10,000 explicit entries
parsed and validated in 2.5 s.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from vssync.manifest.build import build_manifest, check_document
from vssync.manifest.diagnostics import Documents
from vssync.manifest.yaml_loader import parse_document
from vssync.sources.load import LoadedManifest, load_sources
from vssync.sources.read import LoadOptions
from vssync.sources.schemas import load_schema

Result = TypeVar("Result")
FILES, FOLDERS, OVERRIDES, ENTRIES = 100_000, 500, 20, 10_000


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        by_patterns(root)
        say(f"{FILES:,} files by patterns, {OVERRIDES} overrides")
        print_duration("resolved, not hashed", lambda: load_sources(root, options=LoadOptions(hashed=False)))
        print_duration("resolved and hashed", lambda: load_sources(root))
        print_memory("kept, not hashed", lambda: load_sources(root, options=LoadOptions(hashed=False)))
        print_memory("kept, hashed", lambda: load_sources(root))
    text = explicit()
    say(f"{ENTRIES:,} explicit entries, {len(text) / 1e6:.1f} MB")
    form = load_schema("manifest.schema.json")
    document = print_duration("parsed", lambda: parse_document(text, "vssync.yaml"))
    print_duration("validated", lambda: check_document(document, form))
    print_duration("merged, checked, typed", lambda: build_manifest(Documents(document), form, None, {}))


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")


def print_duration(label: str, action: Callable[[], Result]) -> Result:
    start = time.perf_counter()
    result = action()
    say(f"  {label:<28}{time.perf_counter() - start:6.2f} s")
    return result


def print_memory(label: str, action: Callable[[], LoadedManifest]) -> None:
    gc.collect()
    tracemalloc.start()
    loaded = action()
    gc.collect()
    retained, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    count = len(loaded.desired.stores[0].files)
    say(f"  {label:<28}{retained / count:6,.0f} bytes a file, at most {peak / count:,.0f} while loading")


def by_patterns(root: Path) -> None:
    """A tree of small files in folders, half of them below one of the overrides' folders."""
    for number in range(FILES):
        path = root / f"docs/section-{number % FOLDERS:03}/chapter-{number % 7}/page-{number:06}.md"
        if number < FOLDERS * 7:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Page {number}\n")
    overrides = "".join(
        f"      - match: docs/section-{number:02}*/**/*.md\n        attributes: {{kind: kind-{number}}}\n"
        for number in range(OVERRIDES)
    )
    (root / "vssync.yaml").write_text(
        "version: 1\nowner: benchmark\nstores:\n  docs:\n"
        '    attributes: {product: docs, section: "${dir.1}"}\n'
        f"    files:\n      - path: docs/**/*.md\n    overrides:\n{overrides}"
    )


def explicit() -> str:
    """Entries with a path, a key, three attributes and chunking each."""
    entries = "".join(
        f"      - path: docs/section-{number % 100}/page-{number}.md\n"
        f"        key: pages/{number}.md\n"
        f"        attributes: {{lang: en, number: {number}, reviewed: true}}\n"
        "        chunking: {size: 400, overlap: 100}\n"
        for number in range(ENTRIES)
    )
    return f"version: 1\nowner: benchmark\nstores:\n  docs:\n    files:\n{entries}"


if __name__ == "__main__":
    main()
