"""Every input of the corpora again, and whether what fuzzes can see a crash at all."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tests.fuzz.__main__ import CORPUS, inputs_of, main
from tests.fuzz.lines import reached, smallest
from tests.fuzz.mutate import mutate
from tests.fuzz.targets import TARGETS, own_errors
from vssync.errors import ManifestError, Problem, VssyncError

MOST_CORPORA = 200_000  # bytes of all together


@pytest.mark.parametrize("name", TARGETS)
def test_the_corpus_of_a_target_is_answered(name: str) -> None:
    inputs = inputs_of(CORPUS / name)
    assert inputs
    for data in inputs:
        TARGETS[name](data)


def test_the_corpora_are_small_and_of_targets() -> None:
    assert {folder.name for folder in CORPUS.iterdir()} == TARGETS.keys()
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < MOST_CORPORA


@pytest.mark.parametrize(
    "error",
    [
        TypeError("file-1"),
        RecursionError("file-1"),
        VssyncError("something is wrong"),
        VssyncError("file-1" * 10_000),
        ManifestError((Problem("", 1, 1, "file-1"),)),
    ],
)
def test_what_is_no_error_about_the_object_is_a_crash(error: Exception) -> None:
    with pytest.raises((AssertionError, type(error))) as caught, own_errors("file-1"):
        raise error
    assert not (isinstance(error, VssyncError) and caught.value is error)


def test_an_error_about_the_object_is_an_answer() -> None:
    with own_errors("file-1", "file-2"):
        raise VssyncError("file-2: is not there")


@pytest.mark.parametrize(
    "data",
    [b'{"id": "vs_1", "data": [{"a": 1}, [2.5, null]]}', b"version: 1\nstores: {a: {}}\n", b"", b"\xff", b"[" * 999],
)
def test_a_change_is_the_seeds_and_fits(data: bytes) -> None:
    def same(data: bytes, most: int) -> bytes:
        return data[:most]

    changed = [mutate(data, 2_000, seed, same) for seed in range(300)]
    assert changed == [mutate(data, 2_000, seed, same) for seed in range(300)]
    assert max(map(len, changed)) <= 2_000
    assert len({*changed}) > (50 if b":" in data else 0)


def test_the_smallest_inputs_that_reach_each_line_are_kept() -> None:
    target = TARGETS["marks"]
    whole = b"v1;kb;docs;adopting"
    kept, lines = smallest(target, [b"x", b"y", whole, whole + b";00000000"])
    assert kept == [b"x", whole]
    assert lines == reached(target, b"x") | reached(target, whole) > reached(target, b"x")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no_such_surface"], "no target no_such_surface; there are manifest, "),
        (["--input", "README.md"], "--input takes one TARGET"),
        pytest.param(
            ["manifest"],
            "Atheris is missing; run: pip install ",
            marks=pytest.mark.skipif(find_spec("atheris") is not None, reason="Atheris is installed"),
        ),
    ],
)
def test_what_cannot_be_fuzzed_is_said(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert (ended.value.code, message in capsys.readouterr().err) == (2, True)
