"""What steps there are, and in which order those of a store are taken; why, a plan knows.

The order within a store, and its reason:

    setup     the store must exist before anything is put into it
    cancels   what a superseded batch still ingests would only have to be removed again
    waves     new copies; a wave's old copies go when its new ones were read as completed
    updates   attributes in place; independent of the waves
    awaited   batches under way end before their files are looked at, and before what is not wanted of them is removed
    waits     right copies the service is still at work on; their superseded copies go afterwards
    removes   copies nobody waits for, each after its kept copy was read as completed
    teardown  a store goes when nothing of it is wanted
"""

from __future__ import annotations

from dataclasses import dataclass

from vssync.model.marks import Mark
from vssync.model.plan import StoreChange
from vssync.model.state import Attributes, Chunking, DesiredFile, StoreSettings


@dataclass(frozen=True, slots=True)
class Drop:
    """A copy to detach. `kept` must be read as completed first, where there is one.

    The File is deleted at the end of the run only when `uploaded`: our mark says that we made it.
    """

    key: str
    file_id: str
    uploaded: bool
    kept: str = ""


@dataclass(frozen=True, slots=True)
class Put:
    """A file to bring into a store: upload (or take `file_id`), attach, wait until completed, then drop the old.

    `attributes` is the whole map to send beside the mark. With `gap` the drops go before the attach. `unfinished` says
    that the File was attached when planned, and not completed: it may be by now, and is then not touched.
    """

    key: str
    file: DesiredFile
    attributes: Attributes
    mark: Mark
    chunking: Chunking
    file_id: str = ""
    drops: tuple[Drop, ...] = ()
    gap: bool = False
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """Attributes to write in place; `attributes` is the whole map to send beside the mark."""

    key: str
    file_id: str
    attributes: Attributes
    mark: Mark


@dataclass(frozen=True, slots=True)
class Wait:
    """A right copy that is still being ingested; `drops` go when it is completed."""

    key: str
    file_id: str
    drops: tuple[Drop, ...] = ()


@dataclass(frozen=True, slots=True)
class CancelBatch:
    """A live batch of ours to cancel."""

    batch_id: str

    @property
    def key(self) -> str:
        """What the change is addressed by."""
        return self.batch_id


@dataclass(frozen=True, slots=True)
class AwaitBatch:
    """A live batch of ours to wait for until it has ended."""

    batch_id: str

    @property
    def key(self) -> str:
        """What the change is addressed by."""
        return self.batch_id


@dataclass(frozen=True, slots=True)
class Wave:
    """The files of one batch, in key order."""

    puts: tuple[Put, ...]


@dataclass(frozen=True, slots=True)
class StoreSteps:
    """All steps of one store, in the order of this module's table. `store_id` is empty until it is created.

    `ignore` names attributes that others own: `Put` and `Update` carry them along, marks leave them out. When `setup`
    replaces the store, `store_id` is the old one, which `teardown` deletes after everything else is done.
    """

    key: str
    store_id: str
    name: str
    in_flight: int
    ignore: tuple[str, ...] = ()
    setup: StoreChange | None = None
    settings: StoreSettings | None = None
    cancels: tuple[CancelBatch, ...] = ()
    waves: tuple[Wave, ...] = ()
    updates: tuple[Update, ...] = ()
    awaited: tuple[AwaitBatch, ...] = ()
    waits: tuple[Wait, ...] = ()
    removes: tuple[Drop, ...] = ()
    teardown: StoreChange | None = None
