"""Ingestion: which files become text, how text is cut, and files completed or failed, a bounded amount a query."""

from __future__ import annotations

import codecs
import re
import sqlite3
from collections import deque
from collections.abc import Iterator

from vssync.local import queries, search
from vssync.local.queries import Transaction
from vssync.local.search import Span

CODE_EXTENSIONS = {".c", ".cpp", ".cs", ".css", ".go", ".java", ".js", ".php", ".py", ".rb", ".sh", ".ts"}
READABLE = CODE_EXTENSIONS | {".html", ".json", ".md", ".tex", ".txt"}
ACCEPTED = READABLE | {".doc", ".docx", ".pdf", ".pptx"}  # attached, then failed: no parser here

MOST_TOKENS = 5_000_000
BYTES_PER_TOKEN = 7  # no token weighs more, so a larger file need not be read to know it is too large

# Bounded runs: one endless "word" must not be larger than the smallest chunk.
TOKEN_RUN = re.compile(r" ?[^\W\d_]{1,24}|\d{1,3}| ?(?:[^\w\s]|_){1,24}|\s{1,24}")
BYTE_ORDER_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


class UnreadableFile(Exception):
    """The file has no text we can use; `code` is the one the service reports."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


def file_extension(filename: str) -> str:
    """As written, since upper case is not accepted: `.md`, `.PDF`, or empty."""
    return filename[filename.rfind(".") :] if "." in filename else ""


def check_readable(filename: str, size: int, unreadable: tuple[str, ...] = ()) -> None:
    """Raise for what can be refused without reading it."""
    if (extension := file_extension(filename)) not in READABLE or extension in unreadable:
        raise UnreadableFile("unsupported_file", f"Files of type '{extension}' cannot be read here.")
    if size > MOST_TOKENS * BYTES_PER_TOKEN:
        raise UnreadableFile("invalid_file", f"The file has more than {MOST_TOKENS:,} tokens.")


def decode_text(content: bytes) -> str:
    """UTF-8, or UTF-16 with its mark; anything else is not text."""
    encoding = next((name for mark, name in BYTE_ORDER_MARKS if content.startswith(mark)), "utf-8")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        raise UnreadableFile("invalid_file", f"The file is not {encoding.upper()} text: {error.reason}.") from None
    if "\0" in text:
        raise UnreadableFile("invalid_file", "The file contains NUL characters; it is not text.")
    return text


def split_chunks(text: str, size: int, overlap: int) -> Iterator[Span]:
    """Windows of at most `size` tokens, each beginning with at most the last `overlap` of the one before.

    Below 100 tokens, which some services accept, a single long word may be larger than a window.
    """
    window: deque[tuple[int, int]] = deque()  # where each piece begins, and its weight
    window_tokens = total = 0
    text = text if text.strip() else ""
    for match in TOKEN_RUN.finditer(text):
        tokens = count_tokens(match[0])
        if window and window_tokens + tokens > size:
            yield window[0][0], match.start()
            while window and (window_tokens > overlap or window_tokens + tokens > size):
                window_tokens -= window.popleft()[1]
        window.append((match.start(), tokens))
        window_tokens += tokens
        total += tokens
        if total > MOST_TOKENS:
            raise UnreadableFile("invalid_file", f"The file has more than {MOST_TOKENS:,} tokens.")
    if window:
        yield window[0][0], len(text)


def count_text_tokens(text: str) -> int:
    return sum(count_tokens(match[0]) for match in TOKEN_RUN.finditer(text))


def count_tokens(piece: str) -> int:
    if piece.isascii():
        return 1 if len(piece) <= BYTES_PER_TOKEN else -(-len(piece) // 6)
    length = len(piece.encode())
    return 1 if length <= BYTES_PER_TOKEN else -(-length // 3)


FAILURE_MESSAGES = {  # of injected failures
    "unsupported_file": "The file type is not supported.",
    "invalid_file": "The file could not be parsed because it is not valid.",
}


def advance_ingestion(tx: Transaction, store_id: str | None) -> None:
    """Take the oldest waiting files, of one store or of all."""
    budget = tx.options.bytes_per_query
    for entry in waiting_files(tx, store_id, tx.options.files_per_query):
        ingest_file(tx, entry)
        budget -= entry["bytes"]
        if budget <= 0:
            return


def waiting_files(tx: Transaction, store_id: str | None, most: int) -> list[sqlite3.Row]:
    """The oldest files whose turn has come. Every query asks for one, so that must cost next to nothing."""
    scope = "and store = (select seq from stores where id = ?)" if store_id else ""
    return tx.fetch_all(
        "select store_files.*, filename, bytes from store_files join files on files.id = store_files.id"
        f" where status = 'in_progress' and ready_at <= ? {scope} order by store_files.seq limit ?",
        *(tx.time, *([store_id] if store_id else []), most),
    )


def outage_code(tx: Transaction, entry: sqlite3.Row) -> str:
    """What ingestion fails with while it is out; empty otherwise."""
    if not tx.dialect.outage_seconds:
        return ""
    (store,) = tx.fetch_all("select created_at from stores where seq = ?", entry["store"])
    return "server_error" if queries.store_age(tx, store) < tx.dialect.outage_seconds else ""


def ingest_file(tx: Transaction, entry: sqlite3.Row) -> None:
    try:
        check_readable(entry["filename"], entry["bytes"], tx.dialect.unreadable)
        if code := entry["failure_code"] or outage_code(tx, entry):
            raise UnreadableFile(code, FAILURE_MESSAGES.get(code, "An internal error occurred."))
        rows = tx.fetch_all("select data from blobs join files on blob = blobs.seq where id = ?", entry["id"])
        text = decode_text(bytes(rows[0]["data"]))
        spans = list(split_chunks(text, entry["chunk_size"], entry["chunk_overlap"]))
    except UnreadableFile as error:
        tx.execute(
            "update store_files set status = 'failed', error_code = ?, error_message = ? where seq = ?",
            *(error.code, str(error), entry["seq"]),
        )
    else:
        search.add_chunks(tx, entry["store"], entry["seq"], text, spans)
        usage = sum(len(text[start:end].encode()) for start, end in spans)
        tx.execute("update store_files set status = 'completed', usage_bytes = ? where seq = ?", usage, entry["seq"])
