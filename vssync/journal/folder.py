"""The folder of a journal, one for each service and owner, in the user's state folder; its lock and its memory.

Never in the checkout: a journal names Files that may be deleted, and anybody may propose files for a checkout.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import stat
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from platformdirs import user_state_path

from vssync.endpoints import Endpoint
from vssync.errors import Refused, UsageProblem, VssyncError
from vssync.files import describe_file_type, write_file
from vssync.sources.paths import from_disk

STATE_DIR_VARIABLE = "VSSYNC_STATE_DIR"
_PROJECT_HEADERS = ("OpenAI-Project", "opc-compartment-id")  # one address serves many projects
_OTHERS_MAY_WRITE = 0o022
_HOLDER = "holder.json"  # tells which process has the lock
_LEARNED = "service.json"  # what applies of this machine found out about the service


def journal_folder(
    endpoint: Endpoint, owner: str, manifest: Path, checkout: Path, environment: Mapping[str, str]
) -> Path:
    """The folder of the journal for an owner and a service; it need not exist.

    `manifest` is the manifest's own folder, in which the embedded service lives, and `checkout` the work tree around
    it. Raises UsageProblem for a state folder inside the checkout.
    """
    local_folder = from_disk(str(manifest.resolve())) if endpoint.embedded else ""
    projects = [endpoint.data_headers.get(name, "") for name in _PROJECT_HEADERS]
    service_identity = [endpoint.provider.name, endpoint.data_url, endpoint.control_url, *projects, local_folder]
    digest = hashlib.sha256("\n".join([*service_identity, owner]).encode("utf-8", "surrogateescape")).hexdigest()
    readable_name = re.sub(r"[^A-Za-z0-9.-]+", "-", owner)[:40].strip(".-")
    return state_folder(environment, checkout) / f"{readable_name}-{digest[:16]}"


def state_folder(environment: Mapping[str, str], checkout: Path) -> Path:
    """The state folder, by default in the user's home. Raises UsageProblem where there is none outside the checkout.

    Inside a checkout without git the default is allowed: the manifest may be in the home folder itself.
    """
    configured = environment.get(STATE_DIR_VARIABLE, "")
    try:
        base = Path(configured).expanduser() if configured else user_state_path("vssync", appauthor=False)
    except RuntimeError:  # a container's user may have no entry in the system's list of users
        raise UsageProblem(
            f"HOME: not set, and this user has no home to keep state in; set it, or {STATE_DIR_VARIABLE}"
        ) from None
    if not base.is_absolute():
        raise UsageProblem(f"{STATE_DIR_VARIABLE}={configured}: must be an absolute path")
    real_checkout = checkout.resolve()
    # Where a link is in it, its parents are checked too: one inside the checkout may lead out of it.
    parts = (base,) if base.resolve() == base else (base, *base.parents)
    is_inside = any(part.resolve().is_relative_to(real_checkout) for part in parts)
    if is_inside and (configured or (checkout / ".git").exists()):
        raise UsageProblem(
            f"{base}: this state folder lies in the manifest's checkout, which others may write; name one outside: "
            f"{STATE_DIR_VARIABLE}"
        )
    return base


def prepare_folder(folder: Path) -> Path:
    """Creates the folder and its parents where they are missing, for their owner only; returns it.

    Raises VssyncError when it cannot be created, others may write to it, or it holds anything that is not vssync's.
    """
    check_folder(folder)
    try:
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise write_error(folder, error) from error
    if os.name == "posix" and (status.st_mode & _OTHERS_MAY_WRITE or status.st_uid != os.geteuid()):
        raise VssyncError(
            f"{folder}: others may write to this state folder; chmod 700 it, or name another: {STATE_DIR_VARIABLE}"
        )
    return folder


def check_folder(folder: Path) -> None:
    """Raises VssyncError where the folder is not a folder, or anything in it not a plain file. Parents may be links."""
    _check_kind(stat.S_ISDIR, folder, "a folder")
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise VssyncError(
            f"{folder}: cannot be read: {error.strerror}; make it readable, or name another: {STATE_DIR_VARIABLE}"
        ) from error
    for name in names:
        _check_kind(stat.S_ISREG, folder / name, "a file")


def _check_kind(is_expected: Callable[[int], bool], path: Path, expected: str) -> None:
    try:
        mode = path.lstat().st_mode
    except OSError:  # it is gone, or else opening it fails and says why
        return
    if not is_expected(mode):
        raise VssyncError(f"{path}: is {describe_file_type(mode)}, but must be {expected}; remove it")


def write_error(path: Path, error: OSError) -> VssyncError:
    """The error for a state folder, or a file in it, that cannot be written."""
    return VssyncError(
        f"{path}: cannot be written: {error.strerror}; make room, or name another folder: {STATE_DIR_VARIABLE}"
    )


@contextmanager
def exclusive_lock(
    folder: Path, timeout: float = 0.0, on_wait: Callable[[str], None] = lambda _holder: None
) -> Iterator[None]:
    """Holds the folder's lock, so that one run at a time works on this machine.

    `on_wait` is called with a description of the process that has the lock, before it is waited for. The system frees
    the lock of a process that died. Raises Refused when it is not free after `timeout` seconds, VssyncError when the
    folder cannot be written.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(prepare_folder(folder) / "lock", mode=0o600, thread_local=False)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            if timeout > 0:
                on_wait(_describe_holder(folder))
            lock.acquire(timeout=timeout, poll_interval=0.1)
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": int(time.time())}
        (folder / _HOLDER).write_text(json.dumps(holder))
    except Timeout:
        raise Refused(
            f"locked: {_describe_holder(folder)} is working on this manifest. Nothing was written. Wait for it, or "
            "set --lock-timeout SECONDS."
        ) from None
    except OSError as error:
        raise write_error(folder, error) from error
    try:
        yield
    finally:
        (folder / _HOLDER).unlink(missing_ok=True)
        lock.release()


def lock_holder(folder: Path) -> int:
    """The id of the process that holds the folder's lock; 0 for none.

    The lock decides, not whether a process with the recorded id exists: that may be another program's by now.
    """
    if not (folder / "lock").exists():
        return 0
    from filelock import FileLock, Timeout

    lock = FileLock(folder / "lock", mode=0o600, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        pid = _read_holder(folder).get("pid")
        return pid if isinstance(pid, int) else 0
    except OSError:  # it cannot be opened for writing, so nobody here can work on it either
        return 0
    lock.release()
    return 0


def _describe_holder(folder: Path) -> str:
    holder = _read_holder(folder)
    try:
        since = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(holder["since"]))
        return f"process {holder['pid']} on {holder['host']} (since {since})"
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return "an unknown process"


def _read_holder(folder: Path) -> dict[str, Any]:
    """What a holder of the lock wrote of itself; empty where it cannot be read."""
    try:
        holder = json.loads((folder / _HOLDER).read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return holder if isinstance(holder, dict) else {}


def read_search_capability(folder: Path) -> bool | None:
    """Whether searches filter by updated attributes, as an apply on this machine found out; None if none has."""
    try:
        reaches = json.loads((folder / _LEARNED).read_text()).get("updates_reach_search")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None
    return reaches if isinstance(reaches, bool) else None


def remember_search_capability(folder: Path, *, reaches: bool) -> None:
    """Remembers whether searches filter by updated attributes. Raises VssyncError where that cannot be written."""
    path = prepare_folder(folder) / _LEARNED
    try:
        write_file(path, json.dumps({"updates_reach_search": reaches}) + "\n")
    except OSError as error:
        raise write_error(path, error) from error
