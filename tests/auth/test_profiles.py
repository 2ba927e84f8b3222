"""OCI's configuration file: which profile is read, what it may inherit, and what each mistake is called."""

from __future__ import annotations

import pwd
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from tests.auth import builders
from vssync import auth
from vssync.auth.credential import CredentialError
from vssync.auth.profile import read_profile
from vssync.auth.signed import SigningCredential
from vssync.errors import VssyncError
from vssync.providers import AuthKind

pytestmark = pytest.mark.oci
KEY, TOKEN = AuthKind.SIGNING_KEY, AuthKind.SECURITY_TOKEN
PHRASE = "correct horse"
SESSION = {"key_file": "~/.oci/session.pem", "security_token_file": "~/.oci/token"}


def made(environment: dict[str, str], kind: AuthKind = KEY, profile: str = "", **more: Any) -> SigningCredential:
    credential = auth.create_credential(builders.endpoint(auth=kind, profile=profile), environment, **more)
    assert isinstance(credential, SigningCredential)
    return credential


def key_id(credential: httpx.Auth) -> str:
    sent = next(credential.auth_flow(httpx.Request("GET", "https://localhost/openai/v1/files")))
    return sent.headers["authorization"].split('keyId="')[1].split('"')[0]


def user_key(user: str = builders.USER) -> str:
    return f"{builders.TENANCY}/{user}/{builders.fingerprint(builders.rsa())}"


@pytest.mark.parametrize(
    ("profiles", "kind", "profile", "expected"),
    [
        ({"DEFAULT": builders.section()}, KEY, "", builders.USER),
        ({"DEFAULT": builders.section()}, KEY, "DEFAULT", builders.USER),
        ({"DEFAULT": builders.section(), "P": {"user": "ocid1.u2"}}, KEY, "P", "ocid1.u2"),
        ({"P": builders.section()}, KEY, "P", builders.USER),
        # A session is one although it inherits a user's whole key, and also without being called one.
        ({"DEFAULT": builders.section(), "P": SESSION}, TOKEN, "P", "session"),
        ({"DEFAULT": builders.section(), "P": SESSION}, KEY, "P", "session"),
        ({"DEFAULT": SESSION}, TOKEN, "", "session"),
        # A profile with a key of its own is not a session because [DEFAULT] is one.
        ({"DEFAULT": SESSION, "P": builders.section()}, KEY, "P", builders.USER),
    ],
)
def test_a_profile_signs_as_itself(
    tmp_path: Path, profiles: dict[str, dict[str, str]], kind: AuthKind, profile: str, expected: str
) -> None:
    files: dict[str, bytes | str] = {"session.pem": builders.pem(builders.rsa(1)), "token": builders.token()}
    used = key_id(made(builders.write_home(tmp_path, profiles, files), kind, profile))
    assert used == (f"ST${builders.token()}" if expected == "session" else user_key(expected))


@pytest.mark.parametrize("variable", ["OCI_CONFIG_FILE", "OCI_CLI_CONFIG_FILE"])
@pytest.mark.parametrize("written", ["~/.oci/other", "{home}/.oci/other"])
def test_the_file_may_be_another_even_where_the_usual_one_exists(tmp_path: Path, variable: str, written: str) -> None:
    environment = builders.write_home(tmp_path, {"DEFAULT": builders.section(user="ocid1.other")})
    (tmp_path / ".oci/config").rename(tmp_path / ".oci/other")
    builders.write_home(tmp_path, {"DEFAULT": builders.section()})
    environment[variable] = written.format(home=tmp_path)
    assert key_id(made(environment)) == user_key("ocid1.other")


def test_a_file_from_another_editor_is_read(tmp_path: Path) -> None:
    environment = builders.write_home(tmp_path, {"DEFAULT": builders.section()})
    config = tmp_path / ".oci/config"
    config.write_bytes(b"\xef\xbb\xbf" + config.read_bytes().replace(b"\n", b"\r\n") + b"\r\nnote=100%done\r\n")
    assert key_id(made(environment)) == user_key()


