"""How a plan and a report are laid out on a terminal."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.render import builders
from tests.render.builders import change, copy, create, deleted, plan, replaced, store, update
from vssync.model.marks import Removal
from vssync.model.plan import (
    Action,
    BatchChange,
    Counts,
    FieldChange,
    FileChange,
    Note,
    NoteKind,
    Plan,
    Reason,
    Refusal,
    StoreChange,
    StorePlan,
)
from vssync.model.report import Orphan, Outcome, Report, Status
from vssync.model.service import ServiceSpec
from vssync.model.state import DesiredStore, FileCounts, FileStatus
from vssync.render.comment import plan_markdown
from vssync.render.layout import COLORS, View, by_folder, split_by_folder
from vssync.render.plan_lines import PlanRow
from vssync.render.plan_text import plan_text
from vssync.render.report import NextStep, closing_text, next_steps_text, report_text
from vssync.render.status import status_text
from vssync.text import display_width

SMALL = """\
support-kb, prod: oci us-chicago-1

support-docs  vs_ord_7hq2...x4da                                     1,204 files
  +   docs/guide/sso.md                  new file                        12.4 KB
  +/- docs/guide/intro.md                content changed                  9.0 KB
  ~   docs/pricing.md                    attributes changed
        plan      "basic" -> "standard"
        reviewed  (none) -> true

