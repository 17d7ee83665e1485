"""librdkafka's security properties in Faust's terms."""

from __future__ import annotations

import pytest

from loader.errors import UsageError
from loader.reconciler.security import faust_security


def test_plain_text_needs_nothing() -> None:
    assert faust_security({}) == {}
    assert faust_security({"security.protocol": "PLAINTEXT", "linger.ms": 5}) == {}


def test_sasl_carries_name_and_password() -> None:
    given = {
        "security.protocol": "sasl_plaintext",
        "sasl.mechanisms": "SCRAM-SHA-512",
        "sasl.username": "u",
        "sasl.password": "p",
    }
    credentials = faust_security(given)["broker_credentials"]
    assert (credentials.username, credentials.password) == ("u", "p")
    assert credentials.mechanism.value == "SCRAM-SHA-512"
    assert credentials.protocol.value == "SASL_PLAINTEXT"


def test_tls_verifies_certificates() -> None:
    context = faust_security({"security.protocol": "ssl"})["broker_credentials"].context
    assert context.check_hostname


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"security.protocol": "carrier pigeon"}, "security.protocol"),
        ({"security.protocol": "sasl_ssl", "sasl.mechanism": "OAUTHBEARER"}, "OAUTHBEARER"),
        ({"security.protocol": "ssl", "ssl.ca.location": "/does/not/exist"}, "TLS files"),
    ],
)
def test_what_faust_cannot_do_is_refused(given: dict[str, str], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        faust_security(given)
