"""The program as its user runs it, stopped in the middle: signals, locks, two machines at once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.program import HEARING

pytestmark = pytest.mark.slow  # real processes and signals

STORES = "stores:\n  docs:\n    files: [{path: '*.md'}]\n"


def manifest(folder: Path, url: str, files: int, *, size: int = 10) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    service = f"service: {{provider: local, data_url: '{url}', capabilities: {{batch_size: {size}}}}}\n"
    (folder / "vssync.yaml").write_text("version: 1\nowner: shared\n" + service + STORES)
    for number in range(files):
        (folder / f"{number}.md").write_text(f"# {number}\n")
    return folder


@contextmanager
def serve(folder: Path, *options: str) -> Iterator[str]:
    """`vssync serve` on a free port; its base URL."""
    command = [sys.executable, "-m", "vssync", "serve", "--port", "0", "--data", str(folder), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout
        try:
            yield server.stdout.readline().split()[2].rstrip(".")
        finally:
            server.kill()


def start(folder: Path, state: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "VSSYNC_STATE_DIR": str(state)}
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [*HEARING, *arguments],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        text=True,
    )


def run(folder: Path, state: Path, *arguments: str) -> tuple[int, str, str]:
    with start(folder, state, *arguments) as process:
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


def until_journal(state: Path, lines: int) -> None:
    """Waits until a run has written so many lines."""
    for _ in range(3000):
        if sum(path.read_bytes().count(b"\n") for path in state.glob("*/journal.jsonl")) >= lines:
            return
        select_nothing()
    raise AssertionError("the run did not come so far")


def select_nothing(seconds: float = 0.01) -> None:
    """A moment, as the tests forbid sleeping."""
    import select

    select.select([], [], [], seconds)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_ends_a_run_with_a_true_report(tmp_path: Path, number: signal.Signals, code: int) -> None:
    """The service answers nothing for a minute; the run ends all the same, and the next one goes on."""
    state = tmp_path / "state"
    with serve(tmp_path / "data", "--fault", "delay=60000:POST:/files:12+") as url:
        folder = manifest(tmp_path / "docs", url, 30)
        with start(folder, state, "apply", "--yes", "--workers", "4") as process:
            until_journal(state, 30)
            select_nothing()
            process.send_signal(number)
            begun = time.monotonic()
            out, err = process.communicate(timeout=30)
            assert time.monotonic() - begun < 10  # two seconds of grace; the machine may be slow
        assert process.returncode == code, err
        assert "Interrupted: the rest was skipped" in out, err
        assert "suspected" in out
        assert "under way when the run was interrupted" in " ".join(out.split())
    with serve(tmp_path / "data") as url:
        manifest(folder, url, 30)
        assert run(folder, state, "apply", "--yes")[0] == 0


def test_a_second_signal_reports_at_once(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with serve(tmp_path / "data", "--fault", "delay=60000:POST:/files:5+") as url:
        folder = manifest(tmp_path / "docs", url, 20)
        with start(folder, state, "apply", "--yes", "--workers", "4") as process:
            until_journal(state, 8)
            process.send_signal(signal.SIGINT)
            select_nothing()
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
        assert (process.returncode, "Traceback" in err) == (130, False)
        assert "Interrupted" in out + err


def test_an_impatient_person_gets_the_report_too(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with serve(tmp_path / "data", "--fault", "delay=60000:POST:/files:5+") as url:
        folder = manifest(tmp_path / "docs", url, 20)
        with start(folder, state, "apply", "--yes", "--workers", "4") as process:
            until_journal(state, 8)
            for _ in range(12):
                if process.poll() is None:
                    process.send_signal(signal.SIGINT)
                select_nothing(0.002)
            out, err = process.communicate(timeout=30)
        assert (process.returncode, err.count("Traceback")) == (130, 0)
        assert "Interrupted: the rest was skipped" in out, err


def test_two_machines_at_once_leave_what_the_next_plan_repairs(tmp_path: Path) -> None:
    with serve(tmp_path / "data") as url:
        folders = [manifest(tmp_path / name / "docs", url, 40) for name in ("one", "two")]
        states = [tmp_path / name / "state" for name in ("one", "two")]
        assert run(folders[0], states[0], "apply", "--yes")[0] == 0
        for folder in folders:
            for number in range(0, 40, 4):
                (folder / f"{number}.md").write_text(f"# {number}, better\n")
        both = [start(*pair, "apply", "--yes") for pair in zip(folders, states, strict=True)]
        ends = [process.communicate(timeout=120) for process in both]
        assert {process.returncode for process in both} <= {0, 4}, ends
        for _ in range(2):
            code, out, err = run(folders[0], states[0], "apply", "--yes")
            assert code == 0, out + err
        assert "No changes. 40 files in 1 store match the manifest." in out
        assert len(httpx.get(f"{url}/vector_stores").json()["data"]) == 1


def test_a_second_apply_on_one_machine_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with serve(tmp_path / "data", "--fault", "delay=60000:POST:/files:3+") as url:
        folder = manifest(tmp_path / "docs", url, 5)
        with start(folder, state, "apply", "--yes") as first:
            until_journal(state, 3)
            code, _, err = run(folder, state, "apply", "--yes")
            assert code == 3
            assert f"locked: process {first.pid} on {socket.gethostname()}" in err
            assert f"A run is in progress: process {first.pid}" in run(folder, state, "plan")[2]
            first.kill()
        assert "A run was interrupted" in run(folder, state, "plan")[2]
