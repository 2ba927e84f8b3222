"""Notices when a service gives back other attributes than it was sent, and writes down what it gave back.

Without that note the next plan would take the service's own garbling for somebody's change, and undo it for ever. Where
not even the mark comes back nothing can be written down, and that is an error: the file would be nobody's.
"""

from __future__ import annotations

from vssync.api.lacks import on_update
from vssync.applier.context import StoreRun
from vssync.errors import ServiceError, VssyncError
from vssync.model import Attributes, LiveFile
from vssync.ownership import MARK, Mark, attributes_digest, read_mark, with_echo


class Unmarked(VssyncError):
    """A file carries no mark although one was sent, twice."""


def settle(at: StoreRun, file: LiveFile, sent: Attributes) -> None:
    """Writes the mark's `echo` when the file's attributes differ from those sent; usually no request.

    A listing that leaves attributes out says nothing: then the file is read by itself. Raises Unmarked where the
    service keeps no attributes, VssyncError where it keeps the ones there were.
    """
    if not file.attributes:
        file = at.file(file.id)
    mark = read_mark(sent)
    if not isinstance(mark, Mark):
        return
    if file.attributes.get(MARK) != sent[MARK]:
        file = _sent_again(at, file.id, sent)
    if attributes_digest(file.attributes) != attributes_digest(sent):
        noted = with_echo(mark, file.attributes, at.ignore)
        at.writes.set_attributes(at.id, file.id, {**sent, MARK: str(noted)})
        if noted.echo:
            at.run.say_once(
                f"{at.key}: the service reports other attributes than were sent; the next plan counts the files"
            )


def _sent_again(at: StoreRun, file_id: str, sent: Attributes) -> LiveFile:
    """The file with the mark: some services keep no attributes while attaching, or those of an earlier time."""
    why = ""
    try:
        at.writes.set_attributes(at.id, file_id, sent)
    except ServiceError as error:
        if on_update(error) is None:
            raise
        why = ", and changes no attributes later"
    file = at.file(file_id)
    if file.attributes.get(MARK) == sent[MARK]:
        return file
    if isinstance(read_mark(file.attributes), Mark):
        raise VssyncError(
            f"{file_id}: the service took new attributes and kept the old ones; say `attribute_updates: false` under "
            "`service.capabilities`, and the plan knows it"
        )
    raise Unmarked(
        f"{file_id}: the service lost the mark that was sent along{why}; a file without one is nobody's; "
        "`vssync doctor --write` shows what the service keeps"
    )
