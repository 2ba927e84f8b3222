"""Real documentation: `python -m tests.corpora REPOSITORY OLD NEW PATTERN...` follows a git repository back and forth.

Applies revision OLD of a clone of REPOSITORY to the local service, checks NEW out, compares the plan with what git says
changed, applies, searches for files by their rarest words through the OpenAI SDK, and goes back to OLD in the same way.
Prints a row for each step, and exits with 1 if a plan, a second plan or a search was not as computed here.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import time
from argparse import ArgumentParser, Namespace
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from openai import OpenAI

from vssync.local import LocalTransport, open_service

SEARCHED_FILES = 50  # of each revision, spread over all
STEM = 4  # letters that no form of a word changes
FEW = 5  # documents with one word: all of them are among the first 50 chunks
NO_LIMITS = ("--max-delete", "100%", "--max-replace", "100%")
DRAFT = re.compile(rb"(draft\s*[:=]\s*true|published\s*[:=]\s*false)\s*$", re.MULTILINE)
FRONT_MATTER = re.compile(rb"\A(?:\xef\xbb\xbf)?(---|\+\+\+)[ \t]*\r?\n(.*?)^\1[ \t]*\r?$", re.DOTALL | re.MULTILINE)
MANIFEST: dict[str, Any] = {
    "version": 1,
    "owner": "corpus",
    "defaults": {"skip": ["empty"], "attributes": {"path": "${path}"}},
}


@dataclass
class Expected:
    """What a plan should say between two states of a folder: keys by action, and how many moved, by content."""

    create: set[str] = field(default_factory=set)
    replace: set[str] = field(default_factory=set)
    delete: set[str] = field(default_factory=set)
    moved: Counter[str] = field(default_factory=Counter)

    def __str__(self) -> str:
        moved = self.moved.total()
        return f"{len(self.create)} new, {len(self.replace)} changed, {len(self.delete)} gone, {moved} moved"


def git(folder: Path, *arguments: str) -> bytes:
    return subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True).stdout


def vssync(folder: Path, *arguments: str) -> str:
    command = [sys.executable, "-m", "vssync", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 2):
        raise SystemExit(f"{' '.join(arguments)}: exit code {done.returncode}\n{done.stdout[:2000]}\n{done.stderr}")
    return done.stdout


def read_revision(folder: Path, patterns: list[str]) -> dict[str, bytes]:
    """The documents of the revision that is checked out, as git has them, without what a manifest leaves out."""
    documents = {}
    for entry in git(folder, "ls-files", "-z", "-s").split(b"\0")[:-1]:
        mode, _, name = entry.partition(b"\t")
        path = name.decode()
        hidden = any(part.startswith(".") for part in path.split("/"))
        if mode.startswith(b"100") and not hidden and any(fnmatchcase(path, pattern) for pattern in patterns):
            documents[path] = (folder / path).read_bytes()
    return {path: content for path, content in documents.items() if content.strip() and not is_draft(content)}


def is_draft(content: bytes) -> bool:
    head = FRONT_MATTER.match(content)
    return bool(head and DRAFT.search(head[2]))


def compare_revisions(old: dict[str, bytes], new: dict[str, bytes]) -> Expected:
    """A document that went and one of the same bytes that came are a move, whichever of several equal ones."""

    def digests(documents: dict[str, bytes], paths: set[str]) -> Counter[str]:
        return Counter(hashlib.sha256(documents[path]).hexdigest() for path in paths)

    gone, come = old.keys() - new.keys(), new.keys() - old.keys()
    return Expected(
        create=come,
        replace={path for path in old.keys() & new.keys() if old[path] != new[path]},
        delete=gone,
        moved=digests(old, gone) & digests(new, come),
    )


def read_plan(folder: Path) -> tuple[Expected, set[str]]:
    """What the plan says, in the same form, and its changes of other kinds."""
    plan, others = Expected(), set()
    document = json.loads(vssync(folder, "plan", "--format", "json", *NO_LIMITS))
    for change in document["stores"][0]["changes"]:
        key, action = change.get("key", ""), change["action"]
        if action == "delete":
            plan.delete.add(change.get("was") or key)
        elif change.get("was"):
            plan.moved[change["desired"]["sha256"]] += 1
            plan.create.add(key)
            plan.delete.add(change["was"])
        elif action in ("create", "replace"):
            getattr(plan, action).add(key)
        else:
            others.add(f"{action} {key}")
    return plan, others


def rare_words(documents: dict[str, bytes]) -> Iterator[tuple[str, str]]:
    """Some documents with a word that few others hold, whatever its ending, and their three rarest words."""
    words = {
        path: set(re.findall(r"\b[^\W\d_]{4,20}\b", content.decode(errors="replace").casefold()))
        for path, content in documents.items()
    }
    frequency = Counter(stem for texts in words.values() for stem in {word[:STEM] for word in texts})
    rarest = {
        path: sorted(texts, key=lambda word: (frequency[word[:STEM]], word))[:3]
        for path, texts in words.items()
        if texts
    }
    paths = sorted(path for path, found in rarest.items() if frequency[found[0][:STEM]] <= FEW)
    yield from ((path, " ".join(rarest[path])) for path in paths[:: max(1, len(paths) // SEARCHED_FILES)])


def search(folder: Path, documents: dict[str, bytes]) -> tuple[int, list[str]]:
    """How many documents were searched for, and those that were not found by words, or by their attribute."""
    service = open_service(folder / ".vssync/local")
    failures, count = [], 0
    with httpx.Client(transport=LocalTransport(service)) as http_client:
        transport: Any = http_client  # the SDK takes it, whichever httpx its types name
        client = OpenAI(base_url="http://local/v1", api_key="none", http_client=transport)
        (store,) = client.vector_stores.list().data
        for path, query in rare_words(documents):
            count += 1
            exact: Any = {"type": "eq", "key": "path", "value": path}
            by_words = {
                (hit.attributes or {}).get("path") for hit in client.vector_stores.search(store.id, query=query)
            }
            filtered = client.vector_stores.search(store.id, query=query, filters=exact)
            by_attribute = {(hit.attributes or {}).get("path") for hit in filtered}
            if path not in by_words or by_attribute != {path}:
                failures.append(path)
    service.close()
    return count, failures


def follow(folder: Path, arguments: Namespace) -> bool:
    """Goes from nothing to OLD, to NEW and back. Whether everything was as computed."""
    manifest = MANIFEST | {"stores": {"docs": {"files": [{"path": pattern} for pattern in arguments.patterns]}}}
    if arguments.formats:
        manifest["stores"]["docs"]["formats"] = dict(pair.split("=") for pair in arguments.formats)
    before: dict[str, bytes] = {}
    as_expected = True
    for revision in (arguments.old, arguments.new, arguments.old):
        git(folder, "checkout", "-q", "-f", revision)
        (folder / "vssync.yaml").write_text(json.dumps(manifest))
        documents = read_revision(folder, arguments.git_patterns)
        expected = compare_revisions(before, documents)
        planned, others = read_plan(folder)
        began = time.monotonic()
        vssync(folder, "apply", "--yes", *NO_LIMITS)
        seconds = time.monotonic() - began
        again, again_others = read_plan(folder)
        count, failures = search(folder, documents)
        problems = [
            *([f"expected {expected}, planned {planned}"] if planned != expected else []),
            *sorted(others),
            *([f"the plan afterwards: {again} {again_others}"] if again != Expected() or again_others else []),
            *(f"not found: {path}" for path in failures),
        ]
        found = f"{count - len(failures)}/{count} found"
        row = f"{revision:12} {len(documents):6,} files  {planned}  {seconds:6.1f} s  {found}"
        sys.stdout.writelines(f"{line}\n" for line in (row, *(f"    {problem}" for problem in problems[:20])))
        as_expected = as_expected and not problems
        before = documents
    return as_expected


def main() -> int:
    parser = ArgumentParser(prog="python -m tests.corpora", description=__doc__)
    parser.add_argument("repository")
    parser.add_argument("old")
    parser.add_argument("new")
    parser.add_argument("patterns", nargs="+", help="as in a manifest")
    parser.add_argument("--git-patterns", nargs="+", help="the same for fnmatch, where `*` crosses folders")
    parser.add_argument("--formats", nargs="*", help=".mdx=.md")
    arguments = parser.parse_args()
    arguments.git_patterns = arguments.git_patterns or [pattern.replace("**/", "*") for pattern in arguments.patterns]
    with TemporaryDirectory() as folder:
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "-q", "--no-checkout", arguments.repository, str(clone)], check=True)
        git(clone, "sparse-checkout", "set", "--no-cone", *{"*" + Path(path).suffix for path in arguments.patterns})
        return 0 if follow(clone, arguments) else 1


if __name__ == "__main__":
    sys.exit(main())
