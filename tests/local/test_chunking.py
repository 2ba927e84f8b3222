"""Cutting text: nothing is lost, nothing is too large, overlaps are as asked."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vssync.local import ingestion


def tokens(text: str) -> int:
    return sum(ingestion.count_tokens(match[0]) for match in ingestion.TOKEN_RUN.finditer(text))


def shared(before: str, after: str) -> str:
    """The longest end of one that begins the other."""
    return next(after[:size] for size in range(min(len(before), len(after)), -1, -1) if before.endswith(after[:size]))


@given(st.text(st.characters(codec="utf-8"), max_size=3000), st.integers(100, 200), st.data())
def test_chunks_cover_the_text_within_their_size(text: str, size: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, size // 2))
    position = 0
    for chunk in chunks_of(text, size, overlap):
        start = text.index(chunk, max(0, position - len(chunk)))
        assert start <= position
        assert tokens(chunk) <= size
        position = max(position, start + len(chunk))
    assert position == len(text) or not text.strip()


def chunks_of(text: str, size: int, overlap: int) -> list[str]:
    return [text[start:end] for start, end in ingestion.split_chunks(text, size, overlap)]


@pytest.mark.parametrize("overlap", [0, 10, 50])
def test_chunks_overlap_by_at_most_what_was_asked(overlap: int) -> None:
    text = " ".join(f"w{n}" for n in range(1000))
    pieces = chunks_of(text, 100, overlap)
    assert len(pieces) > 10
    for before, after in itertools.pairwise(pieces):
        assert overlap - 3 <= tokens(shared(before, after)) <= overlap


@pytest.mark.parametrize("text", ["a" * 50_000, "é" * 50_000, "9" * 5000, " " * 5000 + "x", "_" * 5000, "日本" * 5000])
def test_text_without_words_is_cut_too(text: str) -> None:
    assert all(tokens(piece) <= 100 for piece in chunks_of(text, 100, 50))


@pytest.mark.parametrize("size", [1, 2, 3, 10, 40])
def test_windows_smaller_than_a_word_hold_one(size: int) -> None:
    text = "an extraordinarily long word, " * 20
    chunks = chunks_of(text, size, size - 1)
    assert max(map(tokens, chunks)) <= max(size, tokens("extraordinarily"))
    assert len(chunks) > 1
    assert (text.startswith(chunks[0]), text.endswith(chunks[-1])) == (True, True)


@pytest.mark.parametrize("text", ["", " ", "\n\t" * 5000])
def test_blank_text_has_no_chunks(text: str) -> None:
    assert chunks_of(text, 100, 50) == []


def test_short_text_is_one_chunk_as_written() -> None:
    assert chunks_of("  # Guide\n\ntext \n", 800, 400) == ["  # Guide\n\ntext \n"]


def test_tokens_are_about_what_a_vocabulary_counts() -> None:
    prose = "The service keeps files, stores and batches, and splits text by the declared chunking. " * 10
    assert len(prose) / 6 < tokens(prose) < len(prose) / 3


def test_too_many_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ingestion, "MOST_TOKENS", 50)
    assert chunks_of(" a" * 50, 800, 400)
    with pytest.raises(ingestion.UnreadableFile, match="more than 50 tokens"):
        chunks_of(" a" * 51, 800, 400)
    with pytest.raises(ingestion.UnreadableFile, match="more than 50 tokens"):
        ingestion.check_readable("a.md", 351)
    assert tokens("a" * 350) >= 50  # so refusing by size alone is never wrong


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=50))
def test_every_accepted_encoding_reads_the_same(text: str) -> None:
    for encoding in ("utf-8", "utf-8-sig", "utf-16"):
        assert ingestion.decode_text(text.encode(encoding)) == text.removeprefix(
            "\ufeff" if encoding == "utf-8" else ""
        )


@pytest.mark.parametrize(
    ("name", "extension"),
    [("a.md", ".md"), ("a.tar.gz", ".gz"), ("a", ""), ("a.MD", ".MD"), (".md", ".md"), ("a.", ".")],
)
def test_extensions(name: str, extension: str) -> None:
    assert ingestion.file_extension(name) == extension
