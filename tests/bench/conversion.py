"""How much processor time documents of each kind take to convert; and how long a folder of them takes here.

Run as `python -m tests.bench.conversion [FILES]`, with the extra `convert`.
"""

from __future__ import annotations

import os
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


def main(count: int) -> Iterator[str]:
    start = process_time()
    to_markdown(b"a,b\n", ".csv")
    yield f"the first document, with all imports: {process_time() - start:.1f} s"
    kinds: dict[str, list[bytes]] = {}
    for number in range(COUNT):
        for extension, data in documents(number):
            kinds.setdefault(extension, []).append(data)
    for extension, made in kinds.items():
        start = process_time()
        sizes = [len(to_markdown(data, extension)) for data in made]
        seconds = (process_time() - start) / COUNT
        read, written = sum(map(len, made)) / COUNT / 1000, sum(sizes) / COUNT / 1000
        yield f"{extension:6} {read:6.1f} KB to {written:5.1f} KB of Markdown: {seconds * 1000:6.1f} ms"
    yield from convert_folder(count)


def convert_folder(count: int) -> Iterator[str]:
    """So many files, of all kinds in turn, in one run of the converter and in a second one."""
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number in range(-(-count // 6)):
            for extension, data in documents(number):
                paths.append(Path(folder, f"{number}{extension}"))
                paths[-1].write_bytes(data)
        paths, converter = paths[:count], Converter(cache_folder=Path(folder, "state"))
        megabytes = sum(path.stat().st_size for path in paths) / 1e6
        for what in ("by the processes of this machine", "once more, from the cache"):
            start, before, children = perf_counter(), process_time(), _children_seconds()
            made = [each.conversion for each in converter.convert_files((path, path.suffix) for path in paths)]
            here, there = process_time() - before, _children_seconds() - children
            counts = f"{sum(not each.problem for each in made):,} files of {megabytes:.0f} MB"
            text = f"{sum(len(each.markdown) for each in made) / 1e6:.0f} MB of Markdown"
            seconds = f"{perf_counter() - start:.1f} s, {here:.1f} s of processor here and {there:.1f} s there"
            yield f"{counts} to {text}, {what}: {seconds}"


def _children_seconds() -> float:
    times = os.times()
    return times.children_user + times.children_system


if __name__ == "__main__":
    for line in main(int(sys.argv[1]) if sys.argv[1:] else 6 * COUNT):
        sys.stdout.write(f"{line}\n")
