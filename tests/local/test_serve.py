"""`vssync serve` as its user runs it: a real process on a port of its own, and whatever talks to it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from tests.program import HEARING
from vssync.cli.serve import serve
from vssync.errors import VssyncError
from vssync.local.server import DelayedTasks

PATIENCE = 60.0  # seconds; a machine may be busy with other things
MANIFEST = """\
version: 1
owner: shelf
service: {{provider: {provider}, data_url: "{data}", control_url: "{control}"{more}}}
stores:
  docs:
    files: [{{path: "*.md", attributes: {{lang: en}}}}]
"""


@dataclass(frozen=True)
class Served:
    process: subprocess.Popen[str]
    lines: tuple[str, ...]

    @property
    def origin(self) -> str:
        match = re.search(r"http://\S+?:\d+", self.lines[0])
        assert match
        return match[0]

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """The exit code and what was said on stderr."""
        self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors


@contextmanager
def serving(folder: Path, *arguments: str) -> Iterator[Served]:
    process = subprocess.Popen(
        [*HEARING, "serve", "--port", "0", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout
        lines: list[str] = []
        while not lines or not lines[-1].startswith("export OPENAI_API_KEY"):
            line = process.stdout.readline()
            assert line, process.communicate()
            lines.append(line.strip())
        try:
            yield Served(process, tuple(lines))
        finally:
            if process.poll() is None:
                process.kill()


def ran(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*HEARING, *arguments],
        check=False,
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_stops_when_asked(tmp_path: Path, number: int) -> None:
    with serving(tmp_path) as served:
        base = f"{served.origin}/v1"
        assert served.lines[-2:] == (f"export OPENAI_BASE_URL={base}", "export OPENAI_API_KEY=none")
        with httpx.Client(timeout=PATIENCE) as http:
            assert http.get(f"{base}/files").json()["data"] == []
            assert served.stop(number) == (0, "")
    assert (tmp_path / ".vssync/local/service.db").exists()


def test_a_key_is_asked_for_and_not_shown(tmp_path: Path) -> None:
    with serving(tmp_path, "--api-key", "tell-nobody", "--data", "here") as served:
        url = f"{served.origin}/v1/files"
        for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": "Basic tell-nobody"}):
            refused = httpx.get(url, headers=headers, timeout=PATIENCE)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, "invalid_api_key")
        right = {"authorization": "Bearer tell-nobody"}
        assert httpx.get(url, headers=right, timeout=PATIENCE).status_code == 200
        assert "tell-nobody" not in "".join(served.lines)
    assert (tmp_path / "here/service.db").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (
            ["--host", "0.0.0.0"],
            64,
            "--host 0.0.0.0: other machines could read and write everything; add --api-key KEY",
        ),
        (["--host", "example.org"], 64, "add --api-key KEY"),
        (["--api-key", "schlüssel"], 64, "--api-key: no client can send it; choose one of plain ASCII, without spaces"),
        (["--api-key", "two words"], 64, "--api-key: no client can send it"),
        (
            ["--provider", "nobody"],
            64,
            "--provider nobody: unknown provider; use one of local, openai, oci, azure, compatible",
        ),
        (["--provider", "oci,lax=maybe"], 64, "lax=maybe: must be one of on, off"),
        (["--fault", "status"], 64, "--fault status: a value is missing; write status=CODE"),
        (["--data", "file/below"], 1, "cannot be opened"),
        (["--host", "192.0.2.1", "--api-key", "k"], 1, "192.0.2.1:0: cannot be listened on: Cannot assign requested"),
        (["--host", "192.0.2.1", "--api-key", "k"], 1, "; choose another --host"),
    ],
)
def test_what_it_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, complaint: str
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.chdir(tmp_path)
    error = CliRunner().invoke(serve, ["--port", "0", *arguments]).exception
    assert isinstance(error, VssyncError)
    assert error.exit_code == code
    assert complaint in str(error)


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        end = ran(tmp_path, "serve", "--port", str(port))
    assert end.returncode == 1
    assert f"127.0.0.1:{port}: cannot be listened on: Address already in use; choose another --port, or 0" in end.stderr


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    for name in "abc":
        (tmp_path / f"{name}.md").write_text(f"# How to {name}\nText about {name}.\n")
    return tmp_path


def point(folder: Path, provider: str, data: str, control: str, more: str = "") -> None:
    text = MANIFEST.format(provider=provider, data=data, control=control, more=more)
    (folder / "vssync.yaml").write_text(text)


def test_a_manifest_can_be_applied_to_it(shelf: Path) -> None:
    with serving(shelf, "--api-key", "k") as served:
        url = f"{served.origin}/v1"
        point(shelf, "local", url, url)
        applied = ran(shelf, "apply", "--yes", VSSYNC_API_KEY="k")
        assert applied.returncode == 0, applied.stderr
        second_plan = ran(shelf, "plan", "--detailed-exitcode", VSSYNC_API_KEY="k")
        assert (second_plan.returncode, "No changes." in second_plan.stdout) == (0, True)


def test_the_two_addresses_of_oci(shelf: Path) -> None:
    with serving(shelf, "--provider", "oci,creating-seconds=1,propagating-seconds=0", "--api-key", "k") as served:
        data, control = f"{served.origin}/openai/v1", f"{served.origin}/20231130/openai/v1"
        assert f"Stores themselves are at {control}." in served.lines
        assert any(line.startswith("A new store can be used after 1 s.") for line in served.lines)
        assert "export OPENAI_PROJECT_ID=none" in served.lines
        point(shelf, "oci", data, control, ", region: us-chicago-1, project: ocid1.p, compartment: ocid1.c")
        applied = ran(shelf, "apply", "--yes", "--allow-host", "127.0.0.1", VSSYNC_API_KEY="k")
        assert applied.returncode == 0, applied.stderr + applied.stdout
        second_plan = ran(shelf, "plan", "--detailed-exitcode", "--allow-host", "127.0.0.1", VSSYNC_API_KEY="k")
        assert second_plan.returncode == 0, second_plan.stdout


def test_faults_over_a_socket(tmp_path: Path) -> None:
    faults = (
        *("reset-before:POST::1", "reset-after:POST::2", "lost-reply:POST::3"),
        *("truncated:GET:/files:1", "status=429,retry-after=3:GET::2"),
    )
    with ExitStack() as stack:
        served = stack.enter_context(serving(tmp_path, *(part for fault in faults for part in ("--fault", fault))))
        http = stack.enter_context(httpx.Client(base_url=f"{served.origin}/v1", timeout=PATIENCE))
        for _ in range(2):
            with pytest.raises(httpx.ReadError):
                http.post("/vector_stores", json={})
        with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
            http.post("/vector_stores", json={})
        with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
            http.get("/files")
        assert http.get("/files").headers["retry-after"] == "3"
        assert len(http.get("/vector_stores").json()["data"]) == 2
        assert served.stop() == (0, "")
    assert [line for line in served.lines if line.startswith("Fault: ")] == [f"Fault: {fault}" for fault in faults]


def test_the_openai_sdk_takes_the_printed_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    openai: Any = pytest.importorskip("openai")
    with serving(tmp_path, "--latency", "5", "--ingest-delay", "3600000") as served:
        assert "Latency: 5 ms" in served.lines
        for line in served.lines[-2:]:
            name, _, value = line.removeprefix("export ").partition("=")
            monkeypatch.setenv(name, value)
        with openai.OpenAI(max_retries=0) as client:
            store = client.vector_stores.create(name="guide").id
            file = client.vector_stores.files.upload(vector_store_id=store, file=("a.md", b"how to refund")).id
            (seen,) = client.vector_stores.files.list(store)
            assert (seen.id, seen.status) == (file, "in_progress")


class Threads:
    """Takes what waitress's threads would do."""

    queue = ()

    def __init__(self) -> None:
        self.taken: list[object] = []

    def add_task(self, task: object) -> None:
        self.taken.append(task)

    def shutdown(self) -> None:
        self.taken.append("shutdown")


def test_latency_holds_no_thread() -> None:
    """However many wait, and for however long: those who wait when the server stops are served."""
    threads = Threads()
    tasks = DelayedTasks(threads, seconds=3600)
    for number in range(32):
        tasks.add_task(number)
    assert threads.taken == []
    tasks.shutdown()
    assert threads.taken == [*range(32), "shutdown"]


def test_an_idle_connection_is_closed_when_asked(tmp_path: Path) -> None:
    with serving(tmp_path, "--keep-alive", "1") as served:
        host, port = served.origin.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=PATIENCE) as idle:
            idle.sendall(b"GET /v1/files HTTP/1.1\r\nHost: localhost\r\n\r\n")
            heard = b"".join(iter(lambda: idle.recv(4096), b""))  # which ends only where the server closes
    assert heard.startswith(b"HTTP/1.1 200 OK")
    assert b"connection: close" not in heard.lower()
