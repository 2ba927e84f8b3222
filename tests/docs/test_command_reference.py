"""The guide's command reference is what the program says of itself; `pytest --update-goldens` writes it anew."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from vssync.cli.examples import EXAMPLES
from vssync.cli.help import Verb
from vssync.cli.main import cli

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "vssync"
PAGE = ROOT / "examples/quickstart/docs/command-reference.md"
INTRO = """\
# Command reference

Every command with its options and examples, as `vssync COMMAND --help` shows them. Results go to stdout, progress and
messages to stderr. See also the [exit codes](ownership-and-safety.md#exit-codes) and, at the end of this page, the
[environment variables](#environment-variables)."""
VARIABLES = {
    "VSSYNC_FILE": "the manifest, as `--file`",
    "VSSYNC_ENV": "the manifest's environment, as `--env`",
    "VSSYNC_API_KEY": "a key, for any provider; without it the provider's own variable is used",
    "VSSYNC_AUTH": "how to authenticate, as `--auth`",
    "VSSYNC_CONTROL_AUTH": "how to authenticate where stores are made and listed, as `--control-auth`",
    "VSSYNC_AUTH_COMMAND": "a command that prints a bearer token, as `--auth-command`",
    "VSSYNC_ALLOW_HOSTS": "hosts that may get a credential, as `--allow-host`, separated by commas",
    "VSSYNC_LIMITS": "limits for each minute, as `--limits`",
    "VSSYNC_LOG_FORMAT": "how stderr is written, as `--log-format`",
    "VSSYNC_ADOPT_FROM": "owners to take over from, as `--adopt-from`, separated by spaces",
    "VSSYNC_GITLAB_TOKEN": "for `vssync ci` on GitLab, a project access token",
    "VSSYNC_UNEXPLAINED": "for a pipeline that somebody starts on GitLab: `true` applies what no commit explains, too",
    "VSSYNC_STATE_DIR": "the absolute path of the folder for journals and locks; by default, `vssync` in the user's "
    "state folder, which is `~/.local/state` on Linux",
    "OPENAI_API_KEY": "a bearer key for `openai`",
    "AZURE_OPENAI_API_KEY": "a key for `azure`",
    "OCI_GENAI_API_KEY": "a bearer key for `oci`",
    "OCI_CLI_AUTH": "with `oci`, as `VSSYNC_AUTH`, which takes precedence",
    "OCI_CLI_PROFILE": "the profile of the OCI configuration file, as `--profile`",
    "OCI_REGION": "the OCI region, as `--region`",
    "OCI_REGION_METADATA": "a region of a partner cloud, in JSON; `~/.oci/regions-config.json` holds a list of them",
    "OCI_CONFIG_FILE": "the OCI configuration file; by default `~/.oci/config`",
    "OCI_CLI_CONFIG_FILE": "the same, under the name that OCI's command line uses",
    "OCI_CLI_PASSPHRASE": "the passphrase of the signing key",
    "NO_COLOR": "with any value, as `--color never`",
}


def reference() -> str:
    """The whole page."""
    return (
        "\n\n".join([INTRO, *(_section(name, command) for name, command in sorted(cli.commands.items())), _variables()])
        + "\n"
    )


def _variables() -> str:
    """What is read from the environment besides what the libraries read: proxies, certificates, the terminal."""
    rows = [f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items()]
    head = "A flag takes precedence over its variable, and a variable over the manifest."
    return "\n".join(["## Environment variables", "", head, "", "| variable | meaning |", "|---|---|", *rows])


def _section(name: str, command: click.Command) -> str:
    context = click.Context(command, info_name=f"vssync {name}")
    usage = " ".join(command.get_usage(context).split()).removeprefix("Usage: ")
    examples = [line for example, meaning in EXAMPLES[name] for line in (f"# {meaning}", f"$ {example}")]
    parts = [f"## vssync {name}", _prose(command.help or ""), f"```text\n{usage}\n```"]
    parts += _options(command, context)
    return "\n\n".join([*parts, "```console\n" + "\n".join(examples) + "\n```"])


def _prose(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.strip().split("\n\n"))


def _options(command: click.Command, context: click.Context) -> Iterator[str]:
    """A table for each heading of the help; `--help` itself is left out."""
    assert isinstance(command, Verb)
    for heading, records in command.option_groups(context).items():
        shown = [record for record in records if not record[0].endswith("--help")]
        rows = [f"| `{_cell(names)}` | {_cell(meaning)} |" for names, meaning in shown]
        if rows:
            yield "\n".join([f"| {heading} | meaning |", "|---|---|", *rows])


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").strip()


def test_the_page_is_what_the_program_says(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--update-goldens"):
        PAGE.write_text(reference())
    assert PAGE.read_text() == reference()


def test_every_command_has_a_section() -> None:
    assert re.findall(r"^## vssync (\w+)$", reference(), re.MULTILINE) == sorted(cli.commands)


def test_every_variable_is_told() -> None:
    """Whatever looks like the name of one in the code, however it is read."""
    texts = [path.read_text() for path in PACKAGE.rglob("*.py")]
    variables = {name for text in texts for name in re.findall(r"\"((?:VSSYNC|OCI|OPENAI|AZURE|NO)_[A-Z_]+)\"", text)}
    assert variables == set(VARIABLES)
