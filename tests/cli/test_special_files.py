"""FIFOs, sockets, devices and folders where a command opens a file: an error at once, and never a wait."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import pytest

from tests.cli.test_commands import started, vssync
from tests.manifest.builders import write_files
from vssync.auth.credential import CredentialError
from vssync.auth.profile import read_profile
from vssync.files import open_input, open_output, read_input

KINDS = {"fifo": "a FIFO", "sock": "a socket", "zero": "a device", "folder": "a folder"}
MANIFEST = "version: 1\nowner: kb\nstores: {docs: {files: [{path: docs/*.md}]}}\n"
OCI = "service: {provider: oci, region: us-chicago-1, project: ocid1.x, compartment: ocid1.y}\n"
# A FIFO is what would be waited for.
EACH_KIND = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name == "fifo" else pytest.mark.slow) for name in KINDS]
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_files(tmp_path, {"vssync.yaml": MANIFEST, "docs/a.md": "a\n"})
    monkeypatch.chdir(tmp_path)  # the address of a socket is short
    for ending in ("", ".docx", ".yaml", ".gz"):
        os.mkfifo(f"fifo{ending}")
        os.symlink("/dev/zero", f"zero{ending}")
        os.mkdir(f"folder{ending}")
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(f"sock{ending}")
    return tmp_path


@pytest.mark.parametrize("name", KINDS)
def test_what_is_no_file_is_not_read(folder: Path, name: str) -> None:
    if name == "fifo":
        assert read_input(folder / name) == b"", "nobody writes into it"
    else:
        reason = "Is a directory" if name == "folder" else f"it is {KINDS[name]}"
        with pytest.raises(OSError, match=reason):
            open_input(folder / name)


def test_a_pipe_is_read_to_its_end(folder: Path) -> None:
    reading, writing = os.pipe()
    with subprocess.Popen(["sh", "-c", "echo one; echo two"], stdout=writing):
        os.close(writing)
        assert read_input(Path(f"/dev/fd/{reading}")) == b"one\ntwo\n"
    os.close(reading)


COMMANDS: dict[str, tuple[int, str]] = {  # NAME is special; KIND stands for what it is
    "show NAME": (1, "NAME: "),
    "show NAME.gz": (1, "NAME.gz: "),
    "apply --yes NAME": (1, "NAME: "),
    "plan -f NAME.yaml": (1, "NAME.yaml: is KIND, not a manifest"),
    "plan -f NAME-questions.yaml": (1, "`NAME` is KIND"),
    "plan -f NAME-included.yaml": (1, "NAME"),
    "init -f NAME.yaml": (3, "NAME.yaml: exists already"),
    "dump --store x -f NAME.yaml": (1, "NAME.yaml: is KIND, not a manifest"),
    "serve --data NAME": (1, "NAME: is KIND, but must be a folder"),
}


CASES = [
    pytest.param(name, command, marks=() if name == "fifo" else pytest.mark.slow)
    for name in KINDS
    for command in COMMANDS
    if not (name == "folder" and (" -f NAME.yaml" in command or "serve" in command))  # which take a folder
    if not (name == "zero" and "questions" in command)  # a link out of the sandbox
]


@pytest.mark.parametrize(("name", "command"), CASES)
def test_a_command_ends_at_once_and_says_what_is_wrong(folder: Path, name: str, command: str) -> None:
    questions = MANIFEST.replace("files:", f"tests: {name}, files:")
    included = MANIFEST.replace("owner", f"include: [{name}]\nowner")
    write_files(folder, {f"{name}-questions.yaml": questions, f"{name}-included.yaml": included})
    code, said = COMMANDS[command]
    end = vssync(folder, *command.replace("NAME", name).split())
    assert end.code == code, end
    assert said.replace("NAME", name).replace("KIND", KINDS[name]) in end.err


@pytest.mark.parametrize(("option", "code"), [("--out", 1), ("--log-file", 64)])
def test_an_output_is_written_into_a_fifo_only_if_somebody_reads_it(folder: Path, option: str, code: int) -> None:
    end = vssync(folder, "plan", option, "fifo")
    assert (end.code, "fifo: cannot be written: no program reads from it" in end.err) == (code, True), end
    end = vssync(folder, "plan", option, "sock")
    assert (end.code, "sock: cannot be written: it is a socket" in end.err) == (code, True), end
    with subprocess.Popen(["cat", "fifo"], stdout=subprocess.PIPE, text=True) as reader:
        writing = os.open(folder / "fifo", os.O_WRONLY)  # waits until `cat` has opened it
        end = vssync(folder, "plan", option, "fifo")
        os.close(writing)
        out, _ = reader.communicate()
    assert (end.code, bool(out)) == (0, True), end


def test_a_new_output_is_for_everybody_to_read(folder: Path) -> None:
    """As below /dev, where a file is written in place."""
    with open(folder / "plan.json", "wb", opener=open_output):
        assert (folder / "plan.json").stat().st_mode & 0o777 == 0o644 & ~umask()


def umask() -> int:
    os.umask(before := os.umask(0))
    return before


@EACH_KIND
def test_certificates_and_credentials_are_read_from_files(folder: Path, name: str) -> None:
    (folder / "oci.yaml").write_text(MANIFEST + OCI)
    end = started(folder, "plan", "-f", "oci.yaml", SSL_CERT_FILE=name, VSSYNC_API_KEY="x")
    assert (end.code, "SSL_CERT_FILE, SSL_CERT_DIR: cannot be used: " in end.err) == (64, True)
    variables = {"OCI_CLI_CONFIG_FILE": str(folder / name), "HOME": str(folder)}
    with pytest.raises(CredentialError):
        read_profile("", variables)
    (folder / "profile").write_text(f"[DEFAULT]\nkey_file={folder / name}\n")
    profile = read_profile("", {**variables, "OCI_CLI_CONFIG_FILE": str(folder / "profile")})
    if name == "fifo":
        assert profile.read_file("key_file")[1] == b""
    else:
        with pytest.raises(CredentialError, match=f"{name}: "):
            profile.read_file("key_file")


@pytest.mark.convert
@pytest.mark.parametrize("name", KINDS)
def test_a_document_to_convert_is_a_file(folder: Path, name: str) -> None:
    end = vssync(folder, "render", "--converted", f"{name}.docx")
    assert (end.code, f"{name}.docx" in end.err) == (64 if name == "folder" else 1, True), end
