"""The official SDK for Node as client."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.npm import install
from vssync.local.app import Service
from vssync.local.responses import MODEL
from vssync.local.server import serving

NODE = Path(__file__).parent / "node"


@pytest.mark.slow  # installs it
def test_an_application_gets_its_answers(tmp_path: Path, opened: Callable[..., Service]) -> None:
    install(NODE, tmp_path)
    program = shutil.copy(NODE / "answers.mjs", tmp_path)
    with serving(opened()) as url:
        variables = {"OPENAI_BASE_URL": url, "OPENAI_API_KEY": "none"}
        done = subprocess.run(
            ["node", program], env=os.environ | variables, capture_output=True, text=True, check=False, timeout=60
        )
    assert done.returncode == 0, done.stderr
    text = "# Reset\n\nA link arrives by mail."
    assert json.loads(done.stdout) == {
        "attached": "completed",
        "text": text,
        "results": ["login.md"],
        "citations": ["login.md"],
        "deltas": text,
        "last": "response.completed",
        "streamed": text,
        "models": [MODEL],
        "refusal": ["BadRequestError", 400, "tools[0].vector_store_ids"],
    }