Batches: 1 to create (2 files).
Cost: 21.4 KB in 2 uploads, about 30 requests, up to 128 polls, under a minute.
Plan: 1 to add, 1 to change, 1 to replace, 0 to delete, 1,202 unchanged."""


def test_a_small_plan_to_the_letter() -> None:
    assert plan_text(builders.small(), View()) == SMALL


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (builders.nothing(), "No changes. 1,205 files in 1 store match the manifest."),
        (plan(store(unchanged=1)), "No changes. 1 file in 1 store matches the manifest."),
        (plan(store(), store(key="b")), "No changes. 0 files in 2 stores match the manifest."),
        (plan(store(key="left", desired=None)), "No changes. 0 files in 0 stores match the manifest."),
    ],
)
def test_nothing_to_do(made: Plan, line: str) -> None:
    assert plan_text(made, View()).splitlines()[-1] == line
    assert plan_text(made, View(quiet=True)) == line


def test_nothing_to_do_since_the_newest_of_the_stamps() -> None:
    stamps = ("", "2026-11-26T09:00:00Z;;;", "2026-11-27T14:02:31Z;4f2a91c+;;981", "written by somebody")
    made = plan(*(store(key=f"s{number}", applied=text) for number, text in enumerate(stamps)))
    *_, changed, _ = plan_text(made, View()).splitlines()
    assert changed == "Last changed 27 Nov 2026 14:02 UTC, 4f2a91c+."


def test_all_of_a_plan_fits_a_terminal() -> None:
    for made in (builders.everything(), builders.large(), builders.refused()):
        lines = plan_text(made, View(width=80, terminal=True)).splitlines()
        assert [line for line in lines if len(line) > 80] == []


def test_totals_are_broken_at_a_comma_on_a_terminal_and_one_line_elsewhere() -> None:
    whole = SMALL.splitlines()[-1]
    for quiet in (False, True):
        lines = plan_text(builders.small(), View(width=60, terminal=True, quiet=quiet)).splitlines()[-2:]
        assert lines == ["Plan: 1 to add, 1 to change, 1 to replace, 0 to delete,", "      1,202 unchanged."]
        assert plan_text(builders.small(), View(width=60, quiet=quiet)).splitlines()[-1] == whole
    above, below = report_text(builders.all_done(), View(width=60, terminal=True)).splitlines()[-2:]
    assert (above[:14], above[-1], below[:8]) == ("Apply: 1 added", ",", "       0")


def test_quiet_leaves_refusals_and_totals() -> None:
    lines = plan_text(builders.refused(), View(quiet=True)).splitlines()
    assert lines[0] == "! Refused: nothing will be written."
    assert lines[-1].startswith("Plan: 1 to add")
    assert not [line for line in lines if "zeta" in line]
    assert report_text(builders.all_done(), View(quiet=True)).startswith("Apply: 1 added")


@pytest.mark.parametrize(
    ("actor", "width", "shown"),
    [
        ("eva", 80, "by eva;"),
        ("a-name-of-some-length", 80, "by a-n...length;"),
        ("a-name-of-some-length", 100, "by a-name-of-some-length;"),
        ("n" * 100, 80, "by nnn...nnnnnn;"),
        ("漢" * 40, 80, "by 漢...漢漢漢;"),
    ],
)
def test_who_applied_it_takes_one_line_however_long_the_name_is(actor: str, width: int, shown: str) -> None:
    report = builders.all_done()
    report = replace(report, audit=replace(report.audit, stamp=replace(report.audit.stamp, actor=actor)))
    (line,) = [line for line in report_text(report, View(width=width)).splitlines() if "; plan " in line]
    assert shown in line
    assert line.startswith("27 Nov 2026 14:02 UTC, 4f2a91c, by ")
    assert line.endswith("; vssync 1.2.3; plan 9f2c41d07be3")
    assert display_width(line) <= width
    assert actor not in line or actor in report_text(report, View(width=width, full=True))


def test_what_was_already_so_is_a_count_and_the_first_addresses() -> None:
    already = tuple(f"guide/{n}.md" for n in range(25))
    report = Report(plan(), already=already)
    lines = closing_text(report, View()).splitlines()
    assert lines[:2] == ["Skipped: 25 changes of the saved plan were already applied.", "      guide/0.md"]
    assert (len(lines), lines[-1]) == (22, "      and 5 more")
    assert len(closing_text(report, View(full=True)).splitlines()) == 26
    alone = closing_text(replace(report, already=already[:1]), View(quiet=True))
    assert alone == "Skipped: 1 change of the saved plan was already applied."


def test_a_report_does_not_repeat_its_plan() -> None:
    made = plan(store(*(create(f"{n}.md") for n in range(4)), change=StoreChange(Action.CREATE, (Reason.MISSING,))))
    first, _, *others = builders.outcomes(made)
    failed = Outcome("guide", "0.md", Action.CREATE, Status.FAILED, "why")
    twice = replace(others[0], attempts=2)
    report = Report(made, (first, failed, twice, *others[1:]), store_ids=(("guide", "vs_" + "1" * 32),))
    assert report_text(report, View()).splitlines() == [
        "guide  vs_1111...1111",
        "  !   0.md                               create failed",
        "        why",
        "  +   1.md                               added after 2 attempts           1.0 KB",
        "",
        "Apply: 3 added, 0 changed, 0 replaced, 0 deleted, 1 store created, 1 failed in 0.0 s. "
        "The lines with ! say why.",
        "guide is vs_11111111111111111111111111111111",
    ]
    assert "3.md" in report_text(report, View(full=True))


@pytest.mark.parametrize(
    ("status", "stores", "lines"),
    [
        (Status.DONE, 1, ["s0 is vs_0"]),
        (Status.DONE, 5, [f"s{n} is vs_{n}" for n in range(5)]),
        (Status.DONE, 6, ["`vssync output` prints the ids of the new stores."]),
        (Status.FAILED, 1, []),
    ],
)
def test_the_ids_of_new_stores(status: Status, stores: int, lines: list[str]) -> None:
    new = StoreChange(Action.CREATE, (Reason.MISSING,))
    made = plan(*(store(key=f"s{n}", change=new) for n in range(stores)))
    report = Report(made, builders.outcomes(made, status), store_ids=tuple((f"s{n}", f"vs_{n}") for n in range(stores)))
    assert report_text(report, View()).partition("Apply: ")[2].splitlines()[1:] == lines
    assert "is vs_" not in report_text(report, View(quiet=True))


def test_next_steps_have_their_purpose_where_there_is_room() -> None:
    steps = [NextStep('vssync search "Größe"', "ask it"), NextStep("vssync serve", "your application")]
    lines = ['Next  vssync search "Größe"   ask it', "      vssync serve            your application"]
    assert next_steps_text(steps, View()) == "\n".join(lines)
    assert next_steps_text(steps, View(width=40)) == 'Next  vssync search "Größe"\n      vssync serve'
    assert next_steps_text([], View()) == ""


def test_status_counts_what_nobody_compared() -> None:
    noted = plan(store(notes=(Note(NoteKind.UNCOMPARED, count=2), Note(NoteKind.UNMANAGED, count=3))))
    assert "10 live, 10 in the manifest, 3 unmanaged, 2 not compared since adoption" in status_text(noted, View())


def test_only_a_file_that_works_can_be_missed() -> None:
    works = replaced("works.md", Reason.CHUNKING_CHANGED, gap=True)
    never = replaced("never.md", Reason.INGEST_CANCELLED, gap=True, keep=None)
    shown = plan_text(plan(store(works, never)), View())
    assert re.findall(r"(\S+) +(\S+\.md)", shown) == [("-/+", "works.md"), ("+/-", "never.md")]
    assert "search misses\n    this file." in shown


def test_the_last_line_of_a_report_to_the_letter() -> None:
    last = report_text(builders.all_done(), View()).splitlines()[-1]
    assert last == "Apply: 1 added, 1 changed, 1 replaced, 0 deleted, 0 failed in 26 s."


def test_colour_is_on_signs_only_and_changes_nothing_else() -> None:
    plain, colored = (plan_text(builders.everything(), View(color=color)) for color in (False, True))
    assert re.sub(r"\x1b\[[0-9;]*m", "", colored) == plain
    painted = re.findall(r"\x1b\[1;38;5;\d+m(.*?)\x1b\[0m", colored)
    assert set(painted) == {"+", "~", "+/-", "-/+", "-", "=", "x", ".", "!"}


@pytest.mark.parametrize("sign", COLORS)
def test_a_sign_can_be_read_on_white_and_on_black(sign: str) -> None:
    light = luminance(COLORS[sign])
    assert min(1.05 / (light + 0.05), (light + 0.05) / 0.05) > 4


def luminance(color: int) -> float:
    """Of one of the 216 colours of xterm's cube, as WCAG 2 defines it."""
    steps = (0, 95, 135, 175, 215, 255)
    parts = [steps[(color - 16) // place % 6] / 255 for place in (36, 6, 1)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("changes", "single"), [(40, True), (41, False)])
def test_forty_changes_have_a_line_each(changes: int, single: bool) -> None:
    shown = plan_text(plan(store(*(replaced(f"docs/{n:02}.md") for n in range(changes)))), View())
    assert ("docs/07.md" in shown) is single
    assert ("41 files" in shown) is not single


@pytest.mark.wide(3)
@pytest.mark.parametrize(
    "stores", [1, 5, 200, *(pytest.param(count, marks=pytest.mark.slow) for count in (2, 3, 8, 13, 40))]
)
def test_ten_thousand_changes_fit_a_screen(stores: int) -> None:
    """Of four kinds, in many folders, with field changes of their own, and some that need attention."""
    each = 10_000 // stores
    files = [
        (create, deleted, replaced, update)[n % 4](f"top-{n % 7}/{n % 90}/{n}.md") if n % 9 else refusing(f"{n}.docx")
        for n in range(each)
    ]
    made = plan(*(store(*files, key=f"store-{number}") for number in range(stores)))
    assert len(plan_text(made, View()).splitlines()) < 60


def refusing(key: str) -> FileChange:
    return change(key, Action.REFUSE, Reason.REFUSED, detail=f"{key} cannot be read")


def test_what_differs_in_its_reason_is_not_counted_together() -> None:
    files = [replaced(f"a/{n}.md") for n in range(30)]
    files += [replaced(f"a/c{n}.md", Reason.CHUNKING_CHANGED) for n in range(20)]
    notes = (Note(NoteKind.FOREIGN, count=7, detail="a"),) * 3
    shown = plan_text(plan(store(*files, notes=notes)), View())
    assert re.findall(r"(\d+) files +([a-z' ]+?)(?:,|  |$)", shown, re.MULTILINE) == [
        ("30", "content changed"),
        ("20", "chunking changed"),
        ("21", "another owner's"),
    ]


@pytest.mark.parametrize(
    ("file", "said"),
    [
        (change("a.md", Action.AWAIT, Reason.INGESTING), "every file is wanted: wait"),
        (
            change("a.md", Action.AWAIT, Reason.ATTRIBUTES_CHANGED, fields=(FieldChange("n", 1, 2),)),
            "every file is wanted: wait",
        ),
    ],
    ids=["right", "with other attributes"],
)
def test_a_batch_that_is_waited_for(file: FileChange, said: str) -> None:
    batch = BatchChange("vsfb_1", Action.AWAIT, (Reason.INGESTING,), FileCounts(in_progress=5, total=5))
    shown = plan_text(plan(store(file, batches=(batch,))), View()).splitlines()
    assert f"  .   vsfb_1   5 files; {said}" in shown


def test_an_upload_whose_id_nobody_knows_stands_where_the_ids_do() -> None:
    orphans = (Orphan("file_1", "one"), Orphan("", "two", suspected=True))
    shown = report_text(replace(builders.all_done(), orphans=orphans), View()).splitlines()
    assert shown[shown.index("      file_1") + 1 :][:3] == ["        one", "      suspected", "        two"]


def test_uploads_that_others_hold_are_named_apart_from_orphans() -> None:
    held = (Orphan("file_2", "replaced or removed copy of a.md; held by a colleague's (vs_1)"),)
    shown = report_text(replace(builders.all_done(), held=held), View()).splitlines()
    assert shown[shown.index("Kept: 1 upload that stores of others hold.") + 1 :][:2] == [
        "      file_2",
        "        replaced or removed copy of a.md; held by a colleague's (vs_1)",
    ]


def test_batches_are_counted_apart_from_files_in_a_report() -> None:
    counts = FileCounts(in_progress=15, total=15)
    batches = tuple(BatchChange(f"vsfb_{n}", Action.AWAIT, (Reason.INGESTING,), counts) for n in range(3))
    made = plan(store(*(change(f"docs/{n}.md", Action.AWAIT, Reason.INGESTING) for n in range(60)), batches=batches))
    twice = tuple(replace(each, attempts=2) for each in builders.outcomes(made))  # not as planned, so it is told
    shown = report_text(Report(made, twice), View()).splitlines()
    assert [line.split()[:5] for line in shown if line[:4] == "  . "] == [
        [".", "60", "files", "waited", "for"],
        [".", "3", "batches", "waited", "for"],
    ]
    assert not [line for line in shown if "./" in line]
    late = report_text(Report(made, builders.outcomes(made, Status.UNKNOWN, "stands still")), View())
    assert re.search(r"^ +stands still +3 batches$", late, re.MULTILINE)


@pytest.mark.parametrize(
    ("status", "already", "file_row", "store_row", "totals"),
    [
        (
            Status.DONE,
            False,
            "+ a.md added",
            "+ (the store) created",
            "1 added, 0 changed, .* 1 store created, 0 failed",
        ),
        (
            Status.DONE,
            True,
            "a.md already there",
            "joined: another run made it",
            "0 added, .* 1 store joined, 1 already",
        ),
        (
            Status.DOUBLED,
            False,
            "! a.md added, and by another run, too",
            "! (the store) created, and",
            "0 failed, 2 doubled",
        ),
    ],
)
def test_what_another_run_did_is_not_called_ours(
    status: Status, already: bool, file_row: str, store_row: str, totals: str
) -> None:
    ends = tuple(Outcome("guide", key, Action.CREATE, status, "why", already=already) for key in ("", "a.md"))
    shown = report_text(Report(plan(store(create("a.md"))), ends), View(width=200, full=True))
    text = " ".join(shown.split())
    assert (file_row in text, store_row in text) == (True, True)
    assert re.search(totals, text)
    assert ("why" in text) is (status is Status.DOUBLED)


def test_what_is_in_a_batch_to_cancel_is_told_as_it_is_before_the_cancel() -> None:
    busy = replace(copy("file-1"), status=FileStatus.IN_PROGRESS)
    newer = tuple(create(f"docs/{n}.md", drop=(busy,)) for n in range(4))
    again = change("docs/9.md", Action.REPLACE, Reason.INGEST_CANCELLED, drop=(busy,), reuse="file-1")
    counts, keys = FileCounts(in_progress=5, total=5), tuple(f"docs/{n}.md" for n in range(4))
    cancel = BatchChange("vsfb_1", Action.CANCEL, (Reason.UNWANTED,), counts, keys)
    shown = plan_text(plan(store(*newer, again, batches=(cancel,))), View())
    assert shown.count("newer than the one in the batch to cancel") == 4
    assert "attached again after the cancel, no upload" in shown
    assert shown.endswith("1 batch to cancel.")
    wait = replace(cancel, action=Action.AWAIT, reasons=(Reason.INGESTING,))
    shown = plan_text(plan(store(*newer, batches=(wait,))), View())
    assert shown.count("newer than the one being ingested") == 4


@pytest.mark.parametrize(("failures", "folded"), [(3, False), (49, False), (50, True)])
@pytest.mark.parametrize("stores", [1, 60])
def test_few_failures_are_never_folded(failures: int, folded: bool, stores: int) -> None:
    many = tuple(store(*(create(f"docs/{n}.md") for n in range(100)), key=f"s{number}") for number in range(stores))
    made = plan(
        store(*(create(f"bad/{n}.md") for n in range(failures)), *(create(f"{n}.md") for n in range(45))), *many
    )
    results = [
        replace(each, status=Status.FAILED, detail=f"cause of {each.key}") if each.key.startswith("bad/") else each
        for each in builders.outcomes(made)
    ]
    shown = report_text(Report(made, tuple(results)), View())
    assert all(f"bad/{n}.md " in shown and f"cause of bad/{n}.md" in shown for n in range(failures)) is not folded
    assert shown.endswith("The lines with ! say why.")


def test_the_last_line_alone_tells_of_stores_and_batches() -> None:
    last = plan_text(builders.everything(), View(quiet=True)).splitlines()[-1]
    assert "1 store to change, 1 store needs attention, 1 batch to cancel." in last
    changed = plan(store(change=StoreChange(Action.UPDATE, (Reason.DRIFTED,))))
    report = report_text(Report(changed, builders.outcomes(changed)), View(quiet=True))
    assert report.startswith("Apply: 0 added, 0 changed, 0 replaced, 0 deleted, 1 store changed, 0 failed in")


def test_a_store_is_counted_apart_from_its_files_and_comes_first() -> None:
    gone = StoreChange(Action.DELETE, (Reason.NOT_IN_MANIFEST,))
    made = plan(store(*(deleted(f"docs/{n}.md") for n in range(45)), change=gone))
    twice = tuple(replace(each, attempts=2) for each in builders.outcomes(made))
    for shown in (plan_text(made, View()), report_text(Report(made, twice), View())):
        signed = [line.split()[:3] for line in shown.splitlines() if line[:4] == "  - "]
        assert signed == [["-", "(the", "store)"], ["-", "45", "files"]]
        assert "./" not in shown


def test_a_file_that_changed_while_it_was_ingested() -> None:
    counts = FileCounts(in_progress=1, total=1)
    batch = BatchChange("vsfb_1", Action.CANCEL, (Reason.UNWANTED,), counts, ("docs/a.md",))
    shown = plan_text(plan(store(create("docs/a.md"), batches=(batch,))), View())
    assert re.search(r"^ +another version is wanted +1 file   docs/$", shown, re.MULTILINE)


@pytest.mark.parametrize(
    ("capabilities", "unlisted", "said"),
    [
        ({}, False, "1 to create (2 files)."),
        ({}, True, "1 to create (2 files); others' batches cannot be listed here."),
        ({"batches": 0}, False, "none to create, 2 files to attach one by one."),
        ({"batches": 0}, True, "none to create, 2 files to attach one by one; others' batches cannot be listed here."),
    ],
)
def test_how_files_are_attached(capabilities: dict[str, int], unlisted: bool, said: str) -> None:
    made = plan(store(create("a.md"), create("b.md")), service=ServiceSpec(capabilities=capabilities))
    (line,) = [
        line for line in plan_text(replace(made, batches_unlisted=unlisted), View()).splitlines() if "Batches" in line
    ]
    assert line == f"Batches: {said}"
    assert line in plan_markdown(replace(made, batches_unlisted=unlisted), View())


def test_full_lists_all_and_cuts_nothing() -> None:
    made = builders.large()
    shown = plan_text(made, View(full=True))
    assert all(f" {change.key} " in f"{shown} " for change in made.stores[0].files[::500])
    assert len(shown.splitlines()) > 10_000
    assert "..." not in plan_text(builders.everything(), View(full=True)).replace("vs_ord_7hq2...", "").replace(
        "_9f2c...", ""
    ).replace("_77e0...", "").replace("_c410...", "")


RECHUNKED = change("a.md", Action.REPLACE, Reason.CHUNKING_CHANGED, Reason.ATTRIBUTES_CHANGED, reuse="file-1")


@pytest.mark.parametrize(
    ("file", "width", "said"),
    [
        (deleted("old.md"), 60, "not in the manifest"),
        (RECHUNKED, 80, "chunking and attributes changed, no upload"),
    ],
)
def test_a_reason_is_not_cut_where_there_is_room(file: FileChange, width: int, said: str) -> None:
    assert said in plan_text(plan(store(file)), View(width=width))


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(categories=["L", "M", "N", "So"]), min_size=1, max_size=150), st.integers(0, 5)
        ),
        max_size=60,
    ),
    st.integers(80, 200),
)
def test_no_line_of_a_change_is_wider_than_the_screen(names: list[tuple[str, int]], width: int) -> None:
    makers = (create, replaced, update, deleted)
    field = FieldChange("a" * 30, "x" * 300, "y" * 300, drifted=True)
    files = [
        update(f"{folder}/{name}", field) if folder > 3 else makers[folder](f"{folder}/{name}")
        for name, folder in names
    ]
    note = Note(NoteKind.SKIPPED, "k" * 200, detail="d " * 200)
    small = store(*files, key="s" * 150, notes=(note,))
    large = store(*(create(f"{'日本' * 60}/{n}.md") for n in range(50)), key="large")
    for line in plan_text(plan(small, large), View(width=width, terminal=True)).splitlines():
        assert display_width(line) <= width


