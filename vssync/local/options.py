"""How the service behaves: its limits, and the quirks of the provider it stands in for.

A `Dialect` is a row of switches, so that a difference between providers is one question at one place and a
new provider is one more row of `DIALECTS`. The defaults follow the OpenAI spec, plus listing of batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Dialect:
    lists_batches: bool = True  # GET on the batch collection; otherwise 405
    echoes_chunking: bool = True  # store files say how they were cut; otherwise null
    content_pages: bool = True  # a store file's content as a page; otherwise the older object
    takes_files: bool = True  # a batch may carry `files`; otherwise 400
    ignores_files: bool = False  # a batch accepts `files` and attaches none of them
    reattaches: bool = False  # attaching twice answers with what is there; otherwise 400
    misses_with_400: bool = False  # unknown stores, store files and batches; otherwise 404
    cancels_finished: bool = True  # cancelling a finished batch answers with it; otherwise 400


DIALECTS: Mapping[str, Dialect] = MappingProxyType(
    {
        "local": Dialect(),
        "openai": Dialect(lists_batches=False),
        "oci": Dialect(echoes_chunking=False, content_pages=False),
        "compatible": Dialect(
            lists_batches=False,
            ignores_files=True,
            reattaches=True,
            misses_with_400=True,
            cancels_finished=False,
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Options:
    dialect: Dialect = DIALECTS["local"]
    files_per_look: int = 100  # ingestion done whenever somebody looks: at most so many files,
    bytes_per_look: int = 8 << 20  # and no further file after so many bytes
    max_file_bytes: int = 512 << 20
