"""Plan files: nothing is lost, equal plans are equal bytes, damage is named, and a world that moved is noticed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import example, given, settings

from tests.planfile.sealing import sealed
from tests.render import builders
from tests.render.builders import (
    ARBITRARY_PLANS,
    OCI,
    change,
    copy,
    create,
    deleted,
    desired,
    plan,
    replaced,
    store,
    update,
)
from vssync.document import FORMAT
from vssync.errors import VssyncError
from vssync.model.convergence import OPEN_NOTES
from vssync.model.digests import mark_for
from vssync.model.marks import Origin, UnreadableMark
from vssync.model.plan import Action, BatchChange, FieldChange, FileChange, Note, Plan, Reason, StoreChange
from vssync.model.state import DesiredFile, FileCounts, FileStatus, Scalar, StoreSettings
from vssync.planfile import dump, dump_lines, load
from vssync.staleness import already_applied, check_stale, replaced_since

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "plan.schema.json").read_text("utf-8"))
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)


@given(ARBITRARY_PLANS)
@settings(max_examples=80)
def test_a_plan_survives_its_file(made: Plan) -> None:
    text = dump(made)
    again = load(text)
    assert again == made
    assert repr(again.options) == repr(made.options), "1 and 1.0 and true stay what they were"
    capabilities = [sorted(map(repr, each.service.capabilities.items())) for each in (again, made)]
    assert capabilities[0] == capabilities[1]
    assert dump(again) == text
    VALIDATOR.validate(json.loads(text))


def test_values_keep_their_types_beside_each_other() -> None:
    values: tuple[Scalar, ...] = (1, 1.0, True, "1", 0, 0.0, False, "")
    updates = [update(f"u{n}.md", FieldChange("n", None, value)) for n, value in enumerate(values)]
    creates = [create(f"c{n}.md", desired=desired(f"c{n}.md", attributes={"n": it})) for n, it in enumerate(values)]
    files = load(dump(plan(store(*updates, *creates)))).stores[0].files
    assert [repr(each.fields[0].after) for each in files if each.fields] == [*map(repr, values)]
    assert [repr(each.desired.attributes["n"]) for each in files if each.desired and not each.fields] == [
        *map(repr, values)
    ]


@pytest.mark.parametrize("name", ["small", "nothing", "new-stores", "everything", "refused"])
def test_a_sample_fits_the_schema(name: str) -> None:
    VALIDATOR.validate(json.loads(dump(builders.SAMPLE_PLANS[name]())))


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["format"] == {"const": FORMAT}


def test_every_change_says_all_of_itself_on_a_line_of_its_own() -> None:
    live = copy("file-1")
    made = plan(store(update("docs/a.md", keep=live), deleted("docs/b.md", drop=(live,))), store(key="empty"))
    lines = [json.loads(line.rstrip(",")) for line in dump(made).splitlines() if '"action"' in line]
    assert [(line["store"], line["key"], line["action"]) for line in lines] == [
        ("guide", "docs/a.md", "update"),
        ("guide", "docs/b.md", "delete"),
    ]
    desired = made.stores[0].files[0].desired
    assert desired
    assert lines[0]["desired"]["attributes"] == dict(desired.attributes)
    assert lines[0]["fields"][0].keys() >= {"name", "before", "after"}
    assert lines[0]["keep"]["mark"] == lines[1]["drop"][0]["mark"] == str(live.mark)
    whole = json.loads(dump(made))
    assert [change["key"] for each in whole["stores"] for change in each["changes"]] == ["docs/a.md", "docs/b.md"]
    assert [*whole][-3:] == ["counts", "cost", "checksum"], "totals come last"
    assert [*whole["stores"][0]][-1] == "live_digest"


def test_a_plan_is_written_store_by_store() -> None:
    changes = [create(f"{n}.md") for n in range(1_000)]
    lines = [*dump_lines(plan(store(*changes), store(*changes, key="other")))]
    assert max(map(len, lines)) < 2_000, "no piece holds many changes"
    assert sum(map(len, lines)) > 400_000


def test_text_is_written_as_it_is_and_what_is_invisible_is_escaped() -> None:
    made = plan(store(create("日本/é.md"), create("a\u202eb\x07##[error]\ud800.md")))
    text = dump(made)
    assert "日本/é.md" in text
    assert "a\\u202eb\\u0007\\u0023#[error]\\ud800.md" in text
    assert load(text) == made


def test_an_unchanged_file_takes_no_room() -> None:
    few, many = (dump(plan(store(unchanged=count))) for count in (1, 99_999))
    assert len(many) - len(few) == 2 * 4, "only the number itself is longer, here and in the counts"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "it is nested too deep"),
        ('{"format": 1, "x": NaN}', "NaN is not a number"),
        ('{"format": 1, "x": 1' + "0" * 5_000 + "}", "a number in it cannot be read"),
        ('{"format": 1, "x": -1' + "0" * 310 + "}", "a number in it cannot be read"),
        ('{"format": 1' + "0" * 300 + "}", "..."),
        ("[]", "not a plan: it has no format"),
        ("{}", "not a plan: it has no format"),
        ('{"format": 2}', "format 2, and this vssync reads formats up to 1"),
        ('{"format": true}', "the format True, which does not exist"),
        ('{"format": 0}', "the format 0, which does not exist"),
        ('{"format": 1}', "not a plan: its kind is None"),
        ('{"format": 1, "kind": "report"}', "not a plan: its kind is 'report'"),
        ('{"format": 1, "kind": "plan"}', "object missing required field owner"),
        ('{"format": 1, "kind": "plan", "owner": "a", "service": 7}', "service: expected object, got int"),
        ('{"format": 1, "kind": "plan", "owner": "a", "service": {"regoin": ""}}', "service: unknown field 'regoin'"),
        ('{"format": 1, "kind": "plan", "owner": "a", "service": {"region": 1e999}}', "1e999 is not a number"),
        ('{"format": 1, "kind": "plan", "\\ud800": 1}', "damaged: the name of a field is half of a character"),
        (
            '{"format": 1, "kind": "plan", "owner": "a", "service": {}, "folders": 1}',
            "damaged: unknown field 'folders'",
        ),
        (
            '{"format": 1, "kind": "plan", "owner": "a", "service": {}, "stores": [{"key": "g"}]}',
            "stores[0]: object missing required field name",
        ),
        (
            '{"format": 1, "kind": "plan", "owner": "a", "service": {}, "stores": [{"key": "g", "files": []}]}',
            "stores[0]: unknown field 'files'",
        ),
    ],
)
def test_what_is_no_plan_file_is_named(text: str, message: str) -> None:
    with pytest.raises(VssyncError) as caught:
        load(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("The plan file ")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file.update(action="explode"), "stores[0].changes[0].action: invalid enum value 'explode'"),
        (lambda file: file.update(key=["a"]), "stores[0].changes[0].key: expected str, got array"),
        (lambda file: file.update(tries=1.5), "stores[0].changes[0].tries: expected int, got float"),
        (lambda file: file.update(tries=True), "stores[0].changes[0].tries: expected int, got bool"),
        (lambda file: file.update(gap=1), "stores[0].changes[0].gap: expected bool, got int"),
        (lambda file: file.update(gaps=True), "stores[0].changes[0]: unknown field 'gaps'"),
        (lambda file: file["desired"].update(size="1"), "stores[0].changes[0].desired.size: expected int, got str"),
        (lambda file: file["desired"].update(attributes=-1), "desired.attributes: expected object, got int"),
        (
            lambda file: file["desired"]["attributes"].update(a=None),
            "attributes[...]: expected bool | int | float | str",
        ),
        (
            lambda file: file.update(keep={"id": "a", "status": "failed", "created_at": 1, "mark": 7}),
            "keep.mark: expected str",
        ),
        (lambda file: file["desired"].update(shasum="1"), "stores[0].changes[0].desired: unknown field 'shasum'"),
    ],
)
def test_damage_is_named_with_its_place(spoil: Callable[[dict[str, Any]], None], message: str) -> None:
    found = json.loads(dump(plan(store(create()))))
    spoil(found["stores"][0]["changes"][0])
    with pytest.raises(VssyncError) as caught:
        load(sealed(found))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text.replace('"new file, see ', '"no new file, see '),
        lambda text: text.replace('"add": 1', '"add": 0'),
        lambda text: text.replace('"unchanged": 7', '"unchanged": 8'),
        lambda text: json.dumps(json.loads(text)),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text[: text.rindex(',\n"checksum"')] + "}",
        lambda text: text.replace('"checksum": "', '"checksum": "0'),
    ],
)
def test_an_edit_of_what_is_only_shown_is_noticed(edit: Callable[[str], str]) -> None:
    made = plan(store(create(detail="new file, see above"), unchanged=7))
    text = dump(made)
    assert load(text.rstrip()) == made, "what `plan --format json` prints is a plan file, too"
    assert edit(text) != text
    with pytest.raises(VssyncError, match=r"changed after it was written.*Make a new plan\."):
        load(edit(text))


def leaves(it: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every value inside a JSON value."""
    entries = it.items() if isinstance(it, dict) else enumerate(it) if isinstance(it, list) else ()
    for step, each in entries:
        yield (*path, step)
        yield from leaves(each, (*path, step))