@given(st.lists(st.sampled_from(["a/", "a/b/", "a/b/c/", "a/d/", "e/", ""]), min_size=1), st.integers(1, 6))
def test_folders_lose_no_file(folders: list[str], most: int) -> None:
    rows = [PlanRow("+", f"{folder}x.md", "new file") for folder in folders]
    split = [(name, len(group)) for name, group in split_by_folder(rows, most, below_common=True)]
    for entries in (by_folder(rows, most), split):
        assert sum(count for _, count in entries) == len(folders)
        assert len(entries) <= most
    assert len(split) > 1 or most == 1 or len({*folders}) == 1 or {*folders} <= {"a/b/", "a/b/c/"}


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 60)), max_size=400),
    st.sampled_from([View(), View(width=60), View(full=True)]),
)
@settings(max_examples=40)
def test_groups_lose_no_file(changes: list[tuple[int, int]], view: View) -> None:
    """Whatever is folded away is a number on a line with its sign."""
    files = [
        create(f"{folder}/{n}.md") if kind < 3 else update(f"{folder}/{n}.md", FieldChange("n", 0, n * (kind - 3)))
        for n, (kind, folder) in enumerate(changes)
    ]
    found = {"+": 0, "~": 0}
    for line in plan_text(plan(store(*files)), view).splitlines():
        if match := re.match(r"  ([+~])   (?:([\d,]+) files)?", line):
            found[match[1]] += int((match[2] or "1").replace(",", ""))
    wanted = Counts(add=sum(kind < 3 for kind, _ in changes), change=sum(kind >= 3 for kind, _ in changes))
    assert found == {"+": wanted.add, "~": wanted.change}


