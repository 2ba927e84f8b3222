"""Errors that are met first: one sentence that names what is wrong, and the next step.

What a service or a credential can do wrong is in `test_bad_input` and `test_first_hour`, the lock in `tests/journal`.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from tests.cli.test_commands import vssync
from tests.manifest.builders import write_files
from vssync.errors import ManifestError
from vssync.files import cannot_write
from vssync.sources.load import find_manifest

MANIFEST = """\
version: 1
owner: shelf
variables: {site: a}
service: {SERVICE}
stores: {docs: {files: [{path: "*.md"}]}}
"""
LOCAL = "provider: local"
DEAD = "provider: compatible, data_url: 'http://127.0.0.1:9/v1'"


@pytest.mark.parametrize(
    ("service", "command", "code", "said"),
    [
        (LOCAL, "plan -t dosc", 64, "dosc: no store or file has this address. Did you mean `docs`?"),
        (LOCAL, "plan --exclude docs/guide.dm", 64, "Did you mean `docs/guide.md`?"),
        (LOCAL, "apply --replace docs/giude.md", 64, "Did you mean `docs/guide.md`?"),
        (LOCAL, "plan -t nothing", 64, "nothing: no store or file has this address. `vssync status` shows the stores."),
        (LOCAL, "plan -e prdo", 1, "there is no environment `prdo`: the manifest declares none"),
        (LOCAL, "plan --var stie=b", 1, "did you mean `site`?"),
        (LOCAL, "plan -f vsync.yaml", 1, "vsync.yaml: there is no manifest\n    did you mean `vssync.yaml`?"),
        (LOCAL, "plan -f nowhere", 1, "`vssync init` writes one; -f says where yours is"),
        (
            LOCAL,
            "apply paln.json",
            1,
            "there is no such plan; `vssync plan --out paln.json` saves one; -t chooses a store",
        ),
        (LOCAL, "apply docs", 1, "docs: there is no such plan"),
        (LOCAL, "plan --out none/plan.json", 1, "none/plan.json: cannot be written: No such file or directory; create"),
        (LOCAL, "aply", 64, "Did you mean 'apply'?"),
        (LOCAL, "plan --fulll", 64, "No such option '--fulll'. Did you mean '--full'?"),
        (LOCAL, "plan --zzz", 64, "No such option '--zzz'.\n"),
        (LOCAL, "plan --format jsno", 64, "'html', 'gitlab'. Did you mean 'json'?"),
        (LOCAL, "plan --format xyz", 64, "'html', 'gitlab'.\n"),
        (LOCAL, "schema manifst", 64, "Did you mean 'manifest'?"),
        (LOCAL, "completion bsh", 64, "Did you mean 'bash'?"),
        (LOCAL, "ci aply", 64, "Did you mean 'apply'?"),
        (LOCAL, "init --provider openia", 64, "Did you mean 'openai'?"),
        (LOCAL, "plan --color nevre", 64, "Did you mean 'never'?"),
        ("provider: opnai", "plan", 1, "did you mean `openai`?"),
        ("provder: local", "plan", 1, "did you mean `provider`?"),
        (DEAD, "plan", 1, "127.0.0.1:9: cannot be reached"),
        (DEAD, "plan", 1, "check that it runs, its address, the network and the proxy settings"),
    ],
)
def test_the_next_step_is_named(tmp_path: Path, service: str, command: str, code: int, said: str) -> None:
    write_files(tmp_path, {"vssync.yaml": MANIFEST.replace("SERVICE", service), "guide.md": "text"})
    end = vssync(tmp_path, *command.split())
    assert (end.code, end.out) == (code, "")
    assert said in end.err
    assert "Traceback" not in end.err


@pytest.mark.parametrize(
    ("number", "way_out"),
    [
        (errno.ENOSPC, "No space left on device; make room, or name another place"),
        (errno.EFBIG, "File too large; make room, or name another place"),
        (errno.EROFS, "Read-only file system; name a place where you may write"),
        (errno.EACCES, "Permission denied; name a place where you may write"),
        (errno.ENOENT, "No such file or directory; create its folder first"),
    ],
)
def test_a_file_that_cannot_be_written(number: int, way_out: str) -> None:
    error = cannot_write("plan.json", OSError(number, os.strerror(number)))
    assert str(error) == f"plan.json: cannot be written: {way_out}"


@pytest.mark.parametrize(
    ("files", "path", "hint"),
    [
        (["vssync.yaml", "docs/a.md"], "docs", "did you mean `-f vssync.yaml`?"),
        (["vssync.yml", "docs/deep/a.md"], "docs/deep", "did you mean `-f vssync.yml`?"),
        (["kb/vssync.yaml"], "kb/vsync.yaml", "did you mean `vssync.yaml`?"),
        (["kb/vssync.yaml"], ".", "`vssync init` writes one; -f says where yours is"),
    ],
)
def test_a_manifest_is_looked_for_nearby(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], path: str, hint: str
) -> None:
    write_files(tmp_path, {".git/HEAD": "", **dict.fromkeys(files, "")})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ManifestError) as caught:
        find_manifest(Path(path))
    assert caught.value.problems[0].hint == hint
