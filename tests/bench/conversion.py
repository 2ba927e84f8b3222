"""How much processor time documents of each kind take to convert; and how long a folder of them takes here.

Run as `python -m tests.bench.conversion`, with the extra `convert`.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter, process_time

from tests.sources.documents import docx, ipynb, pptx, xlsx
from vssync.sources.convert import Converter
from vssync.sources.converter import to_markdown

COUNT = 50
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
    start = process_time()
    to_markdown(b"a,b\n", ".csv")
    yield f"the first document, with all imports: {process_time() - start:.1f} s"
    kinds: dict[str, list[bytes]] = {}
    for number in range(COUNT):
        for extension, data in documents(number):
            kinds.setdefault(extension, []).append(data)
    for extension, files in kinds.items():
        start = process_time()
        sizes = [len(to_markdown(data, extension)) for data in files]
        seconds = (process_time() - start) / COUNT
        read, made = sum(map(len, files)) / COUNT / 1000, sum(sizes) / COUNT / 1000
        yield f"{extension:6} {read:6.1f} KB to {made:5.1f} KB of Markdown: {seconds * 1000:6.1f} ms"
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
