"""The whole cycle on a tree nobody here wrote: the running Python's standard library.

    python -m tests.stdlib_cycle [FOLDER]

copies every Python file of it into a folder (a temporary one by default), loads it into a store of the local service,
edits three files, deletes two, adds one, changes one folder's chunking, and converges again, saying what it finds.
"""

from __future__ import annotations

import sys
import sysconfig
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from vssync.applier.watcher import Watcher
from vssync.cli.progress import line_progress
from vssync.commands.apply import apply_plan
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Settings, load_manifest, open_session
from vssync.model.plan import Action, Options, Plan
from vssync.model.report import Report

MANIFEST = """\
version: 1
owner: stdlib
service: {capabilities: {batch_size: 500}}
defaults:
  attributes: {language: python}
  skip: [empty]
stores:
  modules:
    files:
      - path: "*.py"
        attributes: {area: top}
      - path: "*/**/*.py"
        exclude: ["asyncio/**", "json/**"]
        attributes: {area: packages}
      - path: "asyncio/**/*.py"
        attributes: {area: asyncio}
      - path: "json/**/*.py"
        attributes: {area: json}
        chunking: CHUNKING
"""
BEFORE, AFTER = "auto", "{size: 400, overlap: 100}"


@dataclass(frozen=True, slots=True)
class Tree:
    """The copied library: `full` files with bytes, `json` of them under json/."""

    root: Path
    full: int
    json: int


def copy(root: Path) -> Tree:
    """Every Python file of the library that is text a service can read, and a manifest beside it."""
    library = Path(sysconfig.get_path("stdlib"))
    names = [path.relative_to(library) for path in library.rglob("*.py") if "site-packages" not in path.parts]
    texts = {name: (library / name).read_bytes() for name in names}
    readable = {name: text for name, text in texts.items() if _readable(text)}
    for name, text in readable.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text)
    declare(root, BEFORE)
    full = [name for name, text in readable.items() if text]
    return Tree(root, len(full), sum(name.parts[0] == "json" for name in full))


def _readable(text: bytes) -> bool:
    """The library's own tests hold files in odd encodings; services take UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def declare(root: Path, chunking: str) -> None:
    """Writes the manifest with this chunking for json/."""
    (root / "vssync.yaml").write_text(MANIFEST.replace("CHUNKING", chunking))


def edit(root: Path) -> None:
    """Three files edited, two deleted, one added, one folder chunked otherwise.

    They are in every Python; its own tests are left out of many.
    """
    for name in ("abc.py", "asyncio/events.py", "email/header.py"):
        with (root / name).open("a") as file:
            file.write("# edited\n")
    for name in ("bisect.py", "email/charset.py"):
        (root / name).unlink()
    (root / "brand_new.py").write_text("NEW = True\n")
    declare(root, AFTER)


def run(root: Path, watcher: Watcher) -> tuple[Plan, Report | None]:
    """Plans, and applies what there is to apply."""
    settings = Settings(manifest=str(root))
    with open_session(settings, load_manifest(settings)) as work:
        plan = make_plan_now(work, Options())
        return plan, None if plan.empty else apply_plan(work, plan, watcher)


def actions(plan: Plan) -> Counter[Action]:
    """How many files each action concerns."""
    return Counter(change.action for store in plan.stores for change in store.files)


def cycle(root: Path, say: Callable[[str], None], watcher: Watcher) -> None:
    """The cycle, said aloud."""
    tree = copy(root)
    say(f"{tree.full:,} Python files with text, {tree.json} of them under json/, in {root}")
    for title, change in (("first", None), ("again", None), ("after edits", edit), ("again", None)):
        if change:
            change(root)
        started = time.perf_counter()
        plan, report = run(root, watcher)
        done = f", {report.requests:,} requests, converged: {report.converged}" if report else ""
        say(f"{title}: {dict(actions(plan)) or 'no changes'}{done} in {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder, line_progress() as watcher:
        cycle(Path(sys.argv[1] if len(sys.argv) > 1 else folder), print, watcher)
