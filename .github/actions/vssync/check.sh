#!/usr/bin/env bash
# Refuses a saved plan that was made with other options than this job would have: whoever can change a workflow on a
# branch can make a plan, and its options say which guards are off.
set -euo pipefail
# shellcheck source=SCRIPTDIR/labels.sh
. "$(dirname "${BASH_SOURCE[0]}")/labels.sh"

# as_limit VALUE: `412` and `30%` as a plan records them.
as_limit() {
    case "$1" in
        "") echo null ;;
        *%) jq -n --arg text "${1%\%}" '{share: (($text | tonumber) / 100)}' ;;
        *) jq -n --arg text "$1" '{count: ($text | tonumber)}' ;;
    esac
}

variables=$(jq -nR '[inputs | select(length > 0) | capture("^(?<name>[^=]+)=(?<value>.*)$") | [.name, .value]] | sort' \
    <<<"${VARIABLES:-}")
allowed=$(jq -n \
    --arg manifest "$MANIFEST" --arg env "${ENVIRONMENT:-}" --argjson variables "$variables" \
    --argjson delete "$(as_limit "$(limit max-delete)")" --argjson replace "$(as_limit "$(limit max-replace)")" \
    '{manifest: ($manifest | sub("^\\./(?=.)"; "") | sub("(?<=.)/+$"; "")), env: $env, variables: $variables,
      max_delete: $delete, max_replace: $replace} | with_entries(select(.value | . != null and . != "" and . != []))')
if ! jq -e --argjson allowed "$allowed" '(.options // {}) == $allowed' "$1" >/dev/null; then
    echo "The plan was made with other options than this job and the pull request's labels allow; nothing was applied." |
        tee -a "$GITHUB_STEP_SUMMARY" >&2
    exit 3
fi
