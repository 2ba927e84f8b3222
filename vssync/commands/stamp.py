"""Who applies what: the commit of the work tree, the person and the CI run, as git and the environment tell."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from vssync.model.marks import ApplyStamp
from vssync.sources.walk import find_work_tree

# GitHub's and GitLab's lists of predefined variables; a person's own shell has the last two.
_COMMIT = ("GITHUB_SHA", "CI_COMMIT_SHA")
_ACTOR = ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "USER", "USERNAME")
_RUN = ("GITHUB_RUN_ID", "CI_PIPELINE_ID")
_OWN_FILES = ":(exclude).vssync*"  # the local service's, and the plans of CI jobs
_TIMEOUT = 10.0  # seconds for git, in a large work tree


def stamp_of(folder: Path, environment: Mapping[str, str]) -> ApplyStamp:
    """The stamp of an apply of the manifest in a folder, without its time; what nobody tells is empty in it.

    The work tree's own commit goes before that of a variable, which may be of another checkout. A `+` after it says
    that the folder has changes that are not in it.
    """

    def first(names: tuple[str, ...]) -> str:
        return next((value for name in names if (value := environment.get(name))), "")

    commit = first(_COMMIT)
    if (find_work_tree(folder) / ".git").exists() and (head := _git(folder, "rev-parse", "HEAD")):
        changes = _git(folder, "status", "--porcelain", "--", ".", _OWN_FILES)
        commit = head + ("+" if changes != "" else "")
    return ApplyStamp.of(commit, first(_ACTOR), first(_RUN))


def _git(folder: Path, *arguments: str) -> str | None:
    """What git prints; None where there is no git, or it finds something wrong with the work tree."""
    command = ["git", "-C", str(folder), "-c", "core.fsmonitor=false", *arguments]  # which may name a program
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode("utf-8", "replace").strip()
