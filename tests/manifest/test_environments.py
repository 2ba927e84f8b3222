"""One manifest, several environments: how they are chosen, merged, and who owns what."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.manifest.builders import files_by_key, load_manifest, load_problems
from tests.manifest.test_bad_input import ENV, FILES, STORE
from vssync.errors import ManifestError
from vssync.manifest.environments import merge_trees
from vssync.model.marks import Removal
from vssync.model.state import AUTO, Chunking, DesiredStore
from vssync.sources.load import find_source_location

TEXT = """
service: {provider: oci, region: us-chicago-1, project: p}
variables: {host: {default: "https://${env}.example.com", description: site}}
defaults:
  name: ${store}-${env}
  attributes: {app: helpdesk, site: "${var.host}"}
stores:
  guide:
    chunking: {size: 400, overlap: 100}
    metadata: {team: docs, tier: gold}
    skip: [empty]
    files:
      - {path: docs/intro.md}
      - {path: docs/api/**, only: ["!dev"]}
      - {path: docs/drafts/**, only: ["pr-*", dev]}
  extra: {files: [{path: docs/**}]}
environments:
  dev:
    service: {provider: local}
    variables: {host: "http://localhost"}
    stores: {extra: null, guide: {chunking: null, attributes: {app: null}}}
  prod:
    defaults: {protect: true, attributes: {app: live}}
    stores:
      guide: {name: guide-prod, metadata: {tier: null, zone: eu}, skip: [unsupported], chunking: auto}
      only-here: {files: [{path: docs/intro.md}]}
  pr-*: {service: {provider: local}, stores: {extra: null}}
"""


def guide(root: Path, env: str) -> DesiredStore:
    return next(store for store in load_manifest(root, TEXT, env=env).desired.stores if store.key == "guide")


SHAPES = {
    "dev": ("docs/dev", "local", ["guide-dev"], ["docs/drafts/idea.md", "docs/intro.md"]),
    "prod": (
        "docs/prod",
        "oci",
        ["extra-prod", "guide-prod", "only-here-prod"],
        ["docs/api/call.md", "docs/intro.md"],
    ),
    "pr-12": ("docs/pr-12", "local", ["guide-pr-12"], ["docs/api/call.md", "docs/drafts/idea.md", "docs/intro.md"]),
}


@pytest.mark.parametrize("env", SHAPES)
def test_an_environment_shapes_everything(tmp_path: Path, env: str) -> None:
    desired = load_manifest(tmp_path, TEXT, env=env).desired
    names = [store.name for store in desired.stores]
    keys = [file.key for file in guide(tmp_path, env).files]
    assert (desired.owner, desired.service.provider, names, keys) == SHAPES[env]


def test_the_service_is_replaced_whole(tmp_path: Path) -> None:
    assert load_manifest(tmp_path, TEXT, env="dev").desired.service.region == ""
    assert load_manifest(tmp_path, TEXT, env="prod").desired.service.region == "us-chicago-1"


def test_chunking_is_removed_or_replaced_and_metadata_merged(tmp_path: Path) -> None:
    assert {file.chunking for file in guide(tmp_path, "dev").files} == {AUTO}
    assert {file.chunking for file in guide(tmp_path, "pr-1").files} == {Chunking(400, 100)}
    assert guide(tmp_path, "prod").metadata == {"team": "docs", "zone": "eu"}


def test_attributes_of_an_environment_replace_and_remove(tmp_path: Path) -> None:
    assert guide(tmp_path, "dev").files[0].attributes == {"site": "http://localhost"}
    prod = {"app": "live", "site": "https://prod.example.com"}
    assert guide(tmp_path, "prod").files[0].attributes == prod


def test_variables_given_go_before_those_of_an_environment(tmp_path: Path) -> None:
    loaded = load_manifest(tmp_path, TEXT, env="dev", variables={"host": "http://mine"})
    assert files_by_key(loaded)["docs/intro.md"].attributes["site"] == "http://mine"


@pytest.mark.parametrize(
    ("kind", "given", "value"),
    [("number", "3", 3), ("number", "0.5", 0.5), ("boolean", "true", True), ("string", "3", "3")],
)
def test_variables_given_have_the_declared_type(tmp_path: Path, kind: str, given: str, value: object) -> None:
    store = "stores: {a: {attributes: {v: '${var.v}'}, files: [{path: '*.md'}]}}"
    text = f"variables: {{v: {{type: {kind}}}}}\n{store}"
    loaded = load_manifest(tmp_path, text, {"a.md": "x"}, variables={"v": given}, env=None)
    assert files_by_key(loaded)["a.md"].attributes["v"] == value
    assert type(files_by_key(loaded)["a.md"].attributes["v"]) is type(value)


@pytest.mark.parametrize(
    ("base", "change", "merged"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"a": "foo"}, {"a": {"b": {"c": None}}}, {"a": {"b": {}}}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ({"service": {"a": 1}}, {"service": {"b": 2}}, {"service": {"b": 2}}),
        (
            {"defaults": {"chunking": {"a": 1}}},
            {"defaults": {"chunking": {"b": 2}}},
            {"defaults": {"chunking": {"b": 2}}},
        ),
        (
            {"stores": {"chunking": {"a": 1}}},
            {"stores": {"chunking": {"b": 2}}},
            {"stores": {"chunking": {"a": 1, "b": 2}}},
        ),
        (
            {"stores": {"s": {"attributes": {"a": 1}}}},
            {"stores": {"s": {"attributes": {"a": None}}}},
            {"stores": {"s": {"attributes": {"a": None}}}},
        ),
        (
            {"stores": {"s": {"metadata": {"a": 1}}}},
            {"stores": {"s": {"metadata": {"a": None}}}},
            {"stores": {"s": {"metadata": {}}}},
        ),
    ],
)
def test_merging_is_a_json_merge_patch_with_exceptions(
    base: dict[str, object], change: dict[str, object], merged: dict[str, object]
) -> None:
    assert merge_trees(base, change) == merged


def test_included_files_hold_further_stores(tmp_path: Path) -> None:
    loaded = load_manifest(
        tmp_path,
        """
        include: ["${var.folder}/*.yaml"]
        variables: {folder: tenants}
        defaults: {name: "${store}-${env}", files: [{path: docs/intro.md}]}
        stores: {guide: {}}
        environments: {dev: {stores: {acme: {name: acme-dev-1}}}}
        """,
        {
            "docs/intro.md": "x",
            "tenants/acme.yaml": "x-note: free\nstores: {acme: {attributes: {t: acme}}}\n",
            "tenants/beta.yaml": "stores:\n  beta:\n",
        },
        env="dev",
    )
    assert [store.name for store in loaded.desired.stores] == ["acme-dev-1", "beta-dev", "guide-dev"]
    assert files_by_key(loaded, 0)["docs/intro.md"].attributes == {"t": "acme"}


def test_defaults_of_an_included_file_hold_for_its_own_stores(tmp_path: Path) -> None:
    loaded = load_manifest(
        tmp_path,
        """
        include: [teams/*.yaml]
        defaults: {description: all, prune: false, attributes: {team: none, lang: en}, files: [{path: docs/intro.md}]}
        stores: {guide: {}}
        environments: {dev: {defaults: {metadata: {env: dev}}, stores: {search: {description: env}}}}
        """,
        {
            "docs/intro.md": "x",
            "teams/kb.yaml": "defaults: {description: '${store} kb', prune: null, attributes: {team: kb, lang: null}}\n"
            "stores: {billing: {attributes: {team: own}}, search: {}, old: {removed: delete}}\n",
            "teams/ops.yaml": "defaults: {}\nstores: {ops: {}}\n",
        },
        env="dev",
    )
    found = {store.key: (store.description, store.prune, store.files[0].attributes) for store in loaded.desired.stores}
    inherited = ("all", False, {"team": "none", "lang": "en"})
    assert found == {
        "billing": ("billing kb", True, {"team": "own"}),
        "search": ("env", True, {"team": "kb"}),
        "guide": inherited,
        "ops": inherited,
    }
    assert {store.metadata["env"] for store in loaded.desired.stores} == {"dev"}
    assert [store.key for store in loaded.desired.removed] == ["old"]
    assert find_source_location(loaded, ("stores", "search", "attributes", "team")) == f"{tmp_path}/teams/kb.yaml:1:72"


@pytest.mark.parametrize(
    ("base", "env", "expected"),
    [
        ("{removed: delete}", "{}", (Removal.DELETE, "guide-dev")),
        ("{removed: delete, name: g, id: vs_1, was: [old]}", "{removed: keep}", (Removal.KEEP, "g")),
        ("{files: [{path: docs/a.md}], prune: false}", "{removed: keep}", (Removal.KEEP, "guide-dev")),
        ("{removed: delete}", "{removed: null, files: [{path: docs/a.md}]}", None),
        ("{removed: delete}", "{files: [{path: docs/a.md}]}", "cannot have `files`"),
        ("{name: g}", "{removed: keep, adopt: true}", "cannot have `adopt`"),
    ],
)
def test_an_environment_says_whether_a_store_is_removed(tmp_path: Path, base: str, env: str, expected: object) -> None:
    """Where it is, `defaults` give it nothing but its name, and the manifest only what says which store it is."""
    text = f"""
        defaults: {{name: "${{store}}-${{env}}", metadata: {{team: docs}}, skip: [empty]}}
        stores: {{guide: {base}}}
        environments: {{dev: {{stores: {{guide: {env}}}}}}}
        """
    if isinstance(expected, str):
        with pytest.raises(ManifestError, match=expected):
            load_manifest(tmp_path, text, {"docs/a.md": "x"}, env="dev")
        return
    desired = load_manifest(tmp_path, text, {"docs/a.md": "x"}, env="dev").desired
    assert [(store.removed, store.name) for store in desired.removed] == ([expected] if expected else [])
    assert [store.key for store in desired.stores] == ([] if expected else ["guide"])
    assert all(not store.metadata for store in desired.removed)


@pytest.mark.parametrize(
    ("only", "applies"),
    [
        ("p*", True),
        ("*", True),
        ("!p*", False),
        ("pr?d", True),
        ("d*", False),
        ("!d*", True),
        ("pr-1*", False),
        ("q*", None),
        ("!prd", None),
    ],
)
def test_only_takes_patterns(tmp_path: Path, only: str, applies: bool | None) -> None:
    text = f"""
    stores: {{s: {{files: [{{path: docs/intro.md, only: ["{only}"]}}, {{path: docs/api/call.md}}]}}}}
    environments: {{dev: {{}}, prod: {{}}, pr-*: {{}}}}
    """
    if applies is None:
        (problem,) = load_problems(tmp_path, text, env="prod")
        assert problem.message == f"there is no environment `{only.removeprefix('!')}`"
    else:
        assert ("docs/intro.md" in files_by_key(load_manifest(tmp_path, text, env="prod"))) is applies


def test_a_file_id_may_be_in_entries_of_different_environments(tmp_path: Path) -> None:
    text = """
    stores: {s: {files: [{file_id: f, key: a, only: [dev]}, {file_id: f, key: b, only: ["!dev"]},
      {file_id: f, key: c, only: [test]}]}}
    environments: {dev: {}, prod: {}, test: {}}
    """
    assert list(files_by_key(load_manifest(tmp_path, text, env="dev"))) == ["a"]
    (problem,) = load_problems(tmp_path, text, env="test")
    assert "`f` is declared twice" in problem.message


@pytest.mark.parametrize(
    ("env", "text", "message", "hint"),
    [
        (
            None,
            ENV + STORE,
            "the manifest has environments, and none was chosen",
            "give --env; declared here: dev, prod",
        ),
        ("pord", ENV + STORE, "there is no environment `pord`", "did you mean `prod`?"),
        ("a/b", ENV + STORE, "`a/b` cannot be the name of an environment", "letters, digits"),
        (
            "dev",
            STORE,
            "there is no environment `dev`: the manifest declares none",
            "choose none, or declare it under `environments`",
        ),
        ("pr-1", "environments: {pr-*: {}, 'p*': {}}\n" + STORE, "matches `pr-*` and `p*`", "declare it by name"),
        ("dev", ENV + FILES + "      - {path: docs/**, only: ['!staging']}\n", "there is no environment `staging`", ""),
    ],
)
def test_environments_are_chosen_with_care(tmp_path: Path, env: str | None, text: str, message: str, hint: str) -> None:
    (problem,) = load_problems(tmp_path, text, env=env)
    assert message in problem.message
    assert hint in problem.hint


@pytest.mark.parametrize(
    ("declared", "given", "message", "hint"),
    [
        ("{default: x}", {"hots": "y"}, "the variable `hots` is given but not declared", "did you mean `host`?"),
        ("{description: site address}", {}, "the variable `host` has no value", "give --var host=... (site address)"),
        ("", {"host": "\udcff"}, "the value given for the variable `host` is not UTF-8 text", ""),
        ("{type: number}", {"host": "many"}, "the variable `host` must be a number, not `many`", ""),
        ("{type: number}", {"host": "1.10"}, "would not be kept as given: 1.10 is 1.1", "give 1.1 for the number, or"),
        ("{default: 1}", {"host": ".inf"}, "the variable `host` is not a finite number: .inf", "`type: string`"),
        ("{default: true}", {"host": "yes"}, "the variable `host` must be true or false, not `yes`", ""),
        ("{type: number, default: x}", {}, "the default of the variable `host` is not a number", ""),
        ("{default: '${var.a}'}", {}, "`${var.a}` cannot be used in a variable's default", "only `${env}` can"),
        ("{default: '${env}'}", {}, "`${env}` has no value: the manifest has no environments", "declare"),
        ("{default: '${'}", {}, "a placeholder `${` is not closed", ""),
    ],
)
def test_variables(tmp_path: Path, declared: str, given: dict[str, str], message: str, hint: str) -> None:
    (problem,) = load_problems(tmp_path, f"variables: {{host: {declared}}}\n{STORE}", variables=given)
    assert message in problem.message
    assert hint in problem.hint
