"""Guards in CI: the stricter of base and head, what changed of them, and which labels allow more."""

from __future__ import annotations

from dataclasses import astuple
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.manifest.builders import load_manifest
from tests.planner.test_guards import plan
from vssync.ci.forge import Label, PullRequest
from vssync.ci.guards import (
    compare_guards,
    guarded,
    guards_at,
    judge_labels,
    label_name,
    label_scope,
    needed_labels,
)
from vssync.manifest.spec import Manifest
from vssync.model.state import Guards, Limit

PUSH = datetime(2026, 11, 27, 14, 0, tzinfo=UTC)
LATER, EARLIER = PUSH + timedelta(minutes=1), PUSH - timedelta(minutes=1)
STORE = "stores:\n  docs:\n    files: [{path: 'docs/**/*.md'}]\n"


def manifest(folder: Path, text: str) -> Manifest:
    return load_manifest(folder, f"version: 1\n{'' if 'owner' in text else 'owner: kb' + chr(10)}{text}").manifest


@pytest.mark.parametrize(
    ("base", "head", "expected"),
    [
        (STORE, STORE, []),
        (STORE, STORE + "    description: x\n", []),
        (
            STORE,
            STORE + "    guards: {max_delete: 100%}\n",
            [("max_delete", "docs", "30%", "100%", "6:26")],
        ),
        (STORE + "    guards: {max_replace: 3}\n", STORE, [("max_replace", "docs", "3", "50%", "5:5")]),
        (STORE + "    protect: true\n", STORE, [("protect", "docs", True, False, "5:5")]),
        (STORE, STORE + "    prune: false\n", [("prune", "docs", True, False, "6:12")]),
        (STORE, "stores: {docs: {removed: delete}}\n", [("removed", "docs", None, "delete", "3:26")]),
        (STORE, STORE + "    adopt: true\n", [("adopt", "docs", False, True, "6:12")]),
        (STORE, "defaults: {prune: false}\n" + STORE, [("prune", "docs", True, False, "3:19")]),
        (STORE, f"owner: other\n{STORE}", [("owner", "", "kb", "other", "2:8")]),
        (
            "service: {provider: openai}\n" + STORE,
            "service: {provider: azure, project: x, data_url: 'https://a.openai.azure.com/openai/v1'}\n" + STORE,
            [
                ("service.data_url", "", "", "https://a.openai.azure.com/openai/v1", "3:50"),
                ("service.project", "", "", "x", "3:37"),
                ("service.provider", "", "openai", "azure", "3:21"),
            ],
        ),
        (
            STORE + "    protect: true\n",
            STORE.replace("docs:", "guide:", 1) + "    was: [docs]\n",
            [("protect", "guide", True, False, "5:5")],
        ),
        (None, STORE + "    adopt: true\n", [("adopt", "docs", False, True, "6:12")]),
        (None, STORE, []),
    ],
)
def test_what_changed_of_the_guards(
    tmp_path: Path, base: str | None, head: str, expected: list[tuple[Any, ...]]
) -> None:
    before = manifest(tmp_path / "base", base) if base else None
    file = tmp_path / "head" / "vssync.yaml"
    changes = compare_guards(before, manifest(tmp_path / "head", head))
    assert [astuple(change) for change in changes] == [(*change, f"{file}:{place}") for *change, place in expected]


def test_the_stricter_guards_count() -> None:
    few, share, all_ = Limit(count=4), Limit(share=0.3), Limit(share=1.0)
    for head, base, gone, is_refused in [
        (all_, share, 4, True),
        (all_, share, 3, False),
        (share, all_, 4, True),  # 30% of 10 are stricter than all of them
        (few, share, 4, True),  # 30% of 10 are stricter than 4
        (share, few, 4, True),
        (few, all_, 5, True),
        (all_, few, 5, True),
        (all_, few, 4, False),
        (all_, None, 5, False),  # a store that the base does not have
    ]:
        made = plan(10, gone=gone, guards=Guards(head, all_))
        result = guarded(made, {"acme": Guards(base, all_)} if base else {})
        assert bool(result.refusals) == is_refused, (head, base, gone)


def test_the_guards_of_the_base_are_found_by_store(tmp_path: Path) -> None:
    base = manifest(tmp_path, STORE.replace("docs:", "acme:", 1) + "    guards: {max_delete: 1}\n")
    assert guards_at(plan(10), base)["acme"].max_delete == Limit(count=1)
    assert guards_at(plan(10), None) == {"acme": Guards()}, "none has more than the default for being new"


def request(*labels: str | Label, **fields: Any) -> PullRequest:
    own = (Label(label, "ann", LATER) if isinstance(label, str) else label for label in labels)
    return PullRequest(7, **{"author": "bob", "head_sha": "f" * 40, "last_push_at": PUSH, **fields}, labels=tuple(own))


