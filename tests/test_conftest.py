"""The guards of conftest.py guard."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.conftest import NoSleepingInTests, OnlyLoopbackInTests

ROOT = Path(__file__).parent.parent

TCP, UDP = socket.SOCK_STREAM, socket.SOCK_DGRAM


@pytest.mark.parametrize(
    ("kind", "reach"),
    [
        (TCP, lambda line: line.connect(("192.0.2.1", 80))),
        (TCP, lambda line: line.connect_ex(("192.0.2.1", 80))),
        (UDP, lambda line: line.sendto(b"?", ("192.0.2.1", 53))),
        (UDP, lambda line: line.sendmsg([b"?"], [], 0, ("192.0.2.1", 53))),
        (TCP, lambda line: socket.create_connection(("example.com", 80))),
        (TCP, lambda line: socket.getaddrinfo("example.com", 80)),
        (TCP, lambda line: socket.gethostbyname("example.com")),
    ],
)
def test_other_machines_are_out_of_reach(kind: int, reach: Callable[[socket.socket], object]) -> None:
    with socket.socket(type=kind) as line, pytest.raises(OnlyLoopbackInTests):
        reach(line)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_this_machine_is_within_reach(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection((host, server.getsockname()[1])).close()


@pytest.fixture(scope="module")
def reached_early() -> str:
    """What a fixture of the whole file meets, which is made before any of a single test."""
    with socket.socket() as line, pytest.raises(OnlyLoopbackInTests) as caught:
        line.connect(("192.0.2.1", 80))
    return str(caught.value)


def test_fixtures_of_a_file_are_held_to_it(reached_early: str) -> None:
    assert reached_early == "socket.connect: 192.0.2.1"


FETCHERS = {
    "git": ("ls-remote", "{url}/a.git"),
    "npm": ("view", "a", "--registry={url}"),
    "pip": ("download", "--no-deps", "--trusted-host=127.0.0.1", "--index-url={url}", "a"),
    "uv": ("pip", "compile", "--default-index={url}", "-"),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=pytest.mark.skipif(not shutil.which(name), reason="not here")) for name in FETCHERS],
)
def test_programs_fetch_nothing(name: str, tmp_path: Path) -> None:
    """Neither what a test starts nor a script that it runs: nobody calls at the registry."""
    with socket.create_server(("127.0.0.1", 0)) as registry:
        url = f"http://127.0.0.1:{registry.getsockname()[1]}"
        command = [name, *(word.format(url=url) for word in FETCHERS[name])]
        done = subprocess.run(command, cwd=tmp_path, input=b"a", capture_output=True, check=False, timeout=60)
        registry.setblocking(False)
        with pytest.raises(BlockingIOError):
            registry.accept()
    assert done.returncode != 0


def test_nobody_waits() -> None:
    with pytest.raises(NoSleepingInTests):
        time.sleep(1)


@pytest.fixture(scope="module")
def shared() -> dict[str, str]:
    """The variables that the tests of a file begin with."""
    return dict(os.environ)


def test_the_real_home_and_credentials_are_hidden(shared: dict[str, str], own_home: Path) -> None:
    assert Path.home() == own_home
    assert Path(shared["XDG_STATE_HOME"]).parent == own_home.parent.parent
    shaping = ("OPENAI_", "OCI_", "VSSYNC_ENV", "VSSYNC_STATE_DIR", "KUBERNETES_", "COLUMNS", "TERM", "LC_", "LANG")
    assert not [name for name in shared if name.startswith(shaping)]
    assert not [name for name in os.environ if name.lower().endswith("_proxy")]


@pytest.mark.parametrize(("options", "code"), [((), 0), (("--no-skips",), 1)])
def test_what_needs_oci_is_skipped_without_it_where_that_is_allowed(
    tmp_path: Path, options: tuple[str, ...], code: int
) -> None:
    (tmp_path / "test_it.py").write_text(
        "import sys, pytest\nsys.modules['oci'] = None\n@pytest.mark.oci\ndef test_it(): raise AssertionError\n"
    )
    run = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml"), *options]
    done = subprocess.run([*run, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, "AssertionError" in done.stdout) == (code, False), done.stdout
    assert "pip install" in done.stdout


def test_of_a_wide_table_every_run_takes_one_row_of_so_many(tmp_path: Path) -> None:
    """Which are not slow; a row that says itself that it is slow does not count."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\nrows = [0, pytest.param(1, marks=pytest.mark.slow), 2, 3, 4, 5, 6]\n"
        "@pytest.mark.wide(3)\n@pytest.mark.parametrize('row', rows)\ndef test_it(row): pass\n"
        "@pytest.mark.parametrize('row', rows)\ndef test_all(row): pass\n"
    )
    run = [sys.executable, "-m", "pytest", "-q", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml")]
    run += ["--collect-only", "-m", "slow", str(tmp_path)]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    slow = ["test_it[1]", "test_it[2]", "test_it[3]", "test_it[5]", "test_it[6]", "test_all[1]"]
    assert re.findall(r"::(.*)", done.stdout) == slow, done.stdout


def test_no_law_is_broken_by_a_slow_machine() -> None:
    assert settings().deadline is None


SKIPPING = {
    "test_itself.py": "import pytest\ndef test(): pytest.skip('no tool')",
    "test_fixture.py": "import pytest\n@pytest.fixture\ndef tool(): pytest.skip('no tool')\ndef test(tool): pass",
    "test_file.py": "import pytest\npytest.importorskip('no_tool', reason='no tool')\ndef test(): pass",
    "test_known.py": "import pytest\n@pytest.mark.xfail(strict=True)\ndef test(): raise AssertionError",
    "test_system.py": "import pytest\n@pytest.mark.skipif(True, reason='no Linux')\ndef test(): pass",
}


def test_what_is_not_installed_can_be_made_to_count(tmp_path: Path) -> None:
    for name, text in SKIPPING.items():
        (tmp_path / name).write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", "-c", os.devnull, "--no-skips"]
    done = subprocess.run(
        [*command, "--continue-on-collection-errors", str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    refused = re.findall(r"^(\w+\.py).*: no tool, and --no-skips was given$", done.stdout, re.MULTILINE)
    assert sorted(refused) == ["test_file.py", "test_fixture.py", "test_itself.py"], done.stdout
    assert "1 xfailed" in done.stdout
    assert done.returncode == 1