@pytest.mark.parametrize(
    ("refusal", "lines"),
    [
        (Refusal("acme: too many.", "acme", ("Or:  yes",)), ["  acme: too many.", "    Or:  yes"]),
        (Refusal("too many.\nlook", "acme"), ["  acme: too many.", "    look"]),
        (Refusal("all wrong."), ["  all wrong."]),
    ],
)
def test_a_refusal_says_its_store_once(refusal: Refusal, lines: list[str]) -> None:
    assert plan_text(plan(refusals=(refusal,)), View(quiet=True)).splitlines()[1:-1] == lines


@pytest.mark.parametrize(
    ("made", "line"),
    [
        (plan(store()), "  status  matches the manifest"),
        (
            plan(store(key="old", desired=None, notes=(Note(NoteKind.LEFT_STORE),))),
            "  status  1 undeclared store",
        ),
        (plan(store(create(), deleted())), "  status  1 to add, 1 to delete"),
        (
            plan(store(live=15, notes=(Note(NoteKind.UNMANAGED, count=3), Note(NoteKind.FOREIGN, count=2)))),
            "  files   15 live, 10 in the manifest, 5 unmanaged",
        ),
        (plan(store(digest="9f2c", live_digest="9f2c")), "  digest  9f2c"),
        (plan(store(digest="9f2c", live_digest="77aa")), "  digest  77aa"),
        (plan(store(digest="9f2c", live_digest="unknown")), "  wanted  9f2c"),
    ],
)
def test_status(made: Plan, line: str) -> None:
    assert line in status_text(made, View()).splitlines()


