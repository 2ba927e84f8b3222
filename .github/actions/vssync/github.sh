# shellcheck shell=bash
# What is told to GitHub: the job's summary, one comment on a pull request, one issue about drift.
# Bodies go by file, so no text of a manifest is ever part of a command.

# quietly COMMAND...: runs it while no line it prints is taken for a command of the runner.
quietly() {
    local token code=0
    token=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
    echo "::stop-commands::$token" >&2
    "$@" || code=$?
    echo "::$token::" >&2
    return "$code"
}

summarize() {
    [ ! -s "$1" ] || cat "$1" >>"$GITHUB_STEP_SUMMARY"
}

# marker FILE: the hidden first line by which an earlier comment of the same kind and owner is found.
marker() {
    head -n 1 "$1" | grep -x '<!-- vssync:[A-Za-z0-9:._/-]* -->' || true
}

# ours MARKER: of the comments or issues on stdin, the first number or id that the runner's own account wrote.
ours() {
    jq -rn --arg marker "$1" --arg field "$2" '
        [inputs | .[] | select(.user.login == "github-actions[bot]" and ((.body // "") | startswith($marker))) | .[$field]]
        | first // empty'
}

# comment NUMBER FILE: writes the comment, or writes it anew.
comment() {
    local mark id
    mark=$(marker "$2")
    [ -n "$mark" ] || return 0
    id=$(gh api --paginate "repos/$GITHUB_REPOSITORY/issues/$1/comments?per_page=100" | ours "$mark" id)
    if [ -n "$id" ]; then
        gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" -F "body=@$2" --silent
    else
        gh api --method POST "repos/$GITHUB_REPOSITORY/issues/$1/comments" -F "body=@$2" --silent
    fi
}

# watch CODE FILE: with changes, an issue that is open and up to date; without, none.
watch() {
    local mark number
    mark=$(marker "$2")
    [ -n "$mark" ] || return 0
    mark=${mark/vssync:plan:/vssync:drift:}
    number=$(gh api --paginate "repos/$GITHUB_REPOSITORY/issues?state=open&per_page=100" | ours "$mark" number)
    { echo "$mark"; tail -n +2 "$2"; } >"$2.issue"
    if [ "$1" -eq 0 ]; then
        [ -z "$number" ] || gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/$number" -f state=closed --silent
    elif [ -n "$number" ]; then
        gh api --method PATCH "repos/$GITHUB_REPOSITORY/issues/$number" -F "body=@$2.issue" --silent
    else
        gh api --method POST "repos/$GITHUB_REPOSITORY/issues" \
            -f "title=vssync: live stores differ from the manifest" -F "body=@$2.issue" --silent
    fi
}
