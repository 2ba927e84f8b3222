"""The guide's page for applications is done as its reader does it: the application, its output, and its tests."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.test_docs import blocks
from tests.docs.test_tutorials import GUIDE, run
from tests.program import program
from vssync.local import open_service, serving

PAGE = GUIDE / "applications.md"
DOCUMENTS = {
    "shipping.md": "# Shipping\n\nDelivery takes two to four days inside the country.\n\nParcels are insured.\n",
    "returns.md": "# Returns\n\nSend it back within 30 days. A refund is on its way in a week.\n",
}
ASK, FIXTURE, TESTS = blocks(PAGE, "python")
pytest_plugins = "pytester"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the page is followed."""
    (tmp_path / "kb").mkdir()
    (manifest,) = blocks(PAGE, "yaml")
    (tmp_path / "kb/vssync.yaml").write_text(manifest)
    for name, text in DOCUMENTS.items():
        (tmp_path / "kb" / name).write_text(text)
    (tmp_path / "ask.py").write_text(ASK)
    monkeypatch.setenv("VSSYNC_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def test_from_a_store_to_an_answer(project: Path) -> None:
    lines = [line.removeprefix("$ ") for text in blocks(PAGE, "console") for line in text.splitlines()]
    for line in lines[: lines.index("vssync serve --data kb/.vssync/local")]:
        words, _, target = line.removeprefix("vssync ").partition(" > ")
        answer = ["--yes"] if words.startswith("apply") else []
        printed = run([program(), *shlex.split(words), *answer], project)
        if target:
            (project / target).write_text(printed)
    (script,) = blocks(PAGE, "sh")
    with open_service(project / "kb/.vssync/local") as service, serving(service) as url:
        here = script.replace("http://127.0.0.1:8700/v1", url).replace("python ", f"{shlex.quote(sys.executable)} ")
        done = subprocess.run(["sh", "-ec", here], cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert blocks(PAGE, "text") == [done.stdout]


def test_the_tests_of_an_application(project: Path, pytester: pytest.Pytester) -> None:
    """In this process, which has imported all that they need."""
    (project / "conftest.py").write_text(FIXTURE)
    (project / "test_ask.py").write_text(TESTS)
    pytester.runpytest_inprocess("-p", "no:cacheprovider", project).assert_outcomes(passed=2)
    (project / "kb/shipping.md").write_text("Delivery takes a week.\n")
    pytester.runpytest_inprocess("-p", "no:cacheprovider", project).assert_outcomes(passed=1, failed=1)
