"""`vssync diff` on live services: a promotion is shown by equal digests, on one service or between two of any kind."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.cli.test_commands import vssync
from tests.guarantees.worlds.scenarios import FILES, MANIFEST
from tests.guarantees.worlds.world import World
from vssync.commands.plan import read_live
from vssync.local.app import open_service
from vssync.local.faults.rules import with_faults
from vssync.local.server import serving
from vssync.model.plan import Options
from vssync.planner.environment_diff import EnvironmentState, StoreDiff, compare_environments, live_environment
from vssync.providers import PROVIDERS


def read(world: World) -> EnvironmentState:
    with world.session() as (session, recorder):
        live = read_live(session, Options())
        assert recorder.writes == []
        return live_environment(str(world.folder), session.loaded.desired, live, session.capabilities)


def compared(left: World, right: World) -> StoreDiff:
    (store,) = compare_environments(read(left), read(right)).stores
    return store


@pytest.mark.wide(2)
@pytest.mark.parametrize("spoken", PROVIDERS)
def test_a_promotion_to_another_service(tmp_path: Path, spoken: str) -> None:
    with (
        closing(World(tmp_path / "dev", "local")) as left,
        closing(World(tmp_path / "prod", spoken, PROVIDERS[spoken])) as right,
    ):
        for world in (left, right):
            world.write({"vssync.yaml": MANIFEST, **FILES})
        left.apply()
        assert compared(left, right).right is None
        right.apply()
        promoted = compared(left, right)
        assert promoted.same, (promoted.settings, promoted.changed)
        right.write({"a.md": "aspen\n", "über.md": None})
        assert compared(left, right).same  # what was written to disk is not live
        right.apply()
        after = compared(left, right)
        assert (after.same_content, after.only_left, after.only_right) == (False, ("über.md",), ())
        assert [(key, [field.name for field in fields]) for key, fields in after.changed] == [("a.md", ["content"])]


TWO_SERVICES = """\
version: 1
owner: kb
environments:
  dev: {}
  prod: {service: {provider: local, data_url: "%s"}}
stores:
  docs: {name: "docs-${env}", files: [{path: "*.md"}]}
  faq: {name: "faq-${env}", files: [{path: "*.md"}]}
"""


@pytest.mark.parametrize(
    ("faults", "code", "says"),
    [
        ((), 0, "No differences in 2 stores."),
        (("status=400:GET:/vector_stores/*/files",), 2, "  !   prod: the files of vs_"),
        (("status=401:GET",), 1, "vssync: prod: "),
        (("status=401:GET:/vector_stores",), 2, "  !   prod: vssync.yaml:7:9: this credential may not read stores"),
    ],
)
def test_a_side_that_fails_is_named_and_is_not_empty(
    tmp_path: Path, faults: tuple[str, ...], code: int, says: str
) -> None:
    (tmp_path / "a.md").write_text("# Stop\n")
    with open_service(tmp_path / "prod") as service, serving(service) as url:
        (tmp_path / "vssync.yaml").write_text(TWO_SERVICES % url)
        for env in ("dev", "prod"):
            assert vssync(tmp_path, "apply", "--yes", "-e", env).code == 0
        with serving(with_faults(service, faults)) as failing:
            (tmp_path / "vssync.yaml").write_text(TWO_SERVICES % failing)
            end = vssync(tmp_path, "diff", "dev", "prod", "--detailed-exitcode")
            assert end.code == code, end
            assert says in end.out + end.err
            assert " only in " not in end.out
