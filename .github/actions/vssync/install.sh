#!/usr/bin/env bash
# Installs vssync from the very revision of this action, so that one pinned hash names all of it.
set -euo pipefail

# -I: `-m` alone would import a `venv.py` of the checkout, and run it beside the credential.
python3 -I -m venv "$RUNNER_TEMP/vssync"
"$RUNNER_TEMP/vssync/bin/pip" install --quiet "$GITHUB_ACTION_PATH/../../.."
echo "$RUNNER_TEMP/vssync/bin" >>"$GITHUB_PATH"
