"""What a plan tells applications: ids that can be searched, or an error; never an empty or a forged line."""

from __future__ import annotations

import json
import shlex

import pytest

from vssync.commands.output import output_dotenv, output_github, output_id, output_json, output_text, store_outputs
from vssync.errors import VssyncError
from vssync.model.plan import Action, FileChange, Plan, Reason, StoreChange, StorePlan
from vssync.model.service import ServiceSpec
from vssync.model.state import DesiredStore

DIGEST, WANTED = "d" * 64, "e" * 64


def store(key: str = "docs", *, id: str = "vs_1", name: str = "", action: Action | None = None) -> StorePlan:
    change = StoreChange(action, (Reason.MISSING,)) if action else None
    name = name or key
    return StorePlan(
        key, name, id, desired=DesiredStore(key, name), change=change, wanted=3, digest=WANTED, live_digest=DIGEST
    )


def plan(*stores: StorePlan) -> Plan:
    return Plan("kb/prod", ServiceSpec(), stores)


def test_every_format_has_the_same_values() -> None:
    planned = plan(store(), store("faq-2", id="vs_2", name="the FAQ"))
    stores = json.loads(output_json(planned))["stores"]
    digests = {"live_digest": DIGEST, "desired_digest": WANTED}
    assert stores["faq-2"] == {"id": "vs_2", "name": "the FAQ", "files": 3, **digests, "current": True}
    assert output_id(planned) == "vs_1\nvs_2"
    assert output_github(planned).splitlines()[3:] == [
        "faq_2_id=vs_2",
        "faq_2_name=the FAQ",
        f"faq_2_digest={DIGEST}",
    ]
    assert output_dotenv(planned).splitlines()[3:5] == [
        "VECTOR_STORE_FAQ_2_ID=vs_2",
        "VECTOR_STORE_FAQ_2_NAME='the FAQ'",
    ]
    assert "  id      vs_2\n  name    the FAQ\n" in output_text(planned)
    assert f"  digest  {DIGEST}\n  wanted  {WANTED}\n" in output_text(planned)


def test_a_store_that_left_the_manifest_is_left_out() -> None:
    assert store_outputs(plan(StorePlan("old", "old", "vs_0"))) == ()


@pytest.mark.parametrize(
    ("planned", "message"),
    [
        (store(id=""), "does not exist yet"),
        (store(id="", action=Action.CREATE), "does not exist yet"),
        (store(action=Action.REPLACE), "expired"),
        (store(action=Action.REFUSE), "needs attention"),
    ],
)
@pytest.mark.parametrize("form", [output_text, output_json, output_id, output_dotenv, output_github])
def test_a_store_nobody_can_search_is_an_error(form: object, planned: StorePlan, message: str) -> None:
    assert callable(form)
    with pytest.raises(VssyncError, match=f"^docs: .*{message}"):
        form(plan(planned))


@pytest.mark.parametrize(
    ("planned", "current"),
    [
        (store(), True),
        (store(action=Action.UPDATE), False),
        (
            StorePlan(
                "docs", "docs", "vs_1", DesiredStore("docs", "docs"), files=(FileChange("docs", "a", Action.AWAIT, ()),)
            ),
            False,
        ),
    ],
)
def test_current_means_that_nothing_is_left_to_do(planned: StorePlan, current: bool) -> None:
    assert [output.current for output in store_outputs(plan(planned))] == [current]


def test_keys_that_would_share_a_name_are_an_error() -> None:
    with pytest.raises(VssyncError, match=r"a-b and a\.b"):
        output_dotenv(plan(store("a-b"), store("a.b")))


EVIL = "x\nOTHER=1\r::set-output name=a::b\x1b[2J$(id)'\"`id`"


@pytest.mark.parametrize("form", [output_dotenv, output_github, output_id, output_text])
def test_a_foreign_name_begins_no_line_and_steers_nothing(form: object) -> None:
    assert callable(form)
    lines = form(plan(store(id="vs_1\nOTHER=1", name=EVIL))).split("\n")
    assert not [line for line in lines if line.startswith(("OTHER", "::"))]
    assert all(line.isprintable() for line in lines)


def test_a_shell_reads_a_dotenv_value_as_text() -> None:
    line = output_dotenv(plan(store(name="it's $(id) `id`"))).splitlines()[1]
    assert shlex.split(line) == ["VECTOR_STORE_DOCS_NAME=it's $(id) `id`"]


def test_an_apostrophe_is_written_as_every_reader_of_dotenv_files_takes_it() -> None:
    assert output_dotenv(plan(store(name="what's new"))).splitlines()[1] == 'VECTOR_STORE_DOCS_NAME="what\'s new"'
