"""What is measured: the steps in the life of a store, at several sizes, and one upload against OpenAI's own client."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.applier.test_process import serve
from tests.bench.peers import compare_with_peers
from tests.bench.process import Cost, run_module, run_program, run_timed

FOLDERS = 200
_MANIFEST = """\
version: 1
owner: bench
{service}stores:
  docs:
    attributes: {{product: docs{extra}}}
    files:
      - path: docs/**/*.md
"""


def write_manifest(root: Path, *, url: str = "", extra: str = "") -> None:
    service = f"service: {{provider: local, data_url: '{url}'}}\n" if url else ""
    (root / "vssync.yaml").write_text(_MANIFEST.format(service=service, extra=extra))


def write_files(root: Path, count: int) -> None:
    """Small files in folders."""
    for number in range(count):
        path = root / f"docs/section-{number % FOLDERS:03}/page-{number:06}.md"
        if number < FOLDERS:
            path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"# Page {number}\n" + f"What is said of {number}, in a few words.\n" * 20)


def life_of_a_store(count: int, runs: int) -> Iterator[tuple[str, Cost]]:
    """First apply, no-op plans beside peers, an attribute of every file, and its destruction, embedded."""
    with TemporaryDirectory(prefix="bench-") as name:
        root, state = Path(name) / "project", Path(name) / "state"
        root.mkdir()
        write_files(root, count)
        write_manifest(root)
        yield "first apply", run_program(root, state, "apply", "--yes", "-q")
        for _ in range(runs):
            yield "no-op plan", run_program(root, state, "plan")
            yield from compare_with_peers(root / "docs", Path(name) / "peers", count)
        write_manifest(root, extra=", edition: second")
        yield "attribute updates", run_program(root, state, "apply", "--yes", "-q")
        yield "destroy", run_program(root, state, "destroy", "-q", "--confirm", "bench")


def synthetic_plan(count: int) -> Iterator[tuple[str, Cost]]:
    """A plan that changes nothing, against a listing that is made up."""
    with TemporaryDirectory(prefix="bench-") as name:
        root = Path(name)
        write_files(root, count)
        write_manifest(root)
        yield "no-op plan, synthetic", run_module("tests.bench.synthetic", str(root))


def upload_over_the_network(count: int, latency: int) -> Iterator[tuple[str, Cost]]:
    """A first apply to a service that takes `latency` ms to answer, beside two ways to do it with OpenAI's client."""
    with TemporaryDirectory(prefix="bench-") as name:
        root = Path(name) / "project"
        root.mkdir()
        write_files(root, count)
        peers: dict[str, Callable[[str], Cost]] = {
            "vssync": lambda url: _apply_to(root, Path(name) / "state", url),
            "upload_and_poll of batches": lambda url: _sdk(root, url, "batches"),
            "loop over files": lambda url: _sdk(root, url, "loop"),
        }
        for peer, run in peers.items():
            with _fresh_service(Path(name) / "data", latency) as url:
                yield f"{peer}, {latency} ms", run(url)


def _apply_to(root: Path, state: Path, url: str) -> Cost:
    write_manifest(root, url=url)
    return run_program(root, state, "apply", "--yes", "-q", "--limits", "uploads=0,files=0,attaches=0,requests=0")


def _sdk(root: Path, url: str, way: str) -> Cost:
    return run_timed([sys.executable, "-m", "tests.bench.sdk", way, str(root)], {"OPENAI_BASE_URL": url})


@contextmanager
def _fresh_service(data: Path, latency: int) -> Iterator[str]:
    shutil.rmtree(data, ignore_errors=True)
    with serve(data, "--latency", str(latency)) as url:
        yield url
