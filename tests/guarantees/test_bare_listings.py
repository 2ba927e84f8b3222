"""A service that begins to leave attributes out of listings: nothing is planned, and every verb says why."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.test_commands import vssync
from tests.simulation.commands import Shell
from vssync.local.app import open_service
from vssync.local.dialects import LocalOptions, parse_dialect
from vssync.local.server import serving
from vssync.model.plan import Options

MANIFEST = """\
version: 1
owner: kb
stores:
  docs: {attributes: {lang: en}, files: [{path: "*.md"}]%s}
"""
TWO = """\
version: 1
owner: kb
service: {provider: local, data_url: "%s"}
environments: {dev: {}, prod: {}}
stores: {docs: {name: "docs-${env}", files: [{path: "*.md"}]}}
"""
BARE = "local,lists-attributes=off"
SAYS = "cannot be compared: the service lists the files of vs_"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    for name in "abc":
        (tmp_path / f"{name}.md").write_text(f"# {name}\n")
    (tmp_path / "vssync.yaml").write_text(MANIFEST % "")
    shell = Shell(tmp_path)
    assert shell.run("apply", "--yes").code == 0
    (tmp_path / "a.md").write_text("# edited\n")
    shell.dialect = BARE
    return shell


@pytest.mark.parametrize(
    ("edit", "options"),
    [
        ("", Options()),
        ("", Options(adopt=True)),
        ("", Options(allow_store_replace=True)),
        (", adopt: true", Options()),
        (", external: true", Options()),
    ],
)
def test_nothing_is_planned_and_the_way_out_is_named(shell: Shell, edit: str, options: Options) -> None:
    (shell.folder / "vssync.yaml").write_text(MANIFEST % edit)
    run = shell.run("plan", "--detailed-exitcode", options=options)
    assert run.document
    (store,) = run.document["stores"]
    assert (run.code, store["change"]["action"], store["changes"]) == (2, "refuse", [])
    assert SAYS in store["change"]["detail"]
    assert "`attributes`" in store["change"]["detail"]
    assert "detach" not in str(run.document)
    applied = shell.run("apply", "--yes", options=options)
    assert (applied.code, [each for each in applied.exchanges if each.is_write]) == (4, [])


@pytest.mark.parametrize(
    ("verb", "code"),
    [
        (("status",), 0),
        (("status", "docs/a.md"), 0),
        (("output",), 1),
        (("diff", "dev", "prod"), 0),
        (("destroy", "--confirm", "kb"), 3),
    ],
)
def test_other_verbs_say_so(tmp_path: Path, verb: tuple[str, ...], code: int) -> None:
    (tmp_path / "a.md").write_text("# a\n")
    environment = () if verb[0] == "diff" else ("-e", "dev")
    for dialect in ("local", BARE):
        options = LocalOptions(dialect=parse_dialect(dialect))
        with open_service(tmp_path / "service", options=options) as service, serving(service) as url:
            (tmp_path / "vssync.yaml").write_text(TWO % url)
            if dialect == "local":
                assert vssync(tmp_path, "apply", "--yes", "-e", "dev").code == 0
                continue
            end = vssync(tmp_path, *(word.replace("kb", "kb/dev") for word in verb), *environment)
            assert (end.code, SAYS in " ".join(f"{end.out}{end.err}".split())) == (code, True), end


def test_what_was_never_given_attributes_is_somebody_elses(shell: Shell) -> None:
    """Files that carry none by a GET either are others' files, whatever the listing does."""
    with shell.others() as session:
        (store,) = session.client.list_stores()
        for file in session.client.list_files(store.id):
            session.client.set_attributes(store.id, file.id, {})
    run = shell.run("plan")
    assert run.document
    assert {note["kind"] for note in run.document["stores"][0]["notes"]} == {"adoptable", "unmanaged"}
