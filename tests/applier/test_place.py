"""Where the state folder lies when nobody names one."""

from __future__ import annotations

import pwd
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


@pytest.mark.parametrize("environment", [{}, {"VSSYNC_STATE_DIR": "~/state"}, {"VSSYNC_STATE_DIR": "~nobody-x/state"}])
def test_a_user_without_a_home_is_told_what_to_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    for variable in ("HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    endpoint = resolve(ServiceSpec("local"), Who(), {})
    with pytest.raises(UsageProblem, match="VSSYNC_STATE_DIR"):
        folder_for(endpoint, "kb", tmp_path, tmp_path, environment)