def test_every_action_of_a_file_is_told_in_a_report() -> None:
    made = builders.everything()
    shown = report_text(Report(made, builders.outcomes(made)), View(full=True))
    for word in ("changed", "added", "replaced", "deleted", "adopted", "waited for", "cancelled", "needs attention"):
        assert word in shown
    assert {change.action for each in made.stores for change in each.files} == set(Action) - {Action.CANCEL}


@pytest.mark.parametrize("width", [60, 80, 140])
def test_what_many_files_failed_of_is_told_whole(width: int) -> None:
    why = "POST http://127.0.0.1:8943/v1/files: cannot be reached: [Errno 111] Connection refused; look at the network"
    made = builders.large()
    failed = tuple(
        Outcome("guide", change.key, change.action, Status.FAILED, why if number % 90 else f"{number}: {why}")
        for number, change in enumerate(made.stores[0].files[:100])
    )
    said = re.sub(r" {2,}[\d,]+ files?$", "", report_text(Report(made, failed), View(width)), flags=re.MULTILINE)
    assert " ".join(said.split()).count(why) == 2


@pytest.mark.parametrize(("removed", "id"), [(Removal.KEEP, ""), (Removal.DELETE, ""), (Removal.KEEP, "vs_1")])
def test_what_is_left_of_a_removed_store_is_told(removed: Removal, id: str) -> None:
    text = status_text(plan(StorePlan("old", "old", id, DesiredStore("old", "old", removed=removed))), View())
    assert "0 files in 0 stores match the manifest" in text
    assert (f"old  `removed: {removed}`, and nothing of ours is left\n" in text) is not bool(id)
    assert "not live" not in text