@pytest.mark.parametrize(
    ("profiles", "kind", "profile", "words"),
    [
        ({"A": builders.section(), "B": {}}, KEY, "", "profile 'DEFAULT': not in {oci}/config; it has A, B; choose"),
        ({}, KEY, "P", "profile 'P': not in {oci}/config; it has none"),
        ({"DEFAULT": builders.section(user="")}, KEY, "", "profile DEFAULT of {oci}/config: has no `user`"),
        (
            {"DEFAULT": builders.section(user="ocid1.us\u200ber")},
            KEY,
            "",
            "profile DEFAULT of {oci}/config: its `user` holds a",
        ),
        (
            {"DEFAULT": builders.section(tenancy="mine # or not")},
            KEY,
            "",
            "profile DEFAULT of {oci}/config: its `tenancy` holds",
        ),
        ({"DEFAULT": builders.section(key_file="")}, KEY, "", "profile DEFAULT of {oci}/config: has no `key_file`"),
        (
            {"DEFAULT": builders.section(key_file="~/.oci/no")},
            KEY,
            "",
            "{oci}/no: No such file or directory; profile DEFAULT",
        ),
        (
            {"DEFAULT": builders.section(key_file="~/.oci")},
            KEY,
            "",
            "{oci}: Is a directory; profile DEFAULT of {oci}/config",
        ),
        (
            {"DEFAULT": builders.section(key_file="~/.oci/public")},
            KEY,
            "",
            "{oci}/public: not a private key in PEM form",
        ),
        (
            {"DEFAULT": builders.section(key_file="~/.oci/config")},
            KEY,
            "",
            "{oci}/config: not a private key in PEM form",
        ),
        ({"DEFAULT": builders.section(key_file="~/.oci/bytes")}, KEY, "", "{oci}/bytes: not a private key in PEM form"),
        ({"DEFAULT": builders.section(key_file="~/.oci/curve")}, KEY, "", "{oci}/curve: not an RSA key"),
        (
            {"DEFAULT": builders.section(key_file="~/.oci/unknown")},
            KEY,
            "",
            "{oci}/unknown: not a private key in PEM form",
        ),
        (
            {
                "DEFAULT": builders.section(),
                "P": {"key_file": "~/.oci/session.pem"},
            },  # another key, the inherited fingerprint
            KEY,
            "P",
            "profile P of {oci}/config: its `fingerprint`",
        ),
        ({"DEFAULT": builders.section()}, TOKEN, "", "profile DEFAULT of {oci}/config: has no `security_token_file`"),
        (
            {"DEFAULT": SESSION, "P": builders.section()},
            TOKEN,
            "P",
            "profile P of {oci}/config: has no `security_token_file` of its own",
        ),
        (
            {"DEFAULT": builders.section(), "P": {"security_token_file": "~/.oci/token"}},
            TOKEN,
            "P",
            "profile P of {oci}/config: has no `key_file` of its own",
        ),
        ({"P": SESSION | {"security_token_file": "~/.oci/no"}}, TOKEN, "P", "{oci}/no: No such file or directory"),
        (
            {"P": SESSION | {"security_token_file": "~/.oci/old"}},
            TOKEN,
            "P",
            "profile P: its session expired at 2000-01-01",
        ),
        ({"P": SESSION | {"security_token_file": "~/.oci/public"}}, TOKEN, "P", "{oci}/public: not a session token"),
        ({"P": SESSION | {"key_file": "~/.oci/curve"}}, TOKEN, "P", "{oci}/curve: not an RSA key"),
    ],
)
def test_each_mistake_names_its_object(
    tmp_path: Path, profiles: dict[str, dict[str, str]], kind: AuthKind, profile: str, words: str
) -> None:
    files: dict[str, bytes | str] = {
        "session.pem": builders.pem(builders.rsa(1)),
        "token": builders.token(),
        "old": builders.token(expires=builders.PAST),
        "public": builders.public_pem(builders.rsa()),
        "curve": builders.pem(generate_private_key(SECP256R1())),
        "unknown": builders.unknown_pem(),
        "bytes": b"\x00\xff\x30",
    }
    environment = builders.write_home(tmp_path, profiles, files)
    with pytest.raises(CredentialError) as caught:
        made(environment, kind, profile)
    assert str(caught.value).startswith(words.format(oci=tmp_path / ".oci"))
    assert caught.value.exit_code == 1
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_an_expired_session_names_both_commands(tmp_path: Path) -> None:
    environment = builders.write_home(
        tmp_path, {"P": SESSION}, {"session.pem": builders.pem(builders.rsa()), "token": builders.token(expires=1)}
    )
    with pytest.raises(CredentialError, match=r"oci session refresh --profile P.*oci session authenticate .*P`"):
        made(environment, TOKEN, "P")


