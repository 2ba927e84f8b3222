"""How long documents of each kind take to convert here, by one process; and to read back from the cache.

Run as `python -m tests.bench.conversion`, with the extra `convert`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from tests.sources.documents import docx, ipynb, pptx, xlsx
from vssync.sources.convert import Converter
from vssync.sources.engine import DEFAULT_LIMITS, Converters

COUNT = 200
PAGE = " ".join(["Lamps are tested before they leave the works, and each has a number."] * 40)  # some 500 words


def documents(number: int) -> Iterator[tuple[str, bytes]]:
    """One of each kind, of a few pages."""
    yield ".docx", docx(f"Lamp {number}", f"{PAGE}</w:t></w:r></w:p><w:p><w:r><w:t>" * 4)
    yield ".pptx", pptx(f"Lamp {number}")
    yield ".xlsx", xlsx(("name", "size"), *((f"lamp {number} {row}", row) for row in range(200)))
    yield ".html", f"<h1>Lamp {number}</h1>{f'<p>{PAGE}</p>' * 4}".encode()
    yield ".csv", ("name,size\n" + "".join(f"lamp {number} {row},{row}\n" for row in range(200))).encode()
    yield ".ipynb", ipynb(*[("markdown", f"# {number}\n{PAGE}"), ("code", "x = 1")] * 4)


def main() -> Iterator[str]:
    converters = Converters()
    start = perf_counter()
    converters.convert(b"a,b\n", ".csv", DEFAULT_LIMITS)
    yield f"the first document, with its process: {perf_counter() - start:.1f} s"
    kinds: dict[str, list[bytes]] = {}
    for number in range(COUNT):
        for extension, data in documents(number):
            kinds.setdefault(extension, []).append(data)
    for extension, files in kinds.items():
        start = perf_counter()
        sizes = [len(converters.convert(data, extension, DEFAULT_LIMITS).markdown) for data in files]
        seconds = (perf_counter() - start) / COUNT
        read, made = sum(map(len, files)) / COUNT / 1000, sum(sizes) / COUNT / 1000
        yield f"{extension:6} {read:6.1f} KB to {made:5.1f} KB of Markdown: {seconds * 1000:6.1f} ms"
    converters.close()
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder, f"{number}{extension}") for number in range(COUNT) for extension in kinds]
        for path in paths:
            path.write_bytes(kinds[path.suffix][int(path.stem)])
        converter = Converter(cache_folder=Path(folder, "state"))
        for what in ("all of them, by the processes of this machine", "once more, from the cache"):
            start = perf_counter()
            count = sum(not each.conversion.problem for each in converter.convert_files((p, p.suffix) for p in paths))
            yield f"{count:,} files, {what}: {perf_counter() - start:.1f} s"


if __name__ == "__main__":
    for line in main():
        sys.stdout.write(f"{line}\n")
