"""Guards: how much a plan may delete or replace without a flag that allows more; refusals are part of the plan."""

from __future__ import annotations

import shlex
from dataclasses import fields, replace
from math import inf

from vssync.model.marks import key_digest
from vssync.model.plan import REASONS_TO_LEAVE, Action, Options, Plan, Reason, Refusal, StorePlan
from vssync.model.state import FileStatus, Limit
from vssync.planner.estimate import count_attached
from vssync.planner.store_files import StoreDraft
from vssync.providers import PROVIDERS

MIN_FILES_FOR_SHARE = 10  # in a store with fewer files of ours, a share says nothing
MIN_KEYS_TO_JUDGE_UNRELATED = 3  # with fewer live keys, an ordinary edit may replace all of them

_DEFAULT_MANIFESTS = (".", "vssync.yaml", "vssync.yml")
_SPECIAL_FLAGS = {"manifest": "-f", "env": "-e", "variables": "--var", "targets": "-t", "excludes": "--exclude"}


def check_guards(plan: Plan) -> tuple[Refusal, ...]:
    """Why nothing of this plan may be written, store by store; empty when it may.

    The files of a store that is deleted are not counted: a flag of its own allows that.
    """
    refusals: list[Refusal] = []
    for store in plan.stores:
        if store.change and Reason.PROTECTED in store.change.reasons:
            if {Reason.NOT_IN_MANIFEST, Reason.REMOVED} & set(store.change.reasons):
                verb, way_out = "deleted", "To delete it, first apply it with `protect: false`."
            else:  # a replacement: only the manifest's setting counts
                verb, way_out = "replaced", "To replace it, first set `protect: false` in the manifest."
            message = f"{store.key}: the store is protected and would be {verb}."
            refusals.append(Refusal(message, store.key, (way_out, *_commands(store, plan))))
        elif store.managed:
            refusals += _check_unrelated(store, plan) or _check_deletes(store, store.managed.guards.max_delete, plan)
            refusals += _check_replaces(store, store.managed.guards.max_replace, plan)
            refusals += _check_capacity(store, plan)
    return tuple(refusals)


def is_unrelated(draft: StoreDraft) -> bool:
    """Whether no live file of ours in a store is wanted, not even under another key.

    This happens when two manifests have the same owner. With one or two live keys an ordinary edit could do it as well:
    a store of so few is related if a live file and a wanted one have a folder in common. The whole store is judged,
    even with `--target`: a partial apply would make it look related next time.
    """
    ours, store = draft.classified.ours, draft.context.store
    if not (ours and draft.wanted_files and store.prune):
        return False
    declared_keys = {*(wanted.key_digest for wanted in draft.wanted_files), *map(key_digest, store.skipped)}
    if not declared_keys.isdisjoint(ours):
        return False
    files = [wanted.file for wanted in draft.wanted_files]
    file_ids = {file.file_id for file in files}
    uploaded = [file for file in files if not file.file_id]
    contents = {text for file in uploaded for text in (file.content, file.presumed_content, file.source)}
    live = [copy for copies in ours.values() for copy in copies]
    if any(copy.id in file_ids or not contents.isdisjoint((copy.mark.content, copy.mark.source)) for copy in live):
        return False
    live_folders = {folder for copy in live for folder in _folders_above(copy.key)}
    return len(ours) >= MIN_KEYS_TO_JUDGE_UNRELATED or live_folders.isdisjoint(
        folder for file in files for folder in _folders_above(file.key)
    )


def _folders_above(key: str) -> set[str]:
    """The folders that a key lies in, at any depth; "" (the root) for a key in no folder."""
    folders = key.split("/")[:-1]
    return {"/".join(folders[:depth]) for depth in range(1, len(folders) + 1)} or {""}


def _check_unrelated(store: StorePlan, plan: Plan) -> list[Refusal]:
    """Refuses to change a store of which no live file is wanted, whatever its size."""
    if not (store.unrelated and store.files) or plan.options.max_delete:
        return []
    message = f"{store.key}: none of its live keys ({store.owned:,}) is in the manifest."
    hint = "Does another manifest use the same `owner`, and is this its store? Then give this one an owner of its own."
    allowing = replace(plan.options, max_delete=Limit(count=store.owned))
    return [Refusal(message, store.key, (hint, *_commands(store, plan, allowing)))]


def count_deletions(store: StorePlan) -> int:
    """How many files of a store count as deleted for its guard."""
    deletions = (change for change in store.files if change.action is Action.DELETE)
    return sum(not REASONS_TO_LEAVE.isdisjoint(change.reasons) for change in deletions)


def count_replacements(store: StorePlan) -> int:
    """How many files of a store count as replaced for its guard."""
    replaces = (change for change in store.files if change.action is Action.REPLACE)
    counted = (change for change in replaces if not {Reason.REQUESTED, Reason.MOVED} & set(change.reasons))
    return sum(any(copy.status is FileStatus.COMPLETED for copy in change.drop) for change in counted)


