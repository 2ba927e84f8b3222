"""What a person sees who edits a manifest in VS Code, Neovim and others: the YAML language server with our schema."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.editor.server import Server, serving
from tests.npm import install
from tests.render.test_yaml_writer import ODD
from vssync.render.yaml_writer import yaml_text

ROOT = Path(__file__).parent.parent.parent
MANIFEST = ROOT / "examples/product-docs/vssync.yaml"
TEXT = MANIFEST.read_text()

pytestmark = pytest.mark.slow  # installs the server


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server and what it needs."""
    return install(Path(__file__).parent, tmp_path_factory.mktemp("npm"))


@pytest.fixture(scope="module")
def server(packages: Path) -> Iterator[Server]:
    with serving("node", str(packages / "yaml-language-server/bin/yaml-language-server"), "--stdio") as started:
        configure(started)
        yield started


def configure(server: Server) -> None:
    settings = {"validate": True, "hover": True, "completion": True, "schemaStore": {"enable": False}}
    server.tell("workspace/didChangeConfiguration", {"settings": {"yaml": settings}})


def opened(server: Server, text: str, name: str) -> tuple[str, list[dict[str, Any]]]:
    """Opens a text as a manifest beside the example; its URI and what the server complains about."""
    uri = (MANIFEST.parent / name).as_uri()
    document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text}
    server.tell("textDocument/didOpen", {"textDocument": document})
    diagnostics = server.wait(
        lambda message: message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == uri
    )
    return uri, diagnostics["params"]["diagnostics"]


def position_of(text: str, word: str, after: int = 0) -> dict[str, int]:
    """The position of a word in a text."""
    before = text[: text.index(word) + after]
    return {"line": before.count("\n"), "character": len(before) - before.rfind("\n") - 1}


def test_the_example_is_good(server: Server) -> None:
    assert opened(server, TEXT, "good.yaml")[1] == []


@pytest.mark.parametrize(
    ("good", "bad", "words"),
    [
        ("attributes:", "atributes:", "atributes"),
        ("protect: true", "protect: maybe", "boolean"),
        ("size: 400", "size: 40", "100"),
        ("provider: local", "provider: azur", "azure"),
        ("max_delete: 10%", "max_delete: some", "a share such as `30%`"),
    ],
)
def test_mistakes_are_underlined(server: Server, good: str, bad: str, words: str) -> None:
    _, complaints = opened(server, TEXT.replace(good, bad, 1), f"{bad.split(':', maxsplit=1)[0]}.yaml")
    assert [complaint["range"]["start"]["line"] for complaint in complaints] == [position_of(TEXT, good)["line"]]
    assert words in complaints[0]["message"]


def test_fields_of_a_store_are_offered(server: Server) -> None:
    text = TEXT.replace("    attributes:", "    \n    attributes:", 1)
    uri, _ = opened(server, text, "fields.yaml")
    position = position_of(text, "    \n    attributes:", after=4)
    result = server.ask("textDocument/completion", {"textDocument": {"uri": uri}, "position": position})
    offered = {item["label"] for item in result["items"]}
    assert {"prune", "protect", "chunking", "expires_after", "guards", "was"} <= offered
    assert not offered & {"attributes", "version"}, "what is there already, or belongs elsewhere"


def test_hovering_explains_a_field(server: Server) -> None:
    text = TEXT.replace("    attributes:", "    prune: false\n    attributes:", 1)
    uri, _ = opened(server, text, "hover.yaml")
    result = server.ask(
        "textDocument/hover", {"textDocument": {"uri": uri}, "position": position_of(text, "prune", after=2)}
    )
    assert "Delete managed files that are no longer in the manifest" in result["contents"]["value"]


def test_what_is_rendered_reads_the_same_by_yaml_1_2(packages: Path) -> None:
    tree = {"values": ODD, "names": {text: number for number, text in enumerate(ODD)}, "numbers": [1, -1, 0.5, 1e-07]}
    program = "process.stdout.write(JSON.stringify(require('yaml').parse(require('fs').readFileSync(0, 'utf8'))))"
    text = yaml_text(tree).encode()
    done = subprocess.run(
        ["node", "-e", program], input=text, cwd=packages, capture_output=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == tree