@pytest.mark.wide(3)
@pytest.mark.parametrize("wrong", [None, 7, -1.5, True, "x", [], {}, [["x"]]], ids=repr)
def test_any_field_may_be_edited_and_nothing_but_a_plan_or_an_error_comes_of_it(wrong: Any) -> None:
    made = builders.everything(unwanted=2)
    whole = json.loads(dump(made))
    for path in list(leaves(whole)):
        inner = whole
        for step in path[:-1]:
            inner = inner[step]
        right, inner[path[-1]] = inner[path[-1]], wrong
        try:
            edited = load(sealed(whole))
        except VssyncError:
            continue
        finally:
            inner[path[-1]] = right
        assert load(dump(edited)) == edited
        assert all(isinstance(line, str) for line in check_stale(edited, made))


def busy(key: str = "docs/a.md", **given: Any) -> FileChange:
    return change(key, Action.AWAIT, Reason.INGESTING, **{"keep": copy("file-9"), **given})


def failed(id: str, old: str = "") -> FileChange:
    """A right copy whose ingestion failed, beside one that serves."""
    serving = (copy(old),) if old else ()
    dead = copy(id, status=FileStatus.FAILED)
    keep = serving[0] if serving else None
    return replaced("docs/a.md", Reason.INGEST_FAILED, keep=keep, drop=(*serving, dead), reuse=id, tries=2)


