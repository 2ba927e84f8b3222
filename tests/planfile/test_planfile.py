"""Plan files: nothing is lost, equal plans are equal bytes, damage is named, and a world that moved is noticed."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings

from tests.render import builders as samples
from tests.render.builders import (
    ARBITRARY_PLANS,
    MARK,
    OCI,
    SHA,
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
from vssync.errors import VssyncError
from vssync.model.digests import mark_for
from vssync.model.marks import Origin, UnreadableMark
from vssync.model.plan import Action, BatchChange, FieldChange, FileChange, Plan, Reason, StoreChange
from vssync.model.state import Attributes, Chunking, DesiredFile, FileCounts, FileStatus, Scalar, StoreSettings
from vssync.planfile import FORMAT, dump, load
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
    VALIDATOR.validate(json.loads(dump(samples.SAMPLE_PLANS[name]())))


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    assert SCHEMA["properties"]["format"] == {"const": FORMAT}


def test_equal_attributes_fields_and_folders_are_written_once() -> None:
    attributes: Attributes = {"product": "phone", "year": 2024}
    files = [create(f"docs/{n}.md", desired=desired(f"docs/{n}.md", attributes={**attributes})) for n in range(50)]
    files += [update(f"docs/u{n}.md") for n in range(50)]
    found = json.loads(dump(plan(store(*files))))
    assert (found["folders"], found["attributes"], len(found["fields"])) == (["docs/"], [attributes, {}], 1)


def test_an_unchanged_file_takes_no_room() -> None:
    few, many = (dump(plan(store(unchanged=count))) for count in (1, 99_999))
    assert len(many) - len(few) == 2 * 4, "only the number itself is longer, here and in the counts"


def test_a_change_takes_few_bytes() -> None:
    lines = [line for line in dump(real_changes()).splitlines() if line.startswith('{"key":[')]
    assert len(lines) == 400
    assert statistics.median(map(len, lines)) <= 400


def test_an_update_does_not_say_its_content_twice() -> None:
    sha = "ab" * 32
    live = copy("file-1", mark=MARK.replace(SHA, sha))
    made = plan(store(update("a.md", keep=live, desired=desired("a.md", sha256=sha))))
    assert dump(made).count(sha) == 1
    assert load(dump(made)) == made


def real_changes() -> Plan:
    """Digests, ids and marks as long as real ones, half of them replaces, which say most."""
    owner, files = "support-kb/prod", []
    for n in range(400):
        key, sha = f"docs/guide/chapter-{n % 20}/page-{n:04}.md", f"{n:064x}"
        mark = MARK.replace("support-kb/prod", owner).replace(SHA, f"{n + 1:064x}")
        live = copy(f"file-kix-{n:024x}", mark=mark)
        wanted = desired(key, attributes={"lang": "en", "chapter": n % 20}, sha256=sha, chunking=Chunking(800, 400))
        made = replaced(key, desired=wanted, keep=live, drop=(live,)) if n % 2 else create(key, desired=wanted)
        files.append(made)
    return plan(store(*files), owner=owner)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"format": 1, "x": NaN}', "NaN is no number"),
        ("[]", "not a plan: it has no format"),
        ("{}", "not a plan: it has no format"),
        ('{"format": 2}', "format 2, and this vssync reads formats up to 1"),
        ('{"format": true}', "the format True, which is none"),
        ('{"format": 0}', "the format 0, which is none"),
        ('{"format": 1}', "'owner' is missing"),
        ('{"format": 1, "owner": "a", "service": 7}', "service: an object belongs here"),
        ('{"format": 1, "owner": "a", "service": {"regoin": ""}}', "service: unknown field 'regoin'"),
        (
            '{"format": 1, "owner": "a", "service": {}, "options": {"max_delete": {"share": 1e999}}}',
            "options.max_delete.share: a number belongs here",
        ),
        ('{"format": 1, "owner": "a", "service": {}, "folders": 1}', "folders: a list belongs here"),
        ('{"format": 1, "owner": "a", "service": {}, "stores": [{"key": "g"}]}', "stores[0]: 'name' is missing"),
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
        (lambda file: file.update(action="explode"), "stores[0].files[0].action: 'explode' is none of create, update"),
        (lambda file: file.update(key=[9, "a"]), "stores[0].files[0]: 9 is no row of its table"),
        (lambda file: file.update(key=[False, "a"]), "stores[0].files[0]: False is no row of its table"),
        (lambda file: file.update(key="a.md"), "stores[0].files[0]: a key is a folder's number and a name"),
        (lambda file: file.update(tries=1.5), "stores[0].files[0].tries: a whole number belongs here"),
        (lambda file: file.update(gap=1), "stores[0].files[0].gap: true or false belongs here"),
        (lambda file: file["desired"].update(size="1"), "stores[0].files[0].desired.size: a whole number"),
        (lambda file: file["desired"].update(attributes=-1), "-1 is no row of its table"),
    ],
)
def test_damage_is_named_with_its_place(spoil: Callable[[dict[str, Any]], None], message: str) -> None:
    found = json.loads(dump(plan(store(create()))))
    spoil(found["stores"][0]["files"][0])
    with pytest.raises(VssyncError) as caught:
        load(json.dumps(found))
    assert message in str(caught.value)


def leaves(it: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of every value inside a JSON value."""
    entries = it.items() if isinstance(it, dict) else enumerate(it) if isinstance(it, list) else ()
    for step, each in entries:
        yield (*path, step)
        yield from leaves(each, (*path, step))


