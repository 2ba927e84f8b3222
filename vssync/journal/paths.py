"""Where the journal lives: in the state folder of the person who runs this, by service and owner.

Never in the checkout: a journal names Files that may be deleted, and a checkout is text that anybody may propose.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from platformdirs import user_state_path

from vssync.endpoints import Endpoint
from vssync.errors import UsageProblem, VssyncError
from vssync.sources.write import describe_file_type

VARIABLE = "VSSYNC_STATE_DIR"
_PROJECTS = ("OpenAI-Project", "opc-compartment-id")  # one address serves many of these
_OTHERS_MAY_WRITE = 0o022


def journal_folder(
    endpoint: Endpoint, owner: str, manifest: Path, checkout: Path, environment: Mapping[str, str]
) -> Path:
    """The folder for what this owner does to this service; it need not exist.

    `manifest` is the manifest's own folder, in which the embedded service lives, and `checkout` the work tree around
    it. Raises UsageProblem for a state folder inside that.
    """
    here = str(manifest.resolve()) if endpoint.embedded else ""
    projects = [endpoint.data_headers.get(name, "") for name in _PROJECTS]
    identity = "\n".join([endpoint.provider, endpoint.data_url, endpoint.control_url, *projects, here, owner])
    readable = re.sub(r"[^A-Za-z0-9.-]+", "-", owner)[:40].strip(".-")
    return _base(environment, checkout) / f"{readable}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


def _base(environment: Mapping[str, str], checkout: Path) -> Path:
    """The usual folder is a home's: without git, a manifest may lie beside it, in the home itself."""
    given = environment.get(VARIABLE, "")
    try:
        base = Path(given).expanduser() if given else user_state_path("vssync", appauthor=False)
    except RuntimeError:  # a container's user may be one that no list names
        raise UsageProblem(
            f"HOME: not set, and this user has no home to keep state in; set it, or {VARIABLE}"
        ) from None
    if not base.is_absolute():
        raise UsageProblem(f"{VARIABLE}={given}: must be an absolute path")
    real = checkout.resolve()
    inside = any(part.resolve().is_relative_to(real) for part in (base, *base.parents))  # also where a link leads out
    if inside and (given or (checkout / ".git").exists()):
        raise UsageProblem(
            f"{base}: this state folder lies in the manifest's checkout, which others may write; name one outside: "
            f"{VARIABLE}"
        )
    return base


def prepared(folder: Path) -> Path:
    """The folder, made where it is missing, for its owner only; so is the one that holds it.

    Raises VssyncError when it cannot be made, others may write to it, or it holds what is not vssync's.
    """
    check(folder)
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise unusable(folder, error) from error
    if os.name == "posix" and (status.st_mode & _OTHERS_MAY_WRITE or status.st_uid != os.geteuid()):
        raise VssyncError(f"{folder}: others may write to this state folder; chmod 700 it, or name another: {VARIABLE}")
    return folder


def check(folder: Path) -> None:
    """Raises VssyncError where the folder, or anything in it, is not vssync's own; it need not exist.

    What holds it is its user's, who may keep it behind a link.
    """
    _must_be(stat.S_ISDIR, folder, "a folder")
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise VssyncError(
            f"{folder}: cannot be read: {error.strerror}; make it readable, or name another: {VARIABLE}"
        ) from error
    for name in names:
        _must_be(stat.S_ISREG, folder / name, "a file")


def _must_be(fine: Callable[[int], bool], path: Path, wanted: str) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError:  # gone meanwhile; any other error is that of opening it
        return
    if not fine(mode):
        raise VssyncError(f"{path}: is {describe_file_type(mode)}; vssync needs {wanted} of its own there; remove it")


def unusable(path: Path, error: OSError) -> VssyncError:
    """The error for a state folder that cannot be used."""
    return VssyncError(f"{path}: cannot be written: {error.strerror}; make room, or name a folder that can: {VARIABLE}")