def superseded(*ids: str, key: str = "docs/a.md") -> FileChange:
    return change(key, Action.DELETE, Reason.SUPERSEDED, keep=copy("file-9"), drop=tuple(copy(id) for id in ids))


def renamed(hint: str = "", **metadata: str) -> StoreChange:
    batches = {"vssync_batches": hint} if hint else {}
    return StoreChange(Action.UPDATE, (Reason.SETTINGS_CHANGED,), metadata={**metadata, **batches})


def mark_of(file: DesiredFile) -> str:
    return str(mark_for("support-kb/prod", file, origin=Origin.UPLOADED))


def dated(date: str, **attributes: Scalar) -> DesiredFile:
    """A file with an attribute that is the date of its last commit."""
    return desired(attributes={"date": date, **attributes}, dated=("date",))


NEW_STORE = StoreChange(Action.CREATE, (Reason.MISSING,))


@pytest.mark.parametrize(
    ("saved", "fresh"),
    [
        pytest.param(store(create(), replaced("b.md")), store(replaced("b.md")), id="done meanwhile"),
        pytest.param(store(create()), store(busy()), id="interrupted while it was ingested"),
        pytest.param(store(replaced()), store(busy(drop=(copy("file-1"),))), id="the old copy still to go"),
        pytest.param(store(replaced()), store(superseded("file-1")), id="the new copy works, the old one is there"),
        pytest.param(store(deleted(drop=(copy("a"), copy("b")))), store(deleted(drop=(copy("b"),))), id="one gone"),
        pytest.param(store(create()), store(failed("file-9")), id="the next try of what was created"),
        pytest.param(store(replaced()), store(failed("file-9", "file-1")), id="the next try of a replacement"),
        pytest.param(store(), store(busy()), id="waiting writes nothing"),
        pytest.param(store(), store(change("x.md", Action.REFUSE, Reason.REFUSED)), id="refusing writes nothing"),
        pytest.param(store(create(), id="", change=NEW_STORE), store(create(), id="vs_9"), id="the store was created"),
        pytest.param(
            store(deleted(drop=(copy(status=FileStatus.IN_PROGRESS),))), store(deleted()), id="completed meanwhile"
        ),
        pytest.param(store(create()), store(create(reuse="file-7")), id="the same bytes need no upload"),
        pytest.param(store(update(detail="before")), store(update(detail="after")), id="other words"),
        pytest.param(store(replaced(desired=dated("a"))), store(replaced(desired=dated("b"))), id="a commit's date"),
        pytest.param(store(create(desired=dated("a"))), store(busy(desired=dated("b"))), id="and it is under way"),
        pytest.param(
            store(update("a.md", FieldChange("n", 1, 2), desired=dated("a", n=2))),
            store(update("a.md", FieldChange("n", 1, 2), FieldChange("date", "a", "b"), desired=dated("b", n=2))),
            id="a commit's date, which was live",
        ),
        pytest.param(store(), store(batches=builders.batches()[1:]), id="a batch to wait for"),
        pytest.param(store(change=renamed()), store(change=renamed("vsfb_1")), id="a hint of batches under way"),
        pytest.param(store(batches=builders.batches()), store(batches=builders.batches()[:1]), id="the same batch"),
    ],
)
def test_what_may_go_on(saved: Any, fresh: Any) -> None:
    assert check_stale(plan(saved), plan(fresh)) == ()