def _check_deletes(store: StorePlan, limit: Limit, plan: Plan) -> list[Refusal]:
    """Refuses to delete more files than the limit, most of them, or all of them: one flag allows all three."""
    limit = plan.options.max_delete or limit
    count = count_deletions(store)
    is_emptied = store.wanted == 0 and count > 0
    most_leave = store.owned >= MIN_FILES_FOR_SHARE and count * 2 > store.owned
    is_over_limit = count > allowed_number(limit, store.owned)
    is_suspicious = (is_emptied or most_leave) and not plan.options.max_delete
    if not (is_over_limit or is_suspicious):
        return []
    hints = ["A build or checkout that did not finish looks like this."]
    if is_emptied:
        hints.insert(0, "The manifest chooses no file for this store.")
    elif most_leave:
        hints.insert(0, "Most of its files would be deleted: was another manifest of the same owner applied to it?")
    message = _too_many_message(count, "deleted", store, limit if is_over_limit else None)
    allowing = replace(plan.options, max_delete=Limit(count=count))
    return [Refusal(message, store.key, (*hints, *_commands(store, plan, allowing)))]


def _check_replaces(store: StorePlan, limit: Limit, plan: Plan) -> list[Refusal]:
    """Refuses to replace too many files that work, other than those that `--replace` names or that moved."""
    limit = plan.options.max_replace or limit
    count = count_replacements(store)
    if count <= allowed_number(limit, store.owned):
        return []
    allowing = replace(plan.options, max_replace=Limit(count=count))
    return [Refusal(_too_many_message(count, "replaced", store, limit), store.key, _commands(store, plan, allowing))]


def _check_capacity(store: StorePlan, plan: Plan) -> list[Refusal]:
    """Refuses to attach more files than the provider allows in a store, in the end or on the way there.

    On the way, a store also holds the files to delete, which go last, and the old copies of files being replaced.
    """
    provider = PROVIDERS.get(plan.service.provider)
    max_files = provider.max_store_files if provider else None
    attached = count_attached(store)
    if max_files is None or not attached:
        return []
    is_new = store.action is Action.REPLACE
    before = 0 if is_new else store.live + store.unlisted
    after = before + attached - sum(len(change.leaving_ids) for change in store.files)
    added = sum(change.action is Action.CREATE for change in store.files)
    in_flight = min(attached - added, plan.service.declared_capabilities.batch_size)
    at_once = before + added + in_flight
    if max(after, at_once) <= max_files:
        return []
    if after > max_files:
        held, hint = f"{after:,} files", "Declare a second store, and move some of its files there."
    else:
        held = f"{at_once:,} files while the plan is applied"
        hint = "Deletions come last: first apply without the new files, then add them."
    message = f"{store.key}: it would hold {held}; {plan.service.provider} allows {max_files:,} in a store."
    return [Refusal(message, store.key, (hint, *_commands(store, plan)))]


def allowed_number(limit: Limit, owned: int) -> float:
    """How many files of a store with so many of ours a limit allows."""
    if limit.count is not None:
        return limit.count
    return _round_share(limit.share * owned) if owned >= MIN_FILES_FOR_SHARE else inf


def _round_share(number: float) -> float:
    """Rounds away float error: 29% of 100 is 29, not 28.999999999999996."""
    return round(number, 6)


def _too_many_message(count: int, verb: str, store: StorePlan, limit: Limit | None) -> str:
    """The message of a refusal. A share over a limit in percent has the decimals it takes to look larger than that."""
    share = 100 * count / store.owned if store.owned else 100.0
    text = f"{share:.0f}%"
    if limit and limit.count is not None:
        text += f", limit {limit.count:,} {'file' if limit.count == 1 else 'files'}"
    elif limit:
        percent = _round_share(100 * limit.share)
        roundings = (f"{share:.{decimals}f}" for decimals in range(6))
        shown = next((rounded for rounded in roundings if float(rounded) > percent), str(share))
        text = f"{shown}%, limit {limit}"
    return f"{store.key}: {count:,} of {store.owned:,} live files would be {verb} ({text})."


def _commands(store: StorePlan, plan: Plan, allowing: Options | None = None) -> tuple[str, ...]:
    """The next commands to choose from: one with the options that allow it, one that leaves the store out."""
    choices = [("If this is intended:", allowing)] if allowing else []
    key = store.store_key  # for `--exclude`: `store.key` ends in `@id` where several stores have one key
    if any(other.store_key != key for other in plan.stores):
        choices.append((f"Without {key}:", replace(plan.options, excludes=(*plan.options.excludes, key))))
    width = max((len(purpose) + 2 for purpose, _ in choices), default=0)
    return tuple(f"{purpose:<{width}}{plan_command(options)}" for purpose, options in choices)


def plan_command(options: Options, verb: str = "plan") -> str:
    """The command that plans with these options, or does another verb's work."""
    words = ["vssync", verb]
    for field in fields(Options):
        value = getattr(options, field.name)
        flag = _SPECIAL_FLAGS.get(field.name) or f"--{field.name.replace('_', '-')}"
        if field.name == "session_options":
            words += value  # flags and values, as typed
        elif isinstance(value, tuple):
            for item in value:
                words += [flag, item if isinstance(item, str) else "=".join(item)]
        elif isinstance(value, bool):
            words += [flag] if value else []
        elif value not in (None, "", *_DEFAULT_MANIFESTS):
            words += [flag, str(value)]
    return shlex.join(words)
