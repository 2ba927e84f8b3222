"""What people write and change: the documents, and the manifest that is made from some values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class Documents:
    """What the repository holds: some files, and the values from which the manifest is made."""

    files: dict[str, str] = field(default_factory=dict)
    values: dict[str, Any] = field(
        default_factory=lambda: {
            "name": "docs",
            "team": "one",
            "lang": "en",
            "level": 1,
            "size": 3,
            "match": "*1.md",
            "chunking": "auto",
            "filename": "",
            "second": False,
            "included": False,
            "capabilities": {},
            "id": "",
            "host": "",  # the store of ours in which guests have files
            "days": 0,
            "declared": {},
        }
    )
    number: int = 0

    def __post_init__(self) -> None:
        for name in "abcdef":
            self.write(f"{name}.md")

    def write(self, name: str) -> None:
        self.number += 1
        self.files[name] = f"# {name}\nword{self.number} and more\n"

    def some(self, pick: int) -> str:
        return sorted(self.files)[pick % len(self.files)]

    def some_other(self, pick: int) -> str:
        """Not the one that two stores share."""
        names = sorted(name for name in self.files if name != "a.md")
        return names[pick % len(names)]

    def add_file(self, pick: int) -> None:
        folder, kind = ("", "more/")[pick % 2], ("md", "md", "mdx")[pick % 3]
        self.write(f"{folder}n{self.number}.{kind}")

    def edit_file(self, pick: int) -> None:
        self.write(self.some(pick))

    def remove_file(self, pick: int) -> None:
        if len(self.files) > 2:
            del self.files[self.some_other(pick)]

    def rename_file(self, pick: int) -> None:
        self.number += 1
        name = self.some_other(pick)
        self.files[f"r{self.number}{Path(name).suffix}"] = self.files.pop(name)

    def swap_files(self, pick: int) -> None:
        one, other = self.some(pick), self.some(pick + 1)
        self.files[one], self.files[other] = self.files[other], self.files[one]

    def copy_file(self, pick: int) -> None:
        self.number += 1
        self.files[f"c{self.number}.md"] = self.files[self.some(pick)]

    def add_files(self, pick: int) -> None:
        """A folder of a kind that is not there yet; with an even `pick`, of one that each service takes."""
        for number in range(24):
            self.write(f"k{number}.{('md', 'rst')[pick % 2]}")

    def remove_kind(self, pick: int) -> None:
        for name in [name for name in self.files if name.endswith(".rst")]:
            del self.files[name]

    def replace_all(self, pick: int) -> None:
        """Another team's documents, beside a manifest that was copied from ours."""
        count, self.values["second"] = len(self.files), False
        self.files.clear()
        for number in range(count):
            self.write(f"t{number}.md")

    def name_by_digest(self, pick: int) -> None:
        self.values["filename"] = "${digest}${ext}"

    def state_batches(self, pick: int) -> None:
        """The manifest says that there are batches, and of any size."""
        self.values |= {"capabilities": {"batches": True}, "size": 100}

    def set_value(self, pick: int) -> None:
        choices: tuple[tuple[str, Sequence[Any]], ...] = (
            ("name", ("docs", "handbook")),
            ("team", ("one", "two")),
            ("lang", ("en", "de")),
            ("level", (1, 2.5)),
            ("chunking", ("auto", {"size": 400, "overlap": 100})),
            ("match", ("*1.md", "*.md", "a.md")),
            ("filename", ("", "kb-${stem}${ext}")),
        )
        name, values = choices[pick % len(choices)]
        self.values[name] = values[pick // len(choices) % len(values)]

    def toggle_store(self, pick: int) -> None:
        name = ("second", "second", "included")[pick % 3]
        self.values[name] = not self.values[name]

    def set_expiry(self, pick: int) -> None:
        """How many days a store stays that nobody uses; none, and it stays."""
        self.values["days"] = 0 if self.values["days"] else 7

    def rename_declared(self, pick: int) -> None:
        """A File that an entry declares gets another key there."""
        if declared := self.values["declared"]:
            self.number += 1
            declared[f"d{self.number}.md"] = declared.pop(sorted(declared)[pick % len(declared)])

    def tree(self, env: str, service: Mapping[str, Any], owner: str) -> dict[str, str]:
        """All files of a checkout of an owner's manifest for this service; with `env`, it has an environment."""
        value = self.values
        docs: dict[str, Any] = {
            "name": value["name"],
            "metadata": {"team": value["team"]},
            "attributes": {"lang": value["lang"], "level": value["level"]},
            "guards": {"max_delete": "100%", "max_replace": "100%"},
            "files": [{"path": "*.md"}],
            "overrides": [{"match": value["match"], "attributes": {"area": "special"}, "chunking": value["chunking"]}],
        }
        docs |= {name: value[name] for name in ("filename", "id") if value[name]}
        more_name = {}
        if owner == "them":
            docs["name"], more_name = "theirs", {"name": "more of theirs"}
        elif owner == "guests":
            own = {name: docs[name] for name in ("attributes", "guards", "files", "overrides")}
            docs = {**own, "id": value["host"], "external": True}
        elif value["days"]:
            docs["expires_after"] = {"days": value["days"]}
        if any(name.endswith(".rst") for name in self.files):
            docs["files"] = [{"path": "*.{md,rst}"}]
        if any(name.endswith(".mdx") and "/" not in name for name in self.files):
            docs |= {"files": [{"path": "*.{md,mdx}"}], "formats": {".mdx": ".md"}}
        docs["files"] += [{"file_id": file_id, "key": key} for key, file_id in sorted(value["declared"].items())]
        more: dict[str, Any] = {
            **more_name,
            "guards": docs["guards"],
            "files": [{"path": "more/*.md", "optional": True}, {"path": "a.md"}],
        }
        has_more = value["second"] and owner != "guests"
        manifest: dict[str, Any] = {
            "version": 1,
            "owner": owner,
            "service": service,
            "stores": {"docs": docs, **({"more": more} if has_more and not value["included"] else {})},
        }
        if env:
            manifest["environments"] = {env: {"stores": {"docs": {"attributes": {"stage": env}}}}}
        tree = {**self.files, "vssync.yaml": json.dumps(manifest, indent=1)}
        if value["included"] and has_more:
            manifest["include"] = ["more.yaml"]
            tree |= {"more.yaml": json.dumps({"stores": {"more": more}}), "vssync.yaml": json.dumps(manifest, indent=1)}
        return tree