@pytest.mark.parametrize("expires", [builders.FUTURE, "soon", None, 10**40, float("inf")])
def test_a_token_that_does_not_say_when_it_expires_is_left_to_the_service(tmp_path: Path, expires: Any) -> None:
    text = builders.token(expires=expires)
    environment = builders.write_home(
        tmp_path, {"P": SESSION}, {"session.pem": builders.pem(builders.rsa()), "token": text}
    )
    assert key_id(made(environment, TOKEN, "P")) == f"ST${text}"


def test_a_token_without_claims_is_left_to_the_service(tmp_path: Path) -> None:
    environment = builders.write_home(
        tmp_path, {"P": SESSION}, {"session.pem": builders.pem(builders.rsa()), "token": "opaque"}
    )
    assert key_id(made(environment, TOKEN, "P")) == "ST$opaque"


@pytest.mark.parametrize(
    "text",
    [
        "pass_phrase=hunter2\n",
        "[DEFAULT]\npass_phrase=x\nhunter2\n",
        "[DEFAULT]\na=1\na=hunter2\n",
        "[DEFAULT]\n[DEFAULT]\na=hunter2\n",
        "[DEFAULT]\na=\xff hunter2\n",
    ],
)
def test_a_broken_file_is_named_and_not_quoted(tmp_path: Path, text: str) -> None:
    environment = builders.write_home(tmp_path, {})
    (tmp_path / ".oci/config").write_bytes(text.encode("latin-1"))
    with pytest.raises(CredentialError) as caught:
        made(environment)
    assert str(caught.value).startswith(f"{tmp_path}/.oci/config: not a configuration file of OCI")
    assert "hunter2" not in str(caught.value)


def test_no_file_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match=r"/\.oci/config: no such file; make one with `oci setup config`"):
        made({"HOME": str(tmp_path)})
    with pytest.raises(CredentialError, match="cannot be read: Is a directory"):
        made({"OCI_CONFIG_FILE": str(tmp_path)})


# -- passphrases


def locked(home: Path, pass_phrase: str = "") -> dict[str, str]:
    profiles = {"DEFAULT": builders.section(key_file="~/.oci/locked.pem", pass_phrase=pass_phrase)}
    return builders.write_home(home, profiles, {"locked.pem": builders.pem(builders.rsa(), PHRASE)})


def never(prompt: str) -> str:
    pytest.fail(f"asked: {prompt}")


@pytest.mark.parametrize(
    ("written", "variable", "ask"),
    [
        (PHRASE, "", never),
        ("another key's", PHRASE, never),
        (PHRASE, "another key's", never),
        ("", "", lambda prompt: PHRASE),
        ("an old one", "", lambda prompt: PHRASE),
    ],
)
def test_a_locked_key_opens_with_the_first_passphrase_that_fits(
    tmp_path: Path, written: str, variable: str, ask: Any
) -> None:
    environment = locked(tmp_path, written) | {"OCI_CLI_PASSPHRASE": variable}
    assert key_id(made(environment, ask=ask)) == user_key()


def test_a_person_is_asked_for_the_key_by_name(tmp_path: Path) -> None:
    prompts: list[str] = []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return PHRASE

    made(locked(tmp_path), ask=ask)
    assert prompts == [f"Passphrase of {tmp_path}/.oci/locked.pem: "]


def test_a_person_is_asked_once_though_a_session_is_read_again(tmp_path: Path) -> None:
    prompts: list[str] = []

    def ask(prompt: str) -> str:
        prompts.append(prompt)
        return PHRASE

    files: dict[str, bytes | str] = {"session.pem": builders.pem(builders.rsa(1), PHRASE), "token": builders.token()}
    credential = made(builders.write_home(tmp_path, {"P": SESSION}, files), TOKEN, "P", ask=ask)
    flow = credential.auth_flow(httpx.Request("GET", "https://localhost/openai/v1"))
    flow.send(httpx.Response(401, request=next(flow)))
    assert len(prompts) == 1