@pytest.mark.parametrize("wrong", [None, 7, -1.5, True, "x", [], {}, [["x"]]], ids=repr)
def test_any_field_may_be_edited_and_nothing_but_a_plan_or_an_error_comes_of_it(wrong: Any) -> None:
    made = samples.everything(unwanted=2)
    whole = json.loads(dump(made))
    for path in list(leaves(whole)):
        inner = whole
        for step in path[:-1]:
            inner = inner[step]
        right, inner[path[-1]] = inner[path[-1]], wrong
        try:
            edited = load(json.dumps(whole))
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
        pytest.param(store(), store(batches=samples.batches()[1:]), id="a batch to wait for"),
        pytest.param(store(change=renamed()), store(change=renamed("vsfb_1")), id="a hint of batches under way"),
        pytest.param(store(batches=samples.batches()), store(batches=samples.batches()[:1]), id="the same batch"),
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
        (store(batches=samples.batches()), store(), (f"guide/{samples.batches()[0].id}",)),
        (store(superseded("a"), superseded("b")), store(), ("guide/docs/a.md",)),
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
            "guide/docs/a.md: the file's bytes changed: desired.sha256 9f2c41d07be3a655...9f2c41d07be3a655 -> 7777777",
        ),
        (
            store(update("a.md", FieldChange("n", 1, 2))),
            store(update("a.md", FieldChange("n", True, 2))),
            "guide/a.md: fields.0.before 1 -> True",
        ),
        (store(create()), store(busy(desired=OTHER, drop=(copy(),))), "guide/docs/a.md: the saved plan says create"),
        (store(create()), store(busy(fields=(FieldChange("n", 1, 2),), desired=OTHER)), "and now it is await"),
        (store(create()), store(superseded("file-1")), "and now it is delete (superseded)"),
        (store(replaced()), store(deleted()), "and now it is delete (not_in_manifest)"),
        (store(replaced(drop=())), store(replaced(drop=(copy("b"),))), "guide/docs/a.md: b would go as well"),
        (store(update(keep=copy("a"))), store(update(keep=copy("b"))), "guide/docs/a.md: keep.id a -> b"),
        (store(update(preserve={"by": "me"})), store(update(preserve={})), "preserve {'by': 'me'} -> (none)"),
        (store(create()), store(create(), id="vs_2"), "guide: the store was vs_1, and is vs_2 now"),
        (store(), store(create(), key="faq"), "faq/docs/a.md: create (missing) is not in the saved plan"),
        (store(change=renamed()), store(change=renamed(team="a")), "guide: change.metadata"),
        (store(), store(change=NEW_STORE), "guide: create (missing) is not in the saved plan"),
        (
            store(id="", change=NEW_STORE),
            store(id="", change=NEW_STORE, desired=StoreSettings("guide", "guide", description="new")),
            "guide: settings.description (none) -> new",
        ),
        (store(), store(batches=samples.batches()[:1]), "is not in the saved plan"),
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


@given(ARBITRARY_PLANS)
@settings(max_examples=50)
def test_nothing_is_stale_against_itself_once_saved(made: Plan) -> None:
    keys = [each.key for each in made.stores]
    if len(set(keys)) == len(keys):
        assert check_stale(load(dump(made)), made) == ()