@pytest.mark.parametrize(
    ("action", "reason", "place"),
    [
        (Action.CREATE, Reason.MISSING, "to be created"),
        (Action.REFUSE, Reason.MISSING, "not live"),
        (Action.REFUSE, Reason.DENIED, "not known"),
    ],
)
def test_only_a_store_to_create_is_called_so(action: Action, reason: Reason, place: str) -> None:
    made = plan(store(id="", change=StoreChange(action, (reason,))))
    assert plan_text(made, View()).splitlines()[2].startswith(f"guide  {place}")
    assert ("store to create |" in plan_markdown(made, View())) is (action is Action.CREATE)


def leaving_out(key: str, *drafts: str) -> StorePlan:
    return store(key=key, unchanged=1, left_out={"draft": drafts})


@pytest.mark.parametrize(
    ("stores", "full", "folded"),
    [
        ([leaving_out("t1", "a"), leaving_out("t2", "a", "b"), leaving_out("t3", "c")], False, ""),
        (
            [leaving_out(f"t{n}", "a", "b") for n in range(40)],
            False,
            "40 stores: nothing to do; 80 files left out: 80 draft (--full lists them).",
        ),
        ([leaving_out(f"t{n}", "a", "b") for n in range(40)], True, ""),
        (
            [store(create(), key="new"), *(leaving_out(f"t{n}", "a") for n in range(4)), store(key="quiet")],
            False,
            "5 more stores: nothing to do; 4 files left out: 4 draft (--full lists them).",
        ),
    ],
)
def test_what_many_stores_leave_out_is_one_line(stores: list[StorePlan], full: bool, folded: str) -> None:
    view = View(width=120, full=full)
    for text in (plan_text(plan(*stores), view), plan_markdown(plan(*stores), view)):
        assert (folded in text, "t3 " in text or ">t3<" in text) == (True, not folded)
