"""A store that another program filled is taken over from a stand-in of each provider, over a port."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest

from tests.doctor.builders import COMPARTMENT, PROJECT, service_of
from tests.support import Clock, Silent
from vssync.api.parse import AttachmentEntry
from vssync.commands.apply import apply_plan
from vssync.commands.dump.run import DumpRequest, dump_stores
from vssync.commands.plan import make_plan_now
from vssync.commands.session import Connection, Settings, load_manifest, open_connection, open_session
from vssync.local.server import serving
from vssync.model.plan import Action, Options
from vssync.model.service import ServiceSpec
from vssync.model.state import Chunking

PAGES = {"intro.md": b"# Intro\nHello.\n", "start.md": b"# Start\nGo.\n"}


def spec(provider: str, url: str) -> ServiceSpec:
    base = url.removesuffix("/v1")
    if provider != "oci":
        return ServiceSpec(provider, data_url=url)
    data, control = f"{base}/openai/v1", f"{base}/20231130/openai/v1"
    return ServiceSpec("oci", "us-chicago-1", PROJECT, COMPARTMENT, data_url=data, control_url=control, auth="bearer")


def fill(connection: Connection) -> None:
    """What a script leaves: attributes, chunking of its own, no mark."""
    store = connection.client.create_store({"name": "help"})
    for number, (name, content) in enumerate(PAGES.items()):
        upload = connection.client.upload_file(io.BytesIO(content), name)
        connection.client.attach_file(
            store.id, AttachmentEntry(upload.id, {"lang": "en", "n": number}, Chunking(400, 100))
        )
    connection.client.list_files(store.id)  # the local service works when somebody looks


@pytest.mark.parametrize(
    ("provider", "spoken", "action", "chunking"),
    [
        ("openai", "openai", Action.ADOPT, "size: 400"),
        ("azure", "azure", Action.ADOPT, "size: 400"),
        ("compatible", "compatible", Action.REPLACE, "size: 400"),  # it may not search by updates
        (
            "oci",
            "oci,creating-seconds=0,propagating-seconds=0",
            Action.ADOPT,
            "# The service does not report the chunking of 2 files",
        ),
    ],
)
def test_it_is_taken_over_and_then_as_the_manifest_says(
    tmp_path: Path, provider: str, spoken: str, action: Action, chunking: str
) -> None:
    settings = Settings(
        manifest=str(tmp_path), workers=1, environment={"VSSYNC_API_KEY": "k", "VSSYNC_ALLOW_HOSTS": "127.0.0.1"}
    )
    (tmp_path / "docs").mkdir()
    for name, content in PAGES.items():
        (tmp_path / "docs" / name).write_bytes(content)
    with service_of(tmp_path, spoken) as service, serving(service) as url:
        wanted = spec(provider, url)
        with open_connection(settings, wanted, tmp_path, clock=Clock()) as connection:
            fill(connection)
            request = DumpRequest(("help",), "kb", tmp_path / "vssync.yaml", match=tmp_path / "docs")
            (text,) = dump_stores(connection, wanted, request)[0].values()
        (tmp_path / "vssync.yaml").write_text(text)
        with open_session(settings, load_manifest(settings), clock=Clock()) as session:
            planned = make_plan_now(session, Options())
            assert {change.action for change in planned.stores[0].files} == {action}
            assert apply_plan(session, planned, Silent()).converged
            assert make_plan_now(session, Options()).empty
    assert '- path: docs/start.md\n        attributes:\n          "n": 1\n' in text  # each has an attribute of its own
    assert chunking in text


def test_files_of_a_connector_are_left_out(tmp_path: Path) -> None:
    settings = Settings(manifest=str(tmp_path), workers=1, environment={"VSSYNC_ALLOW_HOSTS": "127.0.0.1"})
    with service_of(tmp_path, "local,connector-files=2") as service, serving(service) as url:
        with open_connection(settings, spec("local", url), tmp_path, clock=Clock()) as connection:
            fill(connection)
            request = DumpRequest(("help",), "kb", tmp_path / "vssync.yaml")
            (text,) = dump_stores(connection, spec("local", url), request)[0].values()
        assert "# Left out: 2 files of the store. They stay as they are." in text
        assert re.sub(r"\n *# +", " ", text).count("a connector of the service brought it") == 2
        (tmp_path / "vssync.yaml").write_text(text)
        with open_session(settings, load_manifest(settings), clock=Clock()) as session:
            assert apply_plan(session, make_plan_now(session, Options()), Silent()).converged
            plan = make_plan_now(session, Options())
    assert (plan.empty, [note.count for note in plan.stores[0].notes]) == (True, [2])
