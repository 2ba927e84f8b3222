"""The same manifest and live state give the same plan, byte for byte, whoever plans it and wherever."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cli.test_commands import started

MANIFEST = """\
version: 1
owner: shelf
stores:
  zoo: {files: [{path: "*.md", attributes: {b: 1, a: "é", c: true}}], metadata: {z: "1", a: "2"}}
  area: {files: [{path: "sub/*.md"}]}
"""
NAMES = ("B.md", "a.md", "ı.md", "İ.md", "ä.md", "sub/1.md", "sub/10.md", "sub/2.md")


def test_another_folder_locale_hash_seed_time_zone_and_machine(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "some" / "where" / "else"
    (here / "sub").mkdir(parents=True)
    (here / "vssync.yaml").write_text(MANIFEST)
    for name in NAMES:
        (here / name).write_text(name)
    assert started(here, "apply", "--yes").code == 0
    for name in NAMES[::2]:
        (here / name).write_text("edited")
    (here / "sub" / "2.md").unlink()
    (here / "new.md").write_text("new")
    shutil.copytree(here, there)
    first = started(here, "plan", "--format", "json", PYTHONHASHSEED="1", LC_ALL="C", TZ="UTC")
    other = {"PYTHONHASHSEED": "2", "LC_ALL": "tr_TR.UTF-8", "LANG": "tr_TR", "TZ": "Asia/Tokyo"}
    second = started(there, "plan", "--format", "json", VSSYNC_STATE_DIR=str(tmp_path / "state"), **other)
    assert (first.code, first.out.count('"action"')) == (0, 6)
    assert second.out == first.out
    texts = [started(folder, "plan", **given).out for folder, given in ((here, {"LC_ALL": "C"}), (there, other))]
    assert texts[0] == texts[1]
