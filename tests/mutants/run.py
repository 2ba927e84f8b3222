"""Puts known bugs into a copy of the program, one at a time, and shows that some test catches each.

    python tests/mutants/run.py [NAME]...

Not part of the suite: it takes minutes. Exits 1 when a bug survives, or when its text is not found any more.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
QUICK = ("tests/applier/test_applying.py", "tests/guarantees/test_faults.py", "tests/guarantees/test_drift.py")
CRASH = ("tests/guarantees/test_crash.py",)
LOST = ("tests/applier/test_recover_upload.py",)
DELETIONS = ("tests/applier/test_deletions.py", "tests/guarantees/test_two_machines.py")
JOURNAL = ("tests/journal/test_writer.py",)
CI = ("tests/ci",)
PREVIEWS = ("tests/ci/test_previews.py",)
FLOWS = ("tests/ci/test_flows.py", "tests/ci/test_flow_limits.py")
INTERRUPTED = ("tests/applier/test_interrupted.py",)
EXPLAIN, CI_GUARDS = ("tests/ci/test_explain.py",), ("tests/ci/test_guards.py",)


@dataclass(frozen=True)
class Mutant:
    """A bug: in `path` every `right` becomes `wrong`; some of `tests` must fail."""

    name: str
    path: str
    right: str
    wrong: str
    tests: tuple[str, ...] = QUICK


MUTANTS = (
    Mutant(
        "dump-by-size-alone",
        "vssync/commands/dump/matching.py",
        "path in each.by_name or result.confidence is Confidence.BYTES",
        "True",
        ("tests/dump/test_matching.py",),
    ),
    Mutant(
        "dump-forgets-that-marks-see-names",
        "vssync/commands/dump/entries.py",
        "        is_named=mark is not None and mark.origin is not Origin.ADOPTED,\n",
        "",
        ("tests/dump",),
    ),
    Mutant(
        "one-service-two-spellings",
        "vssync/ci/changed.py",
        "where = (str(address),) if address else",
        "where = (service.data_url,) if address else",
        ("tests/ci/test_changed.py",),
    ),
    Mutant(
        "markup-in-a-page",
        "vssync/render/html.py",
        "autoescape=True",
        "autoescape=False",
        ("tests/render/test_nasty.py",),
    ),
    Mutant(
        "control-characters-in-a-page",
        "vssync/render/html.py",
        "        finalize=_without_control,\n",
        "",
        ("tests/render/test_nasty.py",),
    ),
    Mutant(
        "drop-the-mark-check",
        "vssync/planner/classify.py",
        "elif mark.owner not in owners:",
        "elif False:",
        ("tests/planner", *QUICK),
    ),
    Mutant("detach-before-attach", "vssync/applier/steps.py", "change.gap or copy.id == existing_id", "True"),
    Mutant("blind-post-retry", "vssync/api/retry.py", "failure.is_ambiguous and idempotent", "failure.is_ambiguous"),
    Mutant(
        "a-404-after-attaching-is-a-failure",
        "vssync/applier/wait.py",
        "except NotFound:",
        "except ZeroDivisionError:",
        ("tests/applier/test_attaching.py",),
    ),
    Mutant(
        "forget-pagination",
        "vssync/api/pagination.py",
        "if page.has_more is False or (page.has_more is None and not new):",
        "if True:",
        ("tests/api", *QUICK),
    ),
    Mutant(
        "believe-a-short-listing",
        "vssync/api/pagination.py",
        "return len(self.files) >= self.total",
        "return True",
        ("tests/api",),
    ),
    Mutant("take-an-error-for-success", "vssync/api/parse.py", 'and body.get("error"):', "if False:", ("tests/api",)),
    Mutant("delete-what-others-hold", "vssync/applier/deletions.py", "if file_id not in holders", "if True"),
    Mutant(
        "a-confirmed-deletion-is-done",
        "vssync/applier/deletions.py",
        "    if final.lists(deletion):\n",
        "    if False:\n",
        DELETIONS,
    ),
    Mutant(
        "no-last-look",
        "vssync/applier/deletions.py",
        "_LOST.format(deletion.kept_id)), True",
        "_LOST.format(deletion.kept_id)), False",
        DELETIONS,
    ),
    Mutant(
        "a-404-is-the-end-of-a-file",
        "vssync/api/client.py",
        "if not self._delete(call, is_last_look=True) and not self._may_read_uploads:",
        "if False:",
        ("tests/api",),
    ),
    Mutant(
        "remove-without-reading-the-kept-copy",
        "vssync/applier/settle.py",
        "elif live.status is FileStatus.COMPLETED:",
        "elif True:",
    ),
    Mutant(
        "batch-is-done-so-its-files-are",
        "vssync/applier/settle.py",
        "listed = store.client.list_batch_files(store.id, batch.batch_id)",
        "listed = [LiveFile(each.file_id, FileStatus.COMPLETED, 0, mark=each.put.mark) for each in batch.files]",
        ("tests/applier/test_attaching.py", *QUICK),
    ),
    Mutant(
        "second-store-after-a-lost-reply",
        "vssync/applier/stores.py",
        'it may have been created"):\n                live = poll_until(',
        'it may have been created"):\n                live = None and poll_until(',
        ("tests/applier/test_stores.py",),
    ),
    Mutant(
        "take-the-expired-store-for-its-replacement",
        "vssync/applier/stores.py",
        "if not live.is_expired and live.id != replaced_id)",
        "if live.id)",
        ("tests/applier/test_stores.py",),
    ),
    Mutant(
        "the-newest-of-two-stores",
        "vssync/planner/find_stores.py",
        "return not is_usable, not has_ours, live.created_at, live.id",
        "return not is_usable, not has_ours, -live.created_at, live.id",
        ("tests/guarantees/test_twins.py",),
    ),
    Mutant(
        "attach-without-a-look-for-another-store",
        "vssync/applier/stores.py",
        "    if not (twins or filled):\n        return\n",
        "    return\n",
        ("tests/guarantees/test_twins.py",),
    ),
    Mutant(
        "attach-what-a-joined-store-holds",
        "vssync/applier/feed.py",
        "files = take_over_concurrent(self._store, files)",
        "pass",
        ("tests/guarantees/test_twins.py",),
    ),
    Mutant(
        "forget-a-store-that-was-joined",
        "vssync/applier/stores.py",
        "store.writes.journal.remember_store(store_id, store.key)",
        "pass",
        ("tests/guarantees/test_twins.py",),
    ),
    Mutant(
        "a-joined-store-was-made-here",
        "vssync/applier/stores.py",
        'store.run.results.record_result(store.key, "", ALREADY_DONE)',
        "pass",
        ("tests/guarantees/test_twins.py",),
    ),
    Mutant(
        "delete-in-the-run-that-restores-a-mark",
        "vssync/planner/assemble.py",
        "store_files.refuse_removals(draft) if decision.planned_files is PlannedFiles.WITHOUT_REMOVALS else draft",
        "draft",
        ("tests/guarantees/test_lost_stores.py",),
    ),
    Mutant(
        "what-nobody-read-hides-nothing",
        "vssync/commands/compare.py",
        "if not session.capabilities.shares_chunks or plan.options.allow_gap:",
        "if True:",
        ("tests/guarantees/worlds/test_equal_texts.py",),
    ),
    Mutant(
        "detach-a-file-that-another-key-declares",
        "vssync/planner/store_files.py",
        "declaring_keys.get(copy.id) in (None, change.key)",
        "True",
        ("tests/planner/test_declared.py",),
    ),
    Mutant(
        "a-key-gives-up-the-copy-that-serves",
        "vssync/planner/takeover.py",
        "return any(other.file.status is FileStatus.COMPLETED for other in usable)",
        "return True",
        ("tests/planner/test_declared.py",),
    ),
    Mutant(
        "a-store-that-was-written-is-ours",
        "vssync/applier/writes.py",
        "if mark and (live_mark",
        "if not mark and (live_mark",
        ("tests/applier/test_stores.py",),
    ),
    Mutant(
        "metadata-that-is-lost-is-not-missed",
        "vssync/applier/writes.py",
        "if not (lost := lost_metadata(sent, live)):",
        "if True:",
        ("tests/applier/test_stores.py",),
    ),
    Mutant(
        "delete-again-what-may-be-gone",
        "vssync/api/http.py",
        'if call.method != "DELETE" or not',
        "if True or not",
        DELETIONS,
    ),
    Mutant(
        "call-a-store-converged-that-is-gone",
        "vssync/applier/deletions.py",
        "if isinstance(error, NotFound) and not run.client.can_list_files(store.id):",
        "if False:",
        ("tests/guarantees/test_meetings.py",),
    ),
    Mutant(
        "stamp-what-another-commit-was-applied-to",
        "vssync/applier/stores.py",
        "if stamp is None or str(stamp) == store.steps.applied:",
        "if True:",
        ("tests/guarantees/test_meetings.py",),
    ),
    Mutant(
        "delete-what-came-after-the-plan",
        "vssync/applier/stores.py",
        "contents.unlisted > steps.others:",
        "contents.unlisted > 1000:",
        ("tests/guarantees/test_meetings.py",),
    ),
    Mutant(
        "call-a-store-destroyed-that-was-made-anew",
        "vssync/applier/deletions.py",
        'if new_id := made_anew.get((plan.owner, key.partition("@")[0])):',
        "if new_id := made_anew.get(()):",
        ("tests/guarantees/test_meetings.py",),
    ),
    Mutant(
        "forget-the-uploads-of-a-replaced-store",
        "vssync/applier/stores.py",
        "return tuple(file.id for file in contents.files if is_our_upload(file.mark, steps.owner))",
        "return ()",
        ("tests/applier/test_stores.py",),
    ),
    Mutant(
        "a-refusal-of-anything-is-a-refusal-of-the-files",
        "vssync/applier/attach.py",
        "if error.answer.status not in _REJECTED:",
        "if False:",
        ("tests/applier/test_attaching.py",),
    ),
    Mutant(
        "already-attached-is-a-refusal",
        "vssync/applier/attach.py",
        '"file_already_attached":\n        return True',
        '"file_already_attached":\n        return False',
        ("tests/applier/test_attaching.py",),
    ),
    Mutant(
        "a-deadline-for-each-file-of-a-batch",
        "vssync/applier/settle.py",
        "INGESTION_DEADLINE if has_ended else 0.0",
        "INGESTION_DEADLINE",
        ("tests/applier/test_waiting.py",),
    ),
    Mutant(
        "what-another-store-learned-meanwhile-was-tried",
        "vssync/applier/attach.py",
        "return _handle_refusal(store, files, error, retries, capabilities)",
        "return _handle_refusal(store, files, error, retries, store.run.capabilities)",
        ("tests/applier/test_attaching.py",),
    ),
    Mutant(
        "attach-again-blindly",
        "vssync/applier/attach.py",
        "missing = [file for file in files if file.file_id not in attached]",
        "missing = list(files)",
    ),
    Mutant(
        "trust-the-batch-id",
        "vssync/applier/attach.py",
        '"" if batch_id == store.id else batch_id',
        "batch_id",
    ),
    Mutant(
        "forget-the-echo",
        "vssync/applier/attributes.py",
        "store.writes.set_attributes(store.id, live.id,",
        "(lambda *_: None)(store.id, live.id,",
    ),
    Mutant(
        "no-line-before-a-write",
        "vssync/journal/writer.py",
        "self._append(records.line_before(self._run, number, now, write))",
        "self._state.add_line(records.line_before(self._run, number, now, write))",
        ("tests/journal/test_writer.py", *CRASH),
    ),
    Mutant(
        "take-an-upload-that-a-store-holds",
        "vssync/applier/run.py",
        "if upload.file_id not in holders",
        "if True",
        ("tests/journal/test_writer.py", *CRASH),
    ),
    Mutant(
        "forget-what-was-detached",
        "vssync/journal/records.py",
        "if write.ours and not",
        "if False and not",
        CRASH,
    ),
    Mutant(
        "say-nothing-of-what-is-detached-to-be-attached-again",
        "vssync/applier/upload.py",
        "    if is_our_upload:\n",
        "    if False:\n",
        ("tests/applier/test_reattaching.py",),
    ),
    Mutant(
        "gc-without-looking",
        "vssync/commands/gc.py",
        "for file_id in find_holders(client, session.pool, stores, list(orphans)):",
        "for file_id in ():",
        ("tests/applier/test_gc.py", "tests/journal/test_writer.py", *CRASH),
    ),
    Mutant(
        "gc-spares-nothing",
        "vssync/commands/gc.py",
        "MIN_AGE = 24 * 3600",
        "MIN_AGE = 0",
        ("tests/applier/test_gc.py",),
    ),
    Mutant(
        "one-pause-for-one-thread-only",
        "vssync/api/rate_limit.py",
        "self._paused_until = max(self._paused_until, until)",
        "self._paused_until = 0.0",
        ("tests/api", *QUICK),
    ),
    Mutant(
        "upload-shared-with-a-store-twice",
        "vssync/applier/ledger.py",
        "if store_id not in stores",
        "if stores",
        LOST,
    ),
    Mutant(
        "take-for-lost-what-the-store-holds",
        "vssync/applier/upload.py",
        "not store.client.is_attached(store.id, file_id)",
        "True",
        LOST,
    ),
    Mutant("take-for-lost-what-is-old", "vssync/applier/upload.py", "upload.created_at >= since", "True", LOST),
    Mutant(
        "any-name-proves-an-upload",
        "vssync/applier/ledger.py",
        "return upload_digest(self._owner_name, file.sha256) in file.filename",
        "return True",
        LOST,
    ),
    Mutant(
        "send-a-key-to-the-other-address",
        "vssync/auth/__init__.py",
        "data = replace(endpoint, control_url=endpoint.data_url)",
        "data = endpoint",
        ("tests/auth/test_bearer.py",),
    ),
    Mutant(
        "run-a-command-for-each-who-was-refused",
        "vssync/auth/command.py",
        "self._runs <= after",
        "after",
        ("tests/auth/test_command.py",),
    ),
    Mutant("send-twice-what-a-name-proves", "vssync/applier/writes.py", "file_id = on_lost(error)", "raise", LOST),
    Mutant(
        "equal-uploads-take-no-turns",
        "vssync/applier/run.py",
        "[identity for identity, times in wanted.items() if times > 1]",
        "()",
        ("tests/applier/test_applying.py", *LOST),
    ),
    Mutant(
        "a-line-written-anew-means-what-it-meant-once",
        "vssync/journal/records.py",
        ' and not line.get("rewritten")',
        "",
        JOURNAL,
    ),
    Mutant(
        "remember-for-ever-what-is-attached",
        "vssync/applier/settle.py",
        "store.writes.journal.record_held(file.file_id)",
        "pass",
        JOURNAL,
    ),
    Mutant(
        "remember-every-run-that-was-cut-off",
        "vssync/journal/records.py",
        "_MAX_RUNS = 10",
        "_MAX_RUNS = 10**6",
        JOURNAL,
    ),
    Mutant("a-buffer-for-the-journal", "vssync/journal/writer.py", "buffering=0", "buffering=-1", JOURNAL),
    Mutant(
        "gc-hides-what-was-cut-off",
        "vssync/journal/writer.py",
        "if self._is_apply and not self._has_begun:",
        "if not self._has_begun:",
        JOURNAL,
    ),
    Mutant(
        "every-signal-raises",
        "vssync/cli/process.py",
        "if not self._ending and now - self._raised_at > _QUIET_PERIOD:",
        "if True:",
        INTERRUPTED,
    ),
    Mutant(
        "wait-for-hanging-threads", "vssync/threads.py", "wait=kind is not KeyboardInterrupt", "wait=True", INTERRUPTED
    ),
    Mutant(
        "wait-on-though-asked-twice",
        "vssync/applier/run.py",
        "run.watcher.may_stop_waiting() or not",
        "not",
        INTERRUPTED,
    ),
    Mutant(
        "each-detached-file-is-read-although-it-is-gone",
        "vssync/applier/wait.py",
        "if total <= PAGE_SIZE * len(file_ids):",
        "if False:",
        ("tests/applier/test_reattaching.py",),
    ),
    Mutant(
        "attach-before-the-detached-copy-is-gone",
        "vssync/applier/upload.py",
        "lingering = wait_until_detached(store, detached) if detached else set()",
        "lingering = set()",
        (
            "tests/applier/test_reattaching.py",
            "tests/applier/test_sharing.py",
            "tests/guarantees/worlds/test_switches.py",
        ),
    ),
    Mutant(
        "a-night-is-time-without-progress",
        "vssync/applier/wait.py",
        "clock.sleep(pause)\n        waited += pause",
        "before = clock.monotonic()\n        clock.sleep(pause)\n        waited += clock.monotonic() - before",
        ("tests/applier/test_disasters.py",),
    ),
    Mutant(
        "a-merge-explains-what-its-base-had",
        "vssync/ci/history.py",
        "descending if parents[1:] else parents or",
        "parents or",
        EXPLAIN,
    ),
    Mutant("a-force-push-keeps-its-base", "vssync/ci/history.py", "if tip in since_base else None", "", EXPLAIN),
    Mutant(
        "the-ends-of-a-range-say-all",
        "vssync/ci/explain.py",
        "touched |= paths",
        "touched ^= paths",
        EXPLAIN,
    ),
    Mutant(
        "an-entry-that-chose-other-files-too-explains",
        "vssync/ci/explain.py",
        "for field, value in each.items() if field not in _SELECTORS",
        "for field, value in each.items()",
        EXPLAIN,
    ),
    Mutant(
        "whatever-git-lacks-was-built",
        "vssync/ci/explain.py",
        "self._manifests.git.ignored(gone) | present",
        "frozenset(gone) | present",
        EXPLAIN,
    ),
    Mutant(
        "links-have-one-name",
        "vssync/ci/history.py",
        "for name in (path, *self._aliases(path))",
        "for name in (path,)",
        EXPLAIN,
    ),
    Mutant(
        "the-head-chooses-its-guards",
        "vssync/ci/guards.py",
        "min(limits, key=",
        "max(limits[:1], key=",
        CI_GUARDS,
    ),
    Mutant(
        "a-label-outlives-a-push", "vssync/ci/guards.py", "label.set_at <= request.last_push_at", "False", CI_GUARDS
    ),
    Mutant("a-label-set-before-the-push", "vssync/ci/github.py", '"head_ref_force_pushed",', "", CI),
    Mutant("a-run-of-another-pull-request", "vssync/ci/github.py", "if time and time >= opened", "if time", CI),
    Mutant("a-label-of-who-pushed-last", "vssync/ci/rest.py", "elif user == pusher:", "elif False:", CI),
    Mutant("a-label-that-a-bot-set", "vssync/ci/rest.py", "elif _BOT.search(user):", "elif False:", CI),
    Mutant("a-merge-from-elsewhere", "vssync/ci/rest.py", "if self._merge_commit(request) in wanted:", "if True:", CI),
    Mutant("a-comment-of-somebody-else", "vssync/ci/rest.py", " == self._login()", "", CI),
    Mutant("a-deleted-fork-is-ours", "vssync/ci/github.py", "own is None or own", "own is not None and own", CI),
    Mutant("unexplained-by-a-push", "vssync/ci/gitlab.py", "kind is EventKind.MANUAL and ", "", CI),
    Mutant("a-quick-action", "vssync/ci/rest.py", 're.sub(r"(?m)^/", " /", text)', "text", CI),
    Mutant(
        "applied-though-unexplained", "vssync/commands/ci/apply.py", "str(error)), REFUSED", "str(error)), 0", FLOWS
    ),
    Mutant("a-part-is-applied", "vssync/commands/ci/apply.py", "is_ready = not worst(looks)", "is_ready = True", FLOWS),
    Mutant(
        "a-fork-asks-the-service",
        "vssync/commands/ci/plan.py",
        "None if run.forge.event.is_fork else _make",
        "_make",
        FLOWS,
    ),
    Mutant("a-saved-plan-chooses-its-options", "vssync/commands/ci/apply.py", "if options != own or", "if", FLOWS),
    Mutant("an-error-closes-the-issue", "vssync/commands/ci/drift.py", "elif not worst(looks):", "else:", FLOWS),
    Mutant(
        "a-preview-declared-by-name", "vssync/ci/previews.py", "keys and not is_pattern(keys[0])", "False", PREVIEWS
    ),
    Mutant("a-preview-in-anothers-store", "vssync/ci/previews.py", "if getattr(store, name)", "if False", PREVIEWS),
    Mutant("a-preview-removes-what-others-made", "vssync/ci/previews.py", "desired, removed=()", "desired", PREVIEWS),
    Mutant(
        "open-previews-are-swept", "vssync/ci/previews.py", "if is_open is False:", "if is_open is not None:", PREVIEWS
    ),
    Mutant("a-fork-gets-a-preview", "vssync/commands/ci/preview.py", "if event.is_fork:", "if False:", PREVIEWS),
    Mutant(
        "closed-while-applied",
        "vssync/commands/ci/preview.py",
        "in looks) and not _is_open",
        "in looks) and not True and not _is_open",
        PREVIEWS,
    ),
    Mutant(
        "a-request-raises-its-own-limit",
        "vssync/ci/guards.py",
        "commit = deployed if deployed in base.range.commits else base.range.base",
        "commit = history.git.head",
        FLOWS,
    ),
    Mutant("a-token-to-another-host", "vssync/ci/rest.py", "if (url.scheme, url.netloc) != ", "if () > ", CI),
)


@contextmanager
def copied_tree() -> Iterator[Path]:
    """The working tree without what is large or secret, in a folder of its own."""
    with tempfile.TemporaryDirectory(prefix="vssync-mutant-") as folder:
        for part in ("vssync", "tests", "schemas", "examples", "pyproject.toml", "README.md"):
            source, target = ROOT / part, Path(folder, part)
            skipped = shutil.ignore_patterns("__pycache__", ".vssync")
            shutil.copytree(source, target, ignore=skipped) if source.is_dir() else shutil.copy(source, target)
        yield Path(folder)


def first_failure(tree: Path, mutant: Mutant) -> str:
    """The first test that fails with the bug in; empty when none does."""
    path = tree / mutant.path
    text = path.read_text()
    path.write_text(text.replace(mutant.right, mutant.wrong))
    try:
        run = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *mutant.tests]
        environment = {**os.environ, "PYTHONPATH": str(tree)}
        completed = subprocess.run(
            run, cwd=tree, env=environment, capture_output=True, text=True, timeout=600, check=False
        )
    except subprocess.TimeoutExpired:
        return "no end within ten minutes"
    finally:
        path.write_text(text)
    failures = [line for line in completed.stdout.splitlines() if line.startswith(("FAILED", "ERROR"))]
    return (
        "" if completed.returncode == 0 else next(iter(failures), f"the tests ended with code {completed.returncode}")
    )


def outdated(mutant: Mutant) -> str:
    """Why a mutant no longer fits the program, if it does not."""
    path = ROOT / mutant.path
    if not path.is_file() or mutant.right not in path.read_text():
        return f"{mutant.name}: `{mutant.right}` is no longer in {mutant.path}; update the mutant"
    missing = [test for test in mutant.tests if not (ROOT / test).exists()]
    return f"{mutant.name}: there is no {missing[0]}" if missing else ""


def main(names: list[str]) -> int:
    survived = []
    if problems := list(filter(None, map(outdated, MUTANTS))):  # first, rather than after minutes
        sys.exit("\n".join(problems))
    with copied_tree() as tree:
        for mutant in MUTANTS:
            if not names or mutant.name in names:
                failure = first_failure(tree, mutant)
                print(f"{mutant.name:40} {failure or 'SURVIVED'}"[:150], flush=True)
                survived += [] if failure else [mutant.name]
    print(f"{len(survived)} survived" + (f": {', '.join(survived)}" if survived else ""))
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
