#!/usr/bin/env bash
# Fetches the plan that was reviewed: that of the merged pull request's last commit, made by this same workflow in this
# repository. A plan made in a fork was made by a stranger's files and never counts.
set -euo pipefail

fail() {
    echo "$1" | tee -a "$GITHUB_STEP_SUMMARY" >&2
    exit 1
}

pull=$(gh api "repos/$GITHUB_REPOSITORY/commits/$GITHUB_SHA/pulls" |
    jq -c --arg branch "$GITHUB_REF_NAME" '[.[] | select(.merged_at != null and .base.ref == $branch)] | first // empty')
[ -n "$pull" ] || fail "No merged pull request holds $GITHUB_SHA, so no plan was reviewed. Open one, or apply by hand."
number=$(jq -r .number <<<"$pull")
head=$(jq -r .head.sha <<<"$pull")
from=$(jq -r '.head.repo.full_name // "a deleted fork"' <<<"$pull")
[ "$from" = "$GITHUB_REPOSITORY" ] ||
    fail "Pull request #$number came from $from: its plan asked no service. Open one from a branch here, or apply by hand."

path=${GITHUB_WORKFLOW_REF#"$GITHUB_REPOSITORY/"}
run=$(gh api "repos/$GITHUB_REPOSITORY/actions/runs?head_sha=$head&event=pull_request&status=success&per_page=100" |
    jq -r --arg repository "$GITHUB_REPOSITORY" --arg path "${path%@*}" '[.workflow_runs[]
        | select(.head_repository.full_name == $repository and .path == $path) | .id] | max // empty')
[ -n "$run" ] || fail "Pull request #$number has no successful run that made a plan for $head. Plan again in a new one."

gh run download "$run" --repo "$GITHUB_REPOSITORY" --name "$ARTIFACT" --dir "$RUNNER_TEMP/vssync-plan"
{
    echo "number=$number"
    echo "labels=$(jq -c '[.labels[].name]' <<<"$pull")"
} >>"$GITHUB_OUTPUT"
