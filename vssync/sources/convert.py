"""Documents that are uploaded as Markdown: converts them, and gives the bytes of any file to upload."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from vssync.errors import VssyncError
from vssync.files import read_input
from vssync.manifest.spec import CONVERTIBLE_EXTENSIONS
from vssync.model.state import DesiredFile, extension_of
from vssync.sources.converter import CONVERTER_SET, find_set_problem
from vssync.sources.engine import DEFAULT_LIMITS, Conversion, ConversionLimits, open_engine
from vssync.sources.paths import Sandbox, on_disk

if TYPE_CHECKING:
    from vssync.sources.cache import ConversionCache

_MAX_DOCUMENT_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class ConvertedFile:
    """A file that was converted: as marks name its source, and what became of it."""

    source: str
    conversion: Conversion


@dataclass(frozen=True, slots=True)
class Converter:
    """Converts files, by an engine, with a cache in a folder, if there is one."""

    engine: str = ""
    cache_folder: Path | None = None
    limits: ConversionLimits = DEFAULT_LIMITS
    # By source and SHA-256 of the Markdown, what each file was converted as in this process.
    _extensions: dict[tuple[str, str], str] = field(default_factory=dict)

    def convert_files(
        self, files: Iterable[tuple[Path, str]], sandbox: Sandbox | None = None
    ) -> Iterator[ConvertedFile]:
        """Each file converted, given by its path and the extension it has for this, in order; if it is in the sandbox.

        Raises VssyncError where nothing can be converted here.
        """
        if not self.engine and (problem := find_set_problem()):
            raise VssyncError(f"`formats` converts documents to Markdown: {problem}")
        from vssync.sources.cache import open_cache  # with sqlite3, which most commands do not need

        with open_cache(self.cache_folder, cleans=True) as cache, open_engine(self.engine) as engine:
            asked: deque[tuple[str, str, bool]] = deque()  # SHA-256, extension, whether it is in the cache
            documents = (self._look_up(cache, asked, *file, sandbox) for file in files)
            for conversion in engine.convert_all(documents, self.limits):
                digest, extension, is_cached = asked.popleft()
                source = f"{digest}.{CONVERTER_SET}"
                if not conversion.problem:
                    self._extensions[source, hashlib.sha256(conversion.markdown).hexdigest()] = extension
                    if not is_cached:
                        cache.put(digest, extension, CONVERTER_SET, conversion.markdown)
                yield ConvertedFile(source, conversion)

    def _look_up(
        self,
        cache: ConversionCache,
        asked: deque[tuple[str, str, bool]],
        path: Path,
        extension: str,
        sandbox: Sandbox | None,
    ) -> Conversion | tuple[bytes, str]:
        """A document to convert; or what it was converted to before, or why it cannot be. Adds what was asked for."""
        digest, data, problem, is_unread, markdown = "", b"", "", False, None
        try:
            if (size := os.stat(path).st_size) > _MAX_DOCUMENT_BYTES:
                problem = f"has {size:,} bytes; {_MAX_DOCUMENT_BYTES:,} can be converted"
            else:
                data = sandbox.read(path) if sandbox else read_input(path)
                digest = hashlib.sha256(data).hexdigest()
                markdown = cache.get(digest, extension, CONVERTER_SET)
        except OSError as error:
            problem, is_unread = f"cannot be read: {error.strerror}", True
        asked.append((digest, extension, markdown is not None))
        if problem or markdown is not None:
            return Conversion(markdown or b"", problem, is_unread)
        return data, extension

    def extension_for(self, file: DesiredFile) -> str:
        """The extension that a file was converted from, which `filename` may have changed."""
        return self._extensions.get((file.source, file.sha256), extension_of(file.path))

    def read_again(self, path: Path, file: DesiredFile) -> bytes:
        """The Markdown of a file that was converted in this process, from the cache, or else converted once more.

        Raises VssyncError where the file changed since.
        """
        from vssync.sources.cache import open_cache

        digest, extension = file.source.partition(".")[0], self.extension_for(file)
        with open_cache(self.cache_folder) as cache:
            markdown = cache.get(digest, extension, CONVERTER_SET)
        if markdown is not None and hashlib.sha256(markdown).hexdigest() == file.sha256:
            return markdown
        (converted,) = self.convert_files([(path, extension)])
        if converted.source != file.source:
            raise VssyncError(f"{file.path}: changed since the plan was made; plan again")
        if converted.conversion.problem:
            raise VssyncError(f"{file.path}: {converted.conversion.problem}")
        return converted.conversion.markdown


@dataclass(frozen=True, slots=True)
class FileContents:
    """The bytes that a manifest's files are uploaded as."""

    root: Path = Path()
    converter: Converter = field(default_factory=Converter)

    def open(self, file: DesiredFile) -> BytesIO | BufferedReader:
        """A file's bytes. Raises OSError, and VssyncError for one that can no longer be converted."""
        path = self.root / on_disk(file.path)
        return BytesIO(self.converter.read_again(path, file)) if file.source else path.open("rb")


def convert_document(path: Path, converter: Converter) -> bytes:
    """One file as the Markdown it would be uploaded as. Raises VssyncError where it cannot be converted."""
    if (extension := extension_of(path.name)) not in CONVERTIBLE_EXTENSIONS:
        kinds = ", ".join(sorted(CONVERTIBLE_EXTENSIONS))
        raise VssyncError(f"{path}: cannot be converted to Markdown; these can: {kinds}")
    (converted,) = converter.convert_files([(path, extension)])
    if converted.conversion.problem:
        raise VssyncError(f"{path}: {converted.conversion.problem}")
    return converted.conversion.markdown