OTHER = desired(sha256="77" * 32)


@pytest.mark.parametrize(
    ("saved", "fresh", "addresses"),
    [
        (store(create(), update("b.md")), store(update("b.md")), ("guide/docs/a.md",)),
        (store(create()), store(busy()), ()),
        (store(create()), store(superseded("file-1")), ()),
        (store(change("x.md", Action.REFUSE, Reason.REFUSED)), store(), ()),
        (store(busy()), store(), ()),
        (store(change=NEW_STORE, id=""), store(), ("guide",)),
        (store(batches=builders.batches()), store(), (f"guide/{builders.batches()[0].id}",)),
        (store(superseded("a"), superseded("b")), store(), ("guide/docs/a.md",)),
        *((store(create()), store(notes=(Note(kind, "docs/a.md"),)), ()) for kind in sorted(OPEN_NOTES)),
    ],
)
def test_what_is_already_so_is_addressed(saved: Any, fresh: Any, addresses: tuple[str, ...]) -> None:
    assert already_applied(plan(saved), plan(fresh)) == addresses


REQUESTED = replaced("docs/a.md", Reason.REQUESTED)
LATER = copy("file-2", mark=mark_of(desired()))


@pytest.mark.parametrize(
    ("saved", "found", "done"),
    [
        pytest.param(REQUESTED, replace(REQUESTED, keep=LATER), True, id="a later copy of these bytes"),
        pytest.param(REQUESTED, REQUESTED, False, id="nothing was done"),
        pytest.param(create(), replace(REQUESTED, keep=LATER), True, id="it was missing when it was asked for"),
        pytest.param(REQUESTED, replace(REQUESTED, keep=replace(LATER, id="file-1", created_at=9)), True, id="again"),
        pytest.param(REQUESTED, replace(REQUESTED, keep=copy("file-2")), False, id="a later copy of other chunking"),
        pytest.param(
            REQUESTED,
            replace(REQUESTED, keep=replace(LATER, mark=UnreadableMark("v1;"))),
            False,
            id="an unreadable mark",
        ),
        pytest.param(
            REQUESTED, replace(REQUESTED, keep=replace(LATER, status=FileStatus.FAILED)), False, id="it failed"
        ),
        pytest.param(update("b.md"), replace(REQUESTED, keep=LATER), False, id="nobody reviewed it"),
        pytest.param(replaced(), replaced(keep=LATER), False, id="nobody asked for it"),
    ],
)
def test_a_replacement_asked_for_is_done_once(saved: FileChange, found: FileChange, done: bool) -> None:
    assert replaced_since(plan(store(saved)), plan(store(found))) == ({("guide", "docs/a.md")} if done else set())


