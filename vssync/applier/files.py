"""Opens a file to upload and proves that its bytes are the ones the plan was made from."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from vssync.errors import VssyncError
from vssync.model import DesiredFile


@contextmanager
def unchanged(root: Path, file: DesiredFile) -> Iterator[BinaryIO]:
    """The open file, at its start; its bytes are hashed before, and looked at again after, the body of `with`.

    Raises VssyncError when it cannot be read or is not what was planned. What was uploaded meanwhile is then not
    to be used.
    """
    try:
        with (root / file.path).open("rb") as handle:
            before = _stamp(handle)
            if hashlib.file_digest(handle, "sha256").hexdigest() != file.sha256:
                raise VssyncError(f"{file.path}: changed since the plan was made; plan again")
            handle.seek(0)
            yield handle
            if _stamp(handle) != before:
                raise VssyncError(f"{file.path}: changed while it was uploaded; apply again")
    except OSError as error:
        raise VssyncError(f"{file.path}: cannot be read: {error.strerror}") from error


def _stamp(handle: BinaryIO) -> tuple[int, int]:
    status = os.fstat(handle.fileno())
    return status.st_size, status.st_mtime_ns
