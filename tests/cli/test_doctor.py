"""`vssync doctor --probe` asks before it writes, and writes evidence where it is told to."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import jsonschema
import pytest

from tests.cli.test_commands import vssync
from tests.doctor.builders import service_of
from tests.program import HEARING
from vssync.local.server import serving
from vssync.sources.schemas import load_schema


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "a.md").write_text("hello\n")
    (tmp_path / "vssync.yaml").write_text("version: 1\nowner: shelf\nstores: {docs: {files: [{path: '*.md'}]}}\n")
    return tmp_path


def test_without_a_terminal_nothing_begins(folder: Path) -> None:
    end = vssync(folder, "doctor", "--probe", "--out", str(folder / "evidence.json"))
    assert end.code == 3
    assert "makes one store and 14 small files" in end.err
    assert "there is no terminal to ask on. Add --yes." in end.err
    assert {path.name for path in folder.iterdir()} == {"a.md", "vssync.yaml"}


@pytest.mark.parametrize("options", [(), ("--probe", "--yes"), ("--probe", "--yes", "--format", "json")])
def test_evidence_is_written(folder: Path, options: tuple[str, ...]) -> None:
    path = folder / "evidence.json"
    end = vssync(folder, "doctor", "--out", str(path), *options)
    assert (end.code, "evidence.json: the evidence" in end.out) == (0, "json" not in options)
    found = json.loads(path.read_text())
    jsonschema.Draft7Validator(load_schema("evidence.schema.json")).validate(found)
    assert (found["service"]["provider"], bool(found["capabilities"])) == ("local", "--probe" in options)


def test_an_interrupted_run_names_its_evidence(folder: Path) -> None:
    """The service's new store is never ready, so the run waits until it is interrupted."""
    with service_of(folder, "openai,creating-seconds=9999") as service, serving(service) as url:
        text = (folder / "vssync.yaml").read_text()
        (folder / "vssync.yaml").write_text(f"{text}service: {{provider: compatible, data_url: '{url}'}}\n")
        command = (*HEARING, "doctor", "--probe", "--yes", "--out", "evidence.json")
        with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            next(line for line in process.stdout if "list stores" in line)
            process.send_signal(signal.SIGINT)
            out = process.stdout.read()
    assert process.returncode == 130
    assert "evidence.json: the evidence of what was seen until then." in out
    assert json.loads((folder / "evidence.json").read_text())["complete"] is False


def test_evidence_that_cannot_be_written_is_an_error(folder: Path) -> None:
    end = vssync(folder, "doctor", "--out", str(folder / "none/evidence.json"))
    assert end.code == 1
    assert "none/evidence.json: cannot be written: No such file" in end.err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--clean-up", "vssyncdoctor"), "must be the word"),
        (("--clean-up", "vssyncdoctor00000000", "--probe"), "does nothing else"),
        (("--clean-up", "vssyncdoctor00000000", "--out", "e.json"), "does nothing else"),
    ],
)
def test_a_clean_up_is_alone_and_names_a_run(folder: Path, options: tuple[str, ...], text: str) -> None:
    end = vssync(folder, "doctor", *options)
    assert end.code == 64
    assert text in end.err


def test_a_clean_up_says_that_there_is_nothing(folder: Path) -> None:
    end = vssync(folder, "doctor", "--clean-up", "vssyncdoctor00000000")
    assert (end.code, "nothing is named vssyncdoctor00000000" in end.out) == (0, True)
