"""Tries on a scratch store what a service is capable of, and removes the store again, whatever happens.

Each probe reports by itself, and an odd answer ends only the one that met it. What could not be tried is no fact.
"""

from __future__ import annotations

from collections.abc import Callable

from vssync.api.errors import MissingCapability, is_permanent, missing_from_create_error
from vssync.commands.doctor import attach_probes, listing_probes, search_probes
from vssync.commands.doctor.finding import failed
from vssync.commands.doctor.scratch import Trial
from vssync.errors import ServiceError, VssyncError

FILES, REQUESTS = 14, 120  # that a run takes, about
# In this order: what a probe attaches, later ones look at; those that remove come last. The last of each: whether it
# needs the two files that are attached first.
_PROBES: tuple[tuple[str, Callable[[Trial], None], bool], ...] = (
    ("connectors", listing_probes.connectors, False),
    ("list stores", listing_probes.list_stores, False),
    ("update store", listing_probes.metadata, False),
    ("list batches", listing_probes.list_batches, False),
    ("attach", attach_probes.attach_pair, False),
    ("list files", listing_probes.list_attributes, True),
    ("update file", attach_probes.update_file, True),
    ("search", search_probes.search_hits, True),
    ("search", search_probes.filter_by_update, True),
    ("attach again", attach_probes.attach_again, True),
    ("names", attach_probes.attach_plainly, False),
    ("kinds", attach_probes.kinds, True),
    ("chunk sizes", attach_probes.chunk_sizes, False),
    ("batches", attach_probes.refused_in_batch, False),
    ("cancel", attach_probes.cancel_batch, False),
    ("paging", listing_probes.paging, True),
    ("list uploads", listing_probes.list_uploads, False),
    ("errors", listing_probes.errors, False),
    ("equal texts", search_probes.equal_texts, False),
    ("delete file", search_probes.delete_file, True),
    ("delete store", search_probes.delete_store, False),
)


def run_write_probes(trial: Trial) -> bool:
    """Runs every probe, and removes what they made; whether nothing is left. Only an interruption is raised."""
    try:
        _run(trial)
    except VssyncError as error:
        if isinstance(error, ServiceError) and not trial.scratch.store_id and is_permanent(error):
            trial.record("store_creates", False, failed("create store", str(error)))
        else:
            trial.emit(failed("write probes", str(error)))
    finally:
        is_clean = trial.scratch.clean(trial.emit)
    return is_clean


def _run(trial: Trial) -> None:
    """Probes everything. Raises VssyncError where there is no store, or the service is gone."""
    listing_probes.create_store(trial)
    for topic, probe, needs_pair in _PROBES:
        if needs_pair and not trial.pair:
            continue
        try:
            probe(trial)
        except VssyncError as error:
            is_unanswered = isinstance(error, ServiceError) and not error.answer.status
            if is_unanswered and (gone := trial.client.probe("/files").error) and not gone.answer.status:
                raise
            if isinstance(error, ServiceError) and missing_from_create_error(error) is MissingCapability.ATTRIBUTES:
                trial.record("takes_attributes", False)
                trial.record("attributes", False, failed("attributes", f"refused: {error}"))
            else:
                trial.emit(failed(topic, str(error)))
