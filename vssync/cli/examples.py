"""The examples that end each command's `--help`: a command to copy, and what it does."""

from __future__ import annotations

import re

_LINES = r"""
vssync init  # ask, then write vssync.yaml here
vssync init --yes --path 'docs/**/*.md'  # do not ask
vssync init -f kb --provider openai  # in the folder kb, for OpenAI
vssync init --ci github  # the workflow that plans pull requests and applies merges
vssync validate  # the manifest of this folder
vssync validate -f kb/vssync.yaml -e prod  # another manifest, in one environment
vssync plan  # what apply would do
vssync plan --out p.json  # the same, saved to be applied after a review
vssync plan -t 'docs/guide/*' --full  # only these files, with a line for every change
vssync plan -e '*'  # every environment that the manifest declares
vssync plan --against main  # what this branch changes, without a service or a credential
vssync apply  # show the plan, ask, apply it
vssync apply p.json  # apply exactly the plan that was reviewed
vssync apply --yes -e dev  # do not ask, in one environment
vssync show p.json  # as plan printed it
vssync show p.json --format html > plan.html  # as a page, for a browser
vssync status  # every store: its id, its files, whether it agrees
vssync status -e 'pr-*'  # every live preview
vssync status docs/guide/intro.md  # one file: declared, live, planned
vssync search how do I reset my password  # in all stores of the manifest
vssync search -s docs --filter 'size>=2' --format json refunds  # in one store, by an attribute
vssync test  # ask every question, and print those that fail
vssync test docs --format junit > questions.xml  # for a CI system, one store
vssync batches  # in all stores
vssync batches docs --format json  # in one store, as JSON
vssync cancel vsfb_123  # an id that `vssync batches` shows
vssync ci plan -e prod  # in a pull request's job: a plan, and a comment on it
vssync ci apply -e prod --deployment kb-prod  # after the merge: what commits explain
vssync ci drift -f kb -e prod  # on a schedule: an issue while stores of one manifest differ
vssync ci preview  # in a pull request's job: its own environment, pr-N, while it is open
vssync ci sweep --max-age 7  # on a schedule: delete what is left of such previews
vssync destroy -e pr-12  # show what would be deleted, ask for the name
vssync destroy -e pr-12 --confirm kb/pr-12  # the same without a terminal
vssync destroy -e 'pr-*' --confirm 'kb/pr-*'  # every preview
vssync gc  # list orphaned uploads
vssync gc --suspected --yes  # delete them, and those that only look like vssync's
vssync doctor  # only read
vssync doctor --probe  # also try what the service can do
vssync doctor --probe --yes --out evidence.json  # for an issue, without secrets
vssync render -e prod  # the manifest as prod sees it
vssync render --files -t docs/intro.md  # one file, and where each of its values comes from
vssync serve  # on port 8700, until Ctrl-C
vssync serve --provider oci --fault delay=200  # as OCI, with each answer delayed by 200 ms
vssync dump --store support-docs  # to stdout, every file by its id
vssync dump --store vs_123 -o kb/vssync.yaml --match kb  # by local path where one matches
vssync dump --store support-docs --provider openai --download docs  # from OpenAI, with the files downloaded
vssync dump --all -o kb/ --match kb  # every store, with a file for each
vssync diff staging prod  # what differs between the live stores
vssync diff staging prod --detailed-exitcode  # exit with 2 when they differ
vssync diff staging prod --desired  # what the manifest declares differently
vssync output -e prod  # each store's id, name and content digest
vssync output docs --format id  # the id alone
vssync output --format dotenv > stores.env  # for an application
vssync output --format github >> "$GITHUB_OUTPUT"  # for the next steps of a job
vssync schema manifest  # for an editor
vssync schema plan  # for a program
eval "$(vssync completion bash)"  # in ~/.bashrc
eval "$(vssync completion zsh)"  # in ~/.zshrc
vssync completion fish > ~/.config/fish/completions/vssync.fish  # run this once
"""

EXAMPLES: dict[str, list[tuple[str, str]]] = {}
for line in _LINES.strip().split("\n"):
    example, meaning = line.split("  # ")
    EXAMPLES.setdefault(re.findall(r"vssync (\w+)", example)[0], []).append((example, meaning))
