"""A git repository with a manifest, and a service that holds what was last applied from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.manifest.builders import write_files
from tests.planner.builders import sha
from tests.sources.test_git import git
from vssync.ci.explain import Unexplained, find_bases, find_unexplained
from vssync.ci.history import GitHistory, ManifestHistory
from vssync.model.marks import STORE_APPLIED
from vssync.model.plan import Options, Plan
from vssync.model.state import Desired, DesiredFile, Snapshot
from vssync.planner.against import applied_snapshot
from vssync.planner.assemble import make_plan
from vssync.sources.load import load_sources

MANIFEST = "version: 1\nowner: kb\nstores: {docs: {files: [{path: 'docs/**/*.md'}]}}\n"
Files = Mapping[str, str | None]
NO_FILES: Files = MappingProxyType({})


class Repository:
    """A work tree; its steps are methods, so that a table can name them."""

    def __init__(self, tree: Path, files: Files, env: str = "") -> None:
        self.tree, self.env = tree, env
        tree.mkdir(exist_ok=True)
        self.git("init", "-q", "-b", "main")
        self.live: Desired | None = None
        self.stamp = self.deployed = self.before = ""
        self.commit(files)

    def git(self, *arguments: str) -> str:
        return git(self.tree, *arguments).strip()

    @property
    def head(self) -> str:
        return self.git("rev-parse", "HEAD")

    def write(self, files: Files) -> None:
        """Writes files, without committing them; one without a text goes."""
        for path in (path for path, text in files.items() if text is None):
            (self.tree / path).unlink()
        write_files(self.tree, {path: text for path, text in files.items() if text is not None})

    def commit(self, files: Files = NO_FILES) -> None:
        self.write(files)
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "x")

    def link(self, path: str, target: str) -> None:
        (self.tree / path).parent.mkdir(parents=True, exist_ok=True)
        (self.tree / path).symlink_to(target)

    def load(self) -> Desired:
        return load_sources(self.tree, env=self.env or None).desired

    def base(self, name: str, revision: str) -> None:
        """The commit that is said to be `deployed`, or to be that `before` a push."""
        setattr(self, name, revision if revision.isdigit() else self.git("rev-parse", revision))

    def stamp_head(self, suffix: str = "") -> None:
        self.stamp = f"2026-11-27T14:02:31Z;{self.head}{suffix};ci;1"

    def unstamp(self) -> None:
        self.stamp = ""

    def apply(self, suffix: str = "") -> None:
        """Everything is applied as it is in the work tree; the stamp says so."""
        self.live = self.load()
        self.stamp_head(suffix)

    def drift(self, files: Files) -> None:
        """Somebody changes live files of ours: other bytes, one more; without a text, as one that is not there."""
        assert self.live
        store, *others = self.live.stores
        kept = {file.key: file for file in store.files}
        for key, text in files.items():
            if text is None:
                del kept[key]
                continue
            other = kept.get(key) or DesiredFile(key, key.replace("/", "__"), {}, path=key)
            kept[key] = replace(other, sha256=sha(text), size=len(text))
        changed = replace(store, files=tuple(sorted(kept.values(), key=lambda file: file.key)))
        self.live = replace(self.live, stores=(changed, *others))

    def plan(self, **options: Any) -> Plan:
        desired = self.load()
        snapshot = applied_snapshot(self.live, desired)
        stamp = {STORE_APPLIED: self.stamp} if self.stamp else {}
        stores = tuple(replace(store, metadata={**store.metadata, **stamp}) for store in snapshot.stores)
        snapshot = Snapshot(now=0, stores=stores, contents=snapshot.contents)
        all_options = Options(manifest="vssync.yaml", env=self.env, **options)
        return make_plan(desired, snapshot, all_options, desired.service.declared_capabilities)

    def unexplained(self, **options: Any) -> tuple[Unexplained, ...]:
        history = GitHistory(self.tree)
        plan = self.plan(**options)
        bases = find_bases(plan, history, history.head, self.deployed, self.before)
        return find_unexplained(plan, ManifestHistory(history, "vssync.yaml", self.env), history.head, bases)
