"""Real input: the running Python's standard library through the whole cycle, with the numbers asserted."""

from __future__ import annotations

import pytest

from tests import stdlib_cycle
from tests.support import Silent
from vssync.model.plan import Action


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> stdlib_cycle.Tree:
    return stdlib_cycle.copy(tmp_path_factory.mktemp("library"))


@pytest.mark.slow
def test_a_tree_nobody_here_wrote_converges(tree: stdlib_cycle.Tree) -> None:
    plan, report = stdlib_cycle.run(tree.root, Silent())
    assert tree.full > 500
    assert stdlib_cycle.actions(plan) == {Action.CREATE: tree.full}
    assert report is not None
    assert report.converged

    assert stdlib_cycle.run(tree.root, Silent())[0].empty

    stdlib_cycle.edit(tree.root)
    plan, report = stdlib_cycle.run(tree.root, Silent())
    assert stdlib_cycle.actions(plan) == {Action.REPLACE: 3 + tree.json, Action.DELETE: 2, Action.CREATE: 1}
    assert {change.key for change in plan.stores[0].files if change.action is Action.DELETE} == {
        "bisect.py",
        "email/charset.py",
    }
    assert report is not None
    assert report.converged
    assert not report.orphans

    last, nothing = stdlib_cycle.run(tree.root, Silent())
    assert last.empty
    assert nothing is None