@pytest.mark.parametrize(
    ("saved", "fresh", "line"),
    [
        (store(), store(create()), "guide/docs/a.md: create (missing) is not in the saved plan"),
        (
            store(create()),
            store(deleted()),
            "guide/docs/a.md: the saved plan says create (missing), and now it is delete (not_in_manifest)",
        ),
        (
            store(create()),
            store(create(desired=OTHER)),
            "guide/docs/a.md: the file's bytes changed: sha256 9f2c41d07be3a655...9f2c41d07be3a655 -> 7777777",
        ),
        (
            store(update("a.md", FieldChange("n", 1, 2))),
            store(update("a.md", FieldChange("n", True, 2))),
            "guide/a.md: live n 1 -> True",
        ),
        (
            store(create(desired=dated("a", n=1))),
            store(create(desired=dated("b", n=2))),
            "guide/docs/a.md: attributes.n 1 -> 2",
        ),
        (store(create()), store(busy(desired=OTHER, drop=(copy(),))), "guide/docs/a.md: the saved plan says create"),
        (store(create()), store(busy(fields=(FieldChange("n", 1, 2),), desired=OTHER)), "and now it is await"),
        (store(create()), store(superseded("file-1")), "and now it is delete (superseded)"),
        (store(replaced()), store(deleted()), "and now it is delete (not_in_manifest)"),
        (store(replaced(drop=())), store(replaced(drop=(copy("b"),))), "guide/docs/a.md: b would go as well"),
        (store(update(keep=copy("a"))), store(update(keep=copy("b"))), "guide/docs/a.md: the live copy's id a -> b"),
        (store(update(preserve={"by": "me"})), store(update(preserve={})), "preserve {'by': 'me'} -> (none)"),
        (store(create()), store(create(), id="vs_2"), "guide: the store was vs_1, and is vs_2 now"),
        (store(), store(create(), key="faq"), "faq/docs/a.md: create (missing) is not in the saved plan"),
        (store(change=renamed()), store(change=renamed(team="a")), "guide: metadata"),
        (store(), store(change=NEW_STORE), "guide: create (missing) is not in the saved plan"),
        (
            store(id="", change=NEW_STORE),
            store(id="", change=NEW_STORE, desired=StoreSettings("guide", "guide", description="new")),
            "guide: description (none) -> new",
        ),
        (store(), store(batches=builders.batches()[:1]), "is not in the saved plan"),
        (
            store(batches=(BatchChange("b", Action.CANCEL, (Reason.UNWANTED,), FileCounts(), ("a.md",)),)),
            store(batches=(BatchChange("b", Action.CANCEL, (Reason.UNWANTED,), FileCounts(), ("a.md", "b.md")),)),
            "guide/b: cancel (unwanted) is not in the saved plan",
        ),
    ],
)
def test_what_moved_is_named(saved: Any, fresh: Any, line: str) -> None:
    (found,) = check_stale(plan(saved), plan(fresh))
    assert line in found


@pytest.mark.parametrize(
    ("fresh", "line"),
    [
        (plan(owner="support-kb/dev"), "owner: the plan was saved for support-kb/prod, and the manifest now says"),
        (plan(service=replace(OCI, region="eu-frankfurt-1")), "service: region us-chicago-1 -> eu-frankfurt-1"),
    ],
)
def test_another_place_is_stale_whatever_it_needs(fresh: Plan, line: str) -> None:
    (found,) = check_stale(plan(), fresh)
    assert line in found


def test_a_long_list_of_moves_ends_in_a_number() -> None:
    lines = check_stale(plan(store()), plan(store(*(create(f"{n}.md") for n in range(1_060)))))
    assert len(lines) == 51
    assert lines[-1] == "and 1,010 more changes"


CANCELLED_TWICE = tuple(BatchChange("b", Action.CANCEL, (), FileCounts(), unwanted) for unwanted in (("a.md",), ()))


@given(ARBITRARY_PLANS)
@example(plan(replace(store(), batches=CANCELLED_TWICE)))
@settings(max_examples=50)
def test_nothing_is_stale_against_itself_once_saved(made: Plan) -> None:
    keys = [each.key for each in made.stores]
    if len(set(keys)) == len(keys):
        assert check_stale(load(dump(made)), made) == ()
