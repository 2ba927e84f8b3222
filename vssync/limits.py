"""The numbers of the API's specification that the program needs, each with its source.

What a provider changes stands in `providers`; numbers that only the manifest's form needs stand in its schema.
"""

from __future__ import annotations

# OpenAI spec, `Metadata` and `VectorStoreFileAttributes`: pairs of a store's metadata and of a file's attributes, the
# characters of their values.
MAX_PAIRS = 16
MAX_VALUE_LENGTH = 512
# What a manifest may use of these pairs: a file carries its key and mark beside them, a store up to six of ours.
MAX_ATTRIBUTES = MAX_PAIRS - 2
MAX_METADATA = 10

PAGE_SIZE = 100  # OpenAI spec, `limit` of every listing of stores, files and batches: 1..100
CHUNK_SIZES = range(100, 4097)  # tokens; OpenAI spec, `StaticChunkingStrategy`; an overlap is at most half of it
AUTO_CHUNKING = (800, 400)  # tokens, size and overlap; OpenAI spec, `AutoChunkingStrategyRequestParam`: `auto` today
SEARCH_RESULTS = range(1, 51)  # OpenAI spec, `max_num_results`
MAX_LIVE_ID_LENGTH = 512  # in an answer; a longer one is not an id, and would not fit into a path or a journal
MAX_LIVE_TEXT = 65_536  # characters of a name or a value in an answer that are read; no service allows so many
MAX_UPLOAD_BYTES = 512 << 20  # OpenAI spec, POST /files
CLOCK_SKEW = 300  # seconds; OCI's "Request Signatures": a date further off is refused, so machines stay within it
