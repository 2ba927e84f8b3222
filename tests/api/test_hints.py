"""What services refuse most has a way out, by provider."""

from __future__ import annotations

import pytest

from vssync.api.errors import way_out
from vssync.errors import Answer
from vssync.providers import COMPATIBLE, PROVIDERS


@pytest.mark.parametrize(
    ("provider", "status", "code", "message", "said"),
    [
        ("oci", 400, "", "Invalid OpenAI project", "service.project"),
        ("oci", 400, "", "Compartment ID must be provided", "service.project"),
        ("oci", 401, "NotAuthenticated", "", "another region"),
        ("oci", 403, "", "", "policy"),
        ("oci", 404, "NotAuthorizedOrNotFound", "", "doctor"),
        ("oci", 404, "404", "Authorization failed or requested resource not found.", "doctor"),
        ("oci", 404, "", "No such File.", ""),
        ("openai", 401, "invalid_api_key", "", "doctor"),
        ("openai", 429, "insufficient_quota", "", "billing"),
        ("openai", 429, "rate_limit_exceeded", "", ""),
        ("openai", 400, "", "Invalid project", ""),
        ("azure", 401, "401", "Access denied due to invalid subscription key or wrong API endpoint.", "one resource"),
        ("azure", 403, "AuthenticationTypeDisabled", "Key based authentication is disabled.", "Entra token"),
        ("azure", 403, "", "Public access is disabled. Please configure private endpoint.", "network rules"),
        ("azure", 403, "", "", "role"),
        ("azure", 404, "404", "Resource not found", "region"),
        ("azure", 400, "BadRequest", "API version not supported", "/openai/v1"),
        ("azure", 404, "", "No vector store found with id 'vs_1'.", ""),
        ("compatible", 403, "", "", "ask"),
        ("compatible", 407, "", "", "HTTPS_PROXY"),
        ("compatible", 400, "", "Unknown parameter 'attributes'.", "mark"),
        ("compatible", 422, "", "unknown field chunking_strategy", "chunking: auto"),
        ("compatible", 405, "", "", ""),
        ("openai", 500, "", "", ""),
    ],
)
def test_the_way_out(provider: str, status: int, code: str, message: str, said: str) -> None:
    found = way_out(PROVIDERS[provider].hints, Answer("GET", "/files", status, code, message))
    assert said in found
    assert bool(said) == bool(found)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/v1/vector_stores/vs_1/files/file-1", "`attribute_updates: false`"),
        ("/v1/vector_stores/vs_1", "`store_updates: false`"),
        ("/v1/vector_stores", "`external`"),
        ("/v1/vector_stores/vs_1/files", ""),
        ("/v1/files", ""),
    ],
)
def test_a_write_that_a_service_never_takes_names_the_capability(path: str, said: str) -> None:
    found = way_out(COMPATIBLE.hints, Answer("POST", path, 405))
    assert said in found
    assert bool(said) == bool(found)