LABEL = "vssync/kb/prod/max-delete=12"


@pytest.mark.parametrize(
    ("pull_request", "problem"),
    [
        (request(LABEL), ""),
        (request("vssync/kb/prod/max-delete::12"), ""),
        (request("VSSYNC/KB/prod/Max-Delete=12"), ""),
        (request("vssync/kb/prod/max-replace=40%"), ""),
        (request("vssync/max-delete=12"), "write `vssync/kb/prod/max-delete=12`"),
        (request("vssync/kb/max-delete=12"), "names no manifest and environment of this job"),
        (request("vssync/kb/prod/max-delete=101%"), "is not of the form"),
        (request("vssync/kb/prod/max-delete=-1"), "is not of the form"),
        (request("vssync/kb/prod/max-delete=\n12"), "is not of the form"),
        (request('vssync/it\'s "quoted"'), "is not of the form `vssync/kb/prod/max-delete=12`"),
        (request(Label(LABEL, "ann", EARLIER)), "was set before the last push (2026-11-27 14:00 UTC)"),
        (request(Label(LABEL, "ann", PUSH)), "was set before the last push"),
        (request(Label(LABEL, "Bob", LATER)), "Bob set it, the author; somebody else has to set it"),
        (request(Label(LABEL, "", LATER, "a bot set it")), "a bot set it"),
        (request(Label(LABEL, "", LATER, "the account is gone")), "the account is gone"),
        (request(Label(LABEL, "ann", None, "too many events")), "too many events"),
        (request(LABEL, last_push_at=None, unknown="no record of pushes"), "no record of pushes"),
        (request(Label(LABEL, "", None)), "the forge does not say who set it, and when"),
    ],
)
def test_whether_a_label_counts(pull_request: PullRequest, problem: str) -> None:
    [judged] = judge_labels([pull_request], ["kb/prod"])
    assert bool(judged.problem) == bool(problem)
    assert problem in judged.problem
    assert judged.request == 7


def test_labels_of_others_are_not_judged_and_a_workflow_may_allow_the_author() -> None:
    own = request(Label(LABEL, "bob", LATER), "bug", "vssync-team")
    assert [label.problem for label in judge_labels([own], ["kb/prod"], by_author=True)] == [""]
    by_pusher = request(Label(LABEL, "", LATER, "bob set it, who pushed last"))
    assert [label.problem for label in judge_labels([by_pusher], ["kb/prod"], by_author=True)] == [""]
    late = request(Label(LABEL, "bob", EARLIER))
    assert "before the last push" in judge_labels([late], ["kb/prod"], by_author=True)[0].problem


@pytest.mark.parametrize(
    ("labels", "gone", "is_refused"),
    [
        ([], 6, True),
        (["vssync/kb/prod/max-delete=6"], 6, False),
        (["vssync/kb/prod/max-delete=5"], 6, True),
        (["vssync/kb/prod/max-delete=5", "vssync/kb/prod/max-delete=60%"], 6, False),  # the highest
        (["vssync/kb/prod/max-delete=1"], 3, False),  # it never allows less than the guard
        (["vssync/kb/prod/max-replace=9"], 6, True),
        (["vssync/other/prod/max-delete=9"], 6, True),
        (["vssync/kb/prod/max-delete=10"], 10, False),  # and what looks like a mistake
    ],
)
def test_labels_raise_limits(labels: list[str], gone: int, is_refused: bool) -> None:
    judged = judge_labels([request(label) for label in labels], ["kb/prod", "other/prod"])
    result = guarded(plan(10, gone=gone), {}, judged)
    assert bool(result.refusals) == is_refused


def test_a_refused_plan_names_the_labels_that_lift_it() -> None:
    refused = plan(20, gone=8, changed=12)
    assert len(refused.refusals) == 2
    labels = needed_labels(refused)
    assert labels == {"acme": ("vssync/kb/prod/max-delete=8", "vssync/kb/prod/max-replace=12")}
    assert not guarded(refused, {}, judge_labels([request(*labels["acme"])], ["kb/prod"])).refusals
    assert needed_labels(plan(20)) == {}


@pytest.mark.parametrize("owner", ["kb", "kb/prod", "a" * 23, "a" * 24, f"{'a' * 64}/{'b' * 64}"])
def test_a_label_fits_into_fifty_characters_and_is_read_back(owner: str) -> None:
    name = label_name(owner, "max-replace", Limit(count=9_999_999))
    assert len(name) <= 50
    [judged] = judge_labels([request(name)], [owner])
    assert (judged.owner, judged.limit, judged.problem) == (owner, Limit(count=9_999_999), "")


def test_long_owners_that_begin_alike_have_labels_of_their_own() -> None:
    assert label_scope("a" * 60 + "/dev") != label_scope("a" * 60 + "/prod")
