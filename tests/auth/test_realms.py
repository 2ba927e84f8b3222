"""Regions of partner clouds, as OCI's own files and variables have them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from vssync.auth.profile import read_realms
from vssync.errors import UsageProblem


def entry(region: str, domain: str, **more: object) -> dict[str, object]:
    names = {"realmKey": "oc99", "regionKey": region[:3], "regionIdentifier": region, "realmDomainComponent": domain}
    return {**names, **more}


def read(home: Path, file: str | None, variable: str | None) -> dict[str, str]:
    if file is not None:
        (home / ".oci").mkdir()
        (home / ".oci/regions-config.json").write_text(file)
    return read_realms({"HOME": str(home)} | ({} if variable is None else {"OCI_REGION_METADATA": variable}))


ONE, TWO = entry("xx-one-1", "one.example"), entry("XX-Two-1", "Two.example")


@pytest.mark.parametrize(
    ("file", "variable", "realms"),
    [
        (None, None, {}),
        ([], None, {}),
        ([ONE, TWO], None, {"xx-one-1": "one.example", "xx-two-1": "two.example"}),
        (None, ONE, {"xx-one-1": "one.example"}),
        ([ONE], TWO, {"xx-one-1": "one.example", "xx-two-1": "two.example"}),
        ([ONE], entry("xx-one-1", "other.example"), {"xx-one-1": "one.example"}),  # the file comes first
        (None, {"regionIdentifier": "xx-one-1", "realmDomainComponent": "one.example"}, {"xx-one-1": "one.example"}),
    ],
)
def test_both_sources_are_read(tmp_path: Path, file: object, variable: object, realms: dict[str, str]) -> None:
    texts = (None if value is None else json.dumps(value) for value in (file, variable))
    assert read(tmp_path, *texts) == realms


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[{", "not JSON as OCI reads it"),
        ("{}", "not JSON as OCI reads it; write a list with an object"),
        ("7", "not JSON as OCI reads it"),
        ("[7]", "`regionIdentifier` of region 1 is missing or invalid"),
        (json.dumps([ONE, entry("", "x.example")]), "`regionIdentifier` of region 2"),
        (json.dumps([entry("xx-one-1", "x")]), "`realmDomainComponent` of region 1"),
        (json.dumps([entry("xx-one-1", "evil.example/x")]), "`realmDomainComponent` of region 1"),
        (json.dumps([entry("x.evil.example#-1", "x.example")]), "`regionIdentifier` of region 1"),
        (json.dumps([entry("xx-one-1", "x.example", realmDomainComponent=None)]), "`realmDomainComponent`"),
        ("[" * 100_000, "not JSON"),
    ],
)
def test_what_cannot_be_read_names_its_place(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageProblem) as caught:
        read(tmp_path, text, None)
    assert str(caught.value).startswith(f"{tmp_path}/.oci/regions-config.json: {words}")


@pytest.mark.parametrize("text", ["{", "[]", "7", json.dumps([ONE]), json.dumps(entry("xx-one-1", ""))])
def test_a_variable_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageProblem, match=r"^OCI_REGION_METADATA: "):
        read(tmp_path, None, text)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / ".oci").mkdir()
    (tmp_path / ".oci/regions-config.json").touch(mode=0o000)
    with pytest.raises(UsageProblem, match="Permission denied; correct it"):
        read_realms({"HOME": str(tmp_path)})


@pytest.mark.oci
@pytest.mark.parametrize("source", ["file", "variable"])
def test_the_oci_package_finds_the_same_domain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    from oci import regions

    text = json.dumps([ONE] if source == "file" else ONE)
    realms = read(tmp_path, *((text, None) if source == "file" else (None, text)))
    monkeypatch.setenv("HOME", str(tmp_path))
    if source == "variable":
        monkeypatch.setenv("OCI_REGION_METADATA", text)
    for table in (regions.REGIONS_SHORT_NAMES, regions.REGION_REALMS, regions.REALMS):
        monkeypatch.setattr(regions, next(name for name, value in vars(regions).items() if value is table), {**table})
    regions._reset_region_info()
    template = "https://generativeai.{region}.oci.{secondLevelDomain}"
    found = regions.endpoint_for("generative_ai", region="xx-one-1", service_endpoint_template=template)
    regions._reset_region_info()
    assert found == f"https://generativeai.xx-one-1.oci.{realms['xx-one-1']}"