@pytest.mark.parametrize(
    ("written", "variable", "ask", "words"),
    [
        ("", "", None, "needs a passphrase; put it into OCI_CLI_PASSPHRASE"),
        ("", "", lambda prompt: "", "needs a passphrase"),
        ("hunter2", "", None, "none of the given passphrases opens it"),
        ("", "hunter2 \u00e9", lambda prompt: "hunter2", "none of the given passphrases opens it"),
    ],
)
def test_a_key_that_stays_locked_is_named_and_the_passphrase_is_not(
    tmp_path: Path, written: str, variable: str, ask: Any, words: str
) -> None:
    with pytest.raises(CredentialError) as caught:
        made(locked(tmp_path, written) | {"OCI_CLI_PASSPHRASE": variable}, ask=ask)
    assert str(caught.value).startswith(f"{tmp_path}/.oci/locked.pem: {words}")
    assert "hunter2" not in str(caught.value)


def test_a_passphrase_for_a_key_that_needs_none_does_no_harm(tmp_path: Path) -> None:
    environment = builders.write_home(tmp_path, {"DEFAULT": builders.section(pass_phrase="for another")})
    assert key_id(made(environment, ask=never)) == user_key()


# -- what depends on the machine, and on what is installed


@pytest.mark.parametrize("kind", [kind for kind in AuthKind if kind.signs])
def test_without_the_extra_every_kind_says_how_to_install_it(kind: AuthKind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "oci", None)
    with pytest.raises(CredentialError, match=r"pip install 'vssync\[oci\]'") as caught:
        auth.create_credential(builders.endpoint(auth=kind), {})
    assert str(caught.value).startswith(f"auth {kind}: ")


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (AuthKind.INSTANCE_PRINCIPAL, "only on an OCI compute instance"),
        (AuthKind.RESOURCE_PRINCIPAL, "only where OCI sets OCI_RESOURCE_PRINCIPAL_VERSION"),
        (AuthKind.OKE_WORKLOAD_IDENTITY, "only in a pod of an enhanced OKE cluster"),
    ],
)
def test_a_machine_without_an_identity_says_where_there_is_one(
    kind: AuthKind, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OCI_METADATA_BASE_URL", "http://127.0.0.1:9/opc/v2")
    monkeypatch.setattr("time.sleep", lambda seconds: None)  # the package waits between its attempts
    with pytest.raises(VssyncError, match=words) as caught:
        auth.create_credential(builders.endpoint(auth=kind), {})
    assert str(caught.value).startswith(f"auth {kind}: no token could be obtained (")
    assert caught.value.exit_code == 1


# -- nothing shows a secret


@pytest.mark.parametrize(("kind", "profile"), [(KEY, "K"), (TOKEN, "S")])
def test_no_text_of_any_object_holds_a_secret(tmp_path: Path, kind: AuthKind, profile: str) -> None:
    from vssync.auth.profile import read_profile

    profiles = {"DEFAULT": {"pass_phrase": PHRASE}, "K": builders.section(key_file="~/.oci/locked.pem"), "S": SESSION}
    files: dict[str, bytes | str] = {
        "locked.pem": builders.pem(builders.rsa(), PHRASE),
        "session.pem": builders.pem(builders.rsa(1), PHRASE),
        "token": builders.token(),
    }
    environment = builders.write_home(tmp_path, profiles, files)
    credential = made(environment, kind, profile)
    sent = next(credential.auth_flow(httpx.Request("GET", "https://localhost/openai/v1")))
    objects = [credential, read_profile(profile, environment), sent, sent.headers, *vars(credential).values()]
    secrets = [
        PHRASE,
        builders.token(),
        builders.pem(builders.rsa()).decode().splitlines()[1],
        sent.headers["authorization"],
    ]
    shown = [text for each in objects for text in (repr(each), str(each))]
    assert f"profile {profile} in {tmp_path}/.oci/config" in repr(credential)
    assert not [secret for secret in secrets for text in shown if secret in text]


def test_a_user_without_a_home_has_no_profile_unless_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = Path(builders.write_home(tmp_path, {"DEFAULT": builders.section()})["HOME"]) / ".oci/config"
    monkeypatch.delenv("HOME")
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)
    with pytest.raises(CredentialError, match=r"^/\.oci/config: no such file.*OCI_CONFIG_FILE"):
        read_profile("", {})
    assert read_profile("", {"OCI_CONFIG_FILE": str(file)}).file == file
