"""What stops people in their first hour: `plan` and `doctor` say the same of it, in a sentence with the next step."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from email.utils import formatdate
from pathlib import Path

import pytest

from tests.api.loopback import Got, Loopback, Sent, listening, said
from tests.auth.builders import rsa, section, verify, write_home
from tests.cli.test_bad_input import KEY, OCI, PROJECT, manifest, vssync

WITH_KEY = {"VSSYNC_API_KEY": KEY}
NOT_SIGNED_IN = "The required information to complete authentication was not provided or was incorrect."
Answering = Callable[[Got], Sent]


def refused(status: int, code: str = "", message: str = "") -> Answering:
    return lambda _: said(status, code=code, message=message)


def stores_refused(got: Got) -> Sent:
    """Files are for everybody, stores for signed requests."""
    is_signed = got.headers.get("authorization", "").startswith("Signature")
    if got.target.partition("?")[0].endswith("/vector_stores") and not is_signed:
        return said(401, code="NotAuthenticated", message=NOT_SIGNED_IN)
    return Sent()


def not_found(_: Got) -> Sent:
    return said(404, detail="Not Found")


def of_oci(more: str = "auth: bearer", project: str = PROJECT) -> str:
    return f"{OCI.replace(PROJECT, project)}, {more}, data_url: 'URL/openai/v1', control_url: 'URL/20231130/openai/v1'"


OTHER_PROJECT = PROJECT.replace("us-chicago-1", "ap-osaka-1")
FOREIGN = "is of region ap-osaka-1, but the service is that of us-chicago-1: name a project of us-chicago-1"
POLICY = (
    "of another region, or older than its policy, and then it stays refused: create the policy first, then a new key"
)
NO_V1 = "base URLs mostly end in /v1: if this one does, too, write `data_url: URL/api/v1`"
API_VERSION = (
    "an `api-version` belongs to an older API; write the address of the v1 API, without a query, such as URL/openai/v1"
)
COMPATIBLE = "provider: compatible, data_url: 'URL/v1'"

CASES: Mapping[str, tuple[str, Mapping[str, str], Answering, tuple[str, ...]]] = {
    "a project of another region": (
        of_oci(project=OTHER_PROJECT), WITH_KEY, refused(400, "400", "Invalid OpenAI project"), (FOREIGN,)
    ),
    "a project of another region, in other words": (
        of_oci(project=OTHER_PROJECT), WITH_KEY, refused(404, "NotAuthorizedOrNotFound", "Authorization failed."),
        (FOREIGN,),
    ),
    "a region's short key": (
        OCI.replace("us-chicago-1,", "ord,"), WITH_KEY, refused(500),
        ("service.region: 'ord' is not the name of a region; write it in full, such as us-chicago-1",),
    ),
    "an expired key": (
        of_oci(), WITH_KEY, refused(401, "NotAuthenticated", "The token has expired."),
        ("The token has expired", "create the policy first, then a new key"),
    ),
    "a key older than its policy": (of_oci(), WITH_KEY, refused(401, "NotAuthenticated", NOT_SIGNED_IN), (POLICY,)),
    "stores take signatures alone": (
        of_oci(), WITH_KEY, stores_refused,
        ("this credential may not read stores", "`control_auth", "`external: true`"),
    ),
    "a key that may not see stores": (
        "provider: openai, data_url: 'URL/v1'", WITH_KEY, stores_refused,
        ("this credential may not read stores", "`external: true`"),
    ),
    "no key": (COMPATIBLE, {}, refused(401, "", "Unauthorized"), ("no key was sent: set VSSYNC_API_KEY",)),
    "no key for a provider that needs one": (
        "provider: openai, data_url: 'URL/v1'", {}, refused(500),
        ("put the key of openai into VSSYNC_API_KEY or OPENAI_API_KEY",),
    ),
    "a key that was never filled in": (
        COMPATIBLE, {"VSSYNC_API_KEY": "<your-key>"}, refused(500), ("VSSYNC_API_KEY: still holds a placeholder",)
    ),
    "a base URL without /v1": ("provider: compatible, data_url: 'URL/api'", {}, not_found, (NO_V1,)),
    "OCI's addresses without /v1": (
        f"{OCI}, auth: bearer, data_url: 'URL/openai', control_url: 'URL/20231130/openai'", WITH_KEY, not_found,
        ("if this one does, too, write `control_url: URL/20231130/openai/v1` and `data_url: URL/openai/v1`",),
    ),
    "an address with api-version": (
        "provider: compatible, data_url: 'URL/openai?api-version=2024-10-21'", WITH_KEY, refused(500), (API_VERSION,)
    ),
    "OCI's address with api-version": (
        f"{OCI}, auth: bearer, data_url: 'URL/openai/v1?api-version=2024-10-21'", WITH_KEY, refused(500),
        (API_VERSION,),
    ),
    "a placeholder": (
        of_oci(project="CHANGE"), WITH_KEY, refused(500),
        ("`service.project` still holds a placeholder: `CHANGE`", "write the OCID of the Generative AI project"),
    ),
    "another placeholder": (
        "provider: compatible, data_url: 'https://<your-host>/v1'", WITH_KEY, refused(500),
        ("`service.data_url` still holds a placeholder", "write the service's base URL"),
    ),
    "a command that fails": (
        COMPATIBLE, {"VSSYNC_AUTH_COMMAND": "sh -c 'echo sign in first >&2; exit 1'"}, refused(500),
        ("auth command `sh` of VSSYNC_AUTH_COMMAND: ended with exit code 1: sign in first",),
    ),
    "a region's table that cannot be read": (
        of_oci(), {**WITH_KEY, "OCI_REGION_METADATA": "{"}, refused(500), ("OCI_REGION_METADATA: not JSON",)
    ),
}  # fmt: skip


def plan_and_doctor(
    folder: Path, service: str, environment: Mapping[str, str], answer: Answering
) -> tuple[list[str], Loopback]:
    """What both print, in one line each, with the service's address as `URL`."""
    outputs = []
    with listening(answer) as place:
        url = place.url.removesuffix("/v1")
        manifest(folder, service.replace("URL", url))
        for verb in ("plan", "doctor"):
            end = vssync(folder, verb, **environment)
            assert end.code in (0, 1, 64), end.err
            assert KEY not in end.out + end.err
            assert "Traceback" not in end.err
            outputs.append(re.sub(r"\s+", " ", (end.out + end.err).replace(url, "URL")))
    return outputs, place


