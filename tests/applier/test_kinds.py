"""Files of a kind that nothing vouches for: one is tried first, and what has no chance is not uploaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.applier.test_attaching import applied, count, undone
from tests.applier.world import Place, live
from vssync.model.plan import Action
from vssync.model.report import Status
from vssync.model.state import TYPE_WAYS_OUT

MANIFEST = """\
version: 1
owner: kinds
service: {capabilities: {batch_size: 10}}
stores:
  docs:
    formats: {.mdx: .mdx, .rst: .rst}
    files: [{path: "*.*", exclude: ["*.yaml"]}]
"""
FILES = {f"{number:02}.{kind}": f"# {number} {kind}\n" for number in range(15) for kind in ("md", "mdx")}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path, batches_in_flight=2)
    place.write({"vssync.yaml": MANIFEST, **FILES})
    return place


@pytest.mark.parametrize("provider", ["local", "local,accepts-any-type=on", "local,has-batches=off,lists-batches=off"])
def test_a_kind_that_the_service_does_not_read_costs_two_uploads_a_run(place: Place, provider: str) -> None:
    place.provider = provider
    for run in range(2):
        report, seen = applied(place)
        refused = [outcome for outcome in report.outcomes if outcome.key.endswith(".mdx")]
        assert {outcome.status for outcome in refused} == {Status.FAILED}
        assert [key for key in undone(report) if key.endswith(".md")] == []
        tried = [outcome for outcome in refused if "not tried" not in outcome.detail]
        assert len(tried) == 2
        assert all(outcome.detail.endswith(TYPE_WAYS_OUT) for outcome in refused)
        assert count(seen, "POST", "/v1/files") == (15 + 2 if not run else 0 if "any" in provider else 2)
        assert live(place).loose == set()
        if "any" in provider:
            planned = [change.detail for change in place.plan().stores[0].files if change.action is Action.REFUSE]
            assert [TYPE_WAYS_OUT in detail for detail in planned] == [True, True]
            break  # there, the refused copies stay, and the next plan knows


def test_a_kind_that_the_service_reads_is_sent_once_one_is_completed(place: Place) -> None:
    service = 'provider: compatible, data_url: "http://local/v1", capabilities'  # whose row does not name .json
    text = MANIFEST.replace("    formats: {.mdx: .mdx, .rst: .rst}\n", "")
    place.write({"vssync.yaml": text.replace("capabilities", service)})
    place.write({name.replace(".mdx", ".json"): f'"{name}"' for name in FILES if name.endswith(".mdx")})
    place.write(dict.fromkeys(name for name in FILES if name.endswith(".mdx")))
    assert place.plan().stores[0].unproven == (".json",)
    report, seen = applied(place, "late-ingestion=3000")
    assert undone(report) == {}
    assert count(seen, "POST", "/file_batches") == 2 + 2  # a probe and what needs no proof; then the other fourteen
    place.write({name.replace(".mdx", ".json"): f'"new {name}"' for name in FILES if name.endswith(".mdx")})
    assert place.plan().stores[0].unproven == ()
    assert applied(place)[0].converged
