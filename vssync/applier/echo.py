"""Notices when a service gives back other attributes than it was sent, and writes down what it gave back.

Without that note the next plan would take the service's own garbling for somebody's change, and undo it for ever.
"""

from __future__ import annotations

from vssync.applier.context import StoreRun
from vssync.model import Attributes, LiveFile
from vssync.ownership import MARK, Mark, attributes_digest, read_mark, with_echo


def settle(at: StoreRun, file: LiveFile, sent: Attributes) -> None:
    """Writes the mark's `echo` when the file's attributes differ from those sent; usually no request.

    A listing that leaves attributes out says nothing: then the file is read by itself.
    """
    if not file.attributes:
        file = at.file(file.id)
    mark = read_mark(sent)
    if not isinstance(mark, Mark) or attributes_digest(file.attributes) == attributes_digest(sent):
        return
    at.writes.set_attributes(at.id, file.id, {**sent, MARK: str(with_echo(mark, file.attributes, at.ignore))})