@pytest.mark.parametrize("case", CASES)
def test_plan_and_doctor_say_the_same(tmp_path: Path, case: str) -> None:
    service, environment, answer, words = CASES[case]
    (plan, doctor), _ = plan_and_doctor(tmp_path, service, environment, answer)
    for text in words:
        assert text in plan
        assert text in doctor
    assert "`vssync doctor`" not in doctor  # it is running
    assert not ("mostly end in /v1" in doctor and "policy must say" in doctor)  # the address explains it


def test_validate_refuses_placeholders_wherever_they_stand(tmp_path: Path) -> None:
    fields = "region: '<region>', project: ocid1.x.CHANGE_ME, compartment: YOUR_COMPARTMENT, profile: 'TODO'"
    end = vssync(manifest(tmp_path, f"provider: oci, {fields}, control_url: 'https://.../v1'"), "validate")
    assert end.code == 1
    assert re.findall(r"`service\.(\w+)` still", end.err) == [
        *("region", "project", "compartment", "profile", "control_url"),
    ]
    for service in (OCI, "provider: compatible, data_url: https://your-server.de/v1", "provider: openai, project: x_1"):
        assert vssync(manifest(tmp_path, service), "validate").code == 0


OSAKA_HOST = "https://inference.generativeai.ap-osaka-1.oci.oraclecloud.com/openai/v1"


