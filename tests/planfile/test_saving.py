"""Plan files on disk: whole, equal for equal plans, compressed by their name, and named when they are damaged."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from tests.render import builders
from vssync.commands.plan import load_plan, save_plan, settings_of_plan
from vssync.commands.session import Settings, load_manifest, open_session
from vssync.endpoints import Caller
from vssync.errors import UsageProblem, VssyncError
from vssync.model.plan import Options, Plan
from vssync.render.wording import heading_line

ZIPPED = gzip.compress(b"{}", mtime=0)
EVERYTHING = builders.SAMPLE_PLANS["everything"]()


@pytest.mark.parametrize("name", ["plan.json", "plan.json.gz"])
def test_a_saved_plan_is_loaded_as_it_was(tmp_path: Path, name: str) -> None:
    save_plan(EVERYTHING, tmp_path / name)
    assert load_plan(tmp_path / name) == EVERYTHING
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_name_in_gz_compresses_and_equal_plans_are_equal_bytes(tmp_path: Path) -> None:
    plain, first, second = (tmp_path / name for name in ("plan.json", "first.json.gz", "second.json.gz"))
    for path in (plain, first, second):
        save_plan(EVERYTHING, path)
    assert gzip.decompress(first.read_bytes()) == plain.read_bytes()
    assert first.read_bytes() == second.read_bytes()
    assert json.loads(plain.read_bytes())["kind"] == "plan"


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("plan.json", b"\xff", "not UTF-8 text"),
        ("plan.json", ZIPPED, "not UTF-8 text"),
        ("plan.json.gz", b"{}", "is not gzip, as its name says, or damaged"),
        ("plan.json.gz", ZIPPED[:-9], "is damaged or incomplete"),
        ("plan.json.gz", ZIPPED[:10] + b"\xff" * 20, "is damaged or incomplete"),
        ("plan.json.gz", ZIPPED, "it has no format"),
    ],
    ids=["not UTF-8", "compressed", "not compressed", "cut", "damaged", "no plan"],
)
def test_a_file_that_is_not_a_plan_is_named(tmp_path: Path, name: str, data: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(VssyncError) as caught:
        load_plan(tmp_path / name)
    assert str(caught.value).startswith(f"{tmp_path / name}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["plan.json", "plan.json.gz"])
def test_no_more_is_read_than_a_plan_can_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    save_plan(EVERYTHING, tmp_path / name)
    monkeypatch.setattr("vssync.commands.plan.MAX_PLAN_BYTES", 100)
    with pytest.raises(VssyncError, match="larger than 100 bytes, which no plan is"):
        load_plan(tmp_path / name)


OCI_MANIFEST = """\
version: 1
owner: kb
service: {provider: oci, region: us-chicago-1, project: ocid1.generativeaiproject.oc1..aaaa, auth: bearer}
stores: {docs: {files: [{path: "*.md"}]}}
"""


def oci_settings(folder: Path, region: str = "", variable: str = "") -> Settings:
    variables = {"VSSYNC_API_KEY": "a-key-of-nobody", **({"OCI_REGION": variable} if variable else {})}
    return Settings(str(folder), caller=Caller(region=region), environment=variables)


@pytest.mark.parametrize(("region", "variable"), [("eu-frankfurt-1", ""), ("", "eu-frankfurt-1"), ("", "")])
def test_a_saved_plan_is_applied_in_the_region_that_it_was_made_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, region: str, variable: str
) -> None:
    (tmp_path / "a.md").write_text("# a\n")
    (tmp_path / "vssync.yaml").write_text(OCI_MANIFEST)
    monkeypatch.chdir(tmp_path)
    planned = oci_settings(tmp_path, region, variable)
    with open_session(planned, load_manifest(planned)) as session:
        service = session.loaded.desired.service
    asked = region or variable or "us-chicago-1"
    assert heading_line("kb", service) == f"kb: oci {asked}"
    saved = Plan("kb", service, options=Options(manifest="."))
    settings = settings_of_plan(saved, oci_settings(tmp_path, variable="ap-osaka-1"))
    with open_session(settings, load_manifest(settings)) as session:
        assert (session.endpoint.region, session.loaded.desired.service) == (asked, service)
    assert settings_of_plan(saved, oci_settings(tmp_path, asked)).caller == settings.caller
    with pytest.raises(UsageProblem, match=f"--region ap-osaka-1: the plan was made for {asked}"):
        settings_of_plan(saved, oci_settings(tmp_path, "ap-osaka-1"))
