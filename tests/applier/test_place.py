"""Where the state folder lies when nobody names one."""

from __future__ import annotations

from pathlib import Path

import pytest

from vssync.endpoints import Who, resolve
from vssync.errors import UsageProblem
from vssync.journal import folder_for
from vssync.model import ServiceSpec


def test_a_home_that_is_a_checkout_is_no_place_for_it_and_one_without_git_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    endpoint = resolve(ServiceSpec("local"), Who(), {})
    assert folder_for(endpoint, "kb", tmp_path, tmp_path, {}).is_relative_to(tmp_path)
    (tmp_path / ".git").mkdir()
    with pytest.raises(UsageProblem, match=r"this state folder lies in the manifest's checkout.*VSSYNC_STATE_DIR"):
        folder_for(endpoint, "kb", tmp_path, tmp_path, {})