@pytest.mark.parametrize(
    ("service", "region", "source"),
    [
        (of_oci(project=OTHER_PROJECT), "", "service.region"),
        (of_oci(), "ap-osaka-1", "OCI_REGION"),
        (f"{OCI}, data_url: '{OSAKA_HOST}'", "", "service.data_url"),
        (of_oci(), "", ""),
        (of_oci(project=OTHER_PROJECT), "ap-osaka-1", ""),
        (of_oci(project=PROJECT.replace("us-chicago-1", "ord")), "", ""),
        (of_oci(project=OTHER_PROJECT), "nowhere", ""),  # `plan` and `doctor` say what is wrong with that
        (f"provider: openai, project: {OTHER_PROJECT}", "", ""),
    ],
)
def test_validate_refuses_a_project_of_another_region(tmp_path: Path, service: str, region: str, source: str) -> None:
    folder = manifest(tmp_path, service.replace("URL", "http://127.0.0.1:9"))
    end = vssync(folder, "validate", **({"OCI_REGION": region} if region else {}))
    assert (end.code, f" in `{source}`" in end.err) == ((1, True) if source else (0, False))
    assert not source or re.search(r"vssync.yaml:\d+:\d+: the OCID in `service.project` is of region", end.err)


@pytest.mark.parametrize("entry", ["::1/128", "[::1]", "*.corp", "10.0.0.0/8", " a.example , b.example "])
def test_no_proxy_in_its_usual_forms_is_nothing_to_speak_of(tmp_path: Path, entry: str) -> None:
    proxied = {"NO_PROXY": entry, "HTTP_PROXY": "http://127.0.0.1:9"}
    (plan, doctor), place = plan_and_doctor(tmp_path, COMPATIBLE, proxied, lambda _: Sent())
    assert "NO_PROXY" not in plan + doctor
    assert "failed" not in doctor
    assert place.got


def test_what_cannot_be_read_of_no_proxy_is_named(tmp_path: Path) -> None:
    (plan, doctor), place = plan_and_doctor(tmp_path, COMPATIBLE, {"NO_PROXY": "a.example;b,::1"}, lambda _: Sent())
    assert "warning: NO_PROXY: `a.example;b` cannot be read and is left out" in plan
    assert "warning proxy NO_PROXY: `a.example;b` cannot be read" in doctor
    assert place.got


# -- with signatures


@pytest.mark.oci
def test_a_clock_that_is_off_by_ten_minutes(tmp_path: Path) -> None:
    def late(_: Got) -> Sent:
        return said(
            401, {"date": formatdate(time.time() - 600, usegmt=True)}, code="NotAuthenticated", message=NOT_SIGNED_IN
        )

    home = write_home(tmp_path / "home", {"DEFAULT": section()})
    outputs, _ = plan_and_doctor(tmp_path, of_oci("auth: signing_key"), home, late)
    for output in outputs:
        assert "clock: this machine's is 10 minutes ahead of the service's" in output
        assert "timedatectl" in output
        assert output.count("401") + output.count("warning") == 0  # one cause, one line


@pytest.mark.oci
def test_a_signature_that_is_refused(tmp_path: Path) -> None:
    home = write_home(tmp_path / "home", {"DEFAULT": section()})
    outputs, _ = plan_and_doctor(
        tmp_path, of_oci("auth: signing_key"), home, refused(401, "NotAuthenticated", NOT_SIGNED_IN)
    )
    for output in outputs:
        assert "the signature was not accepted: check that the public key of this profile is uploaded" in output
    assert "; `vssync doctor` shows whose it is" in outputs[0]
    assert "`vssync doctor`" not in outputs[1]


@pytest.mark.oci
def test_stores_are_signed_for_while_a_key_does_the_rest(tmp_path: Path) -> None:
    home = write_home(tmp_path / "home", {"DEFAULT": section()})
    service = of_oci("auth: bearer, control_auth: signing_key")
    (plan, doctor), place = plan_and_doctor(tmp_path, service, {**home, **WITH_KEY}, stores_refused)
    assert "Plan: 1 to add" in plan
    assert "bearer for files, signing_key for stores" in doctor
    assert "bearer key from VSSYNC_API_KEY for files, signing key of profile DEFAULT" in doctor
    for got in place.got:
        if got.target.startswith("/20231130/openai/v1/vector_stores"):
            assert verify(got, rsa())
        elif got.target.startswith("/openai/v1"):
            assert got.headers["authorization"] == f"Bearer {KEY}"
    assert {got.target[:9] for got in place.got} == {"/20231130", "/openai/v"}
