"""What a login says that no server here can be made to say."""

from __future__ import annotations

import ssl

import pytest
from redshift_connector.error import InterfaceError, ProgrammingError

from loader import config
from loader.errors import LoaderError, Unreachable
from loader.warehouse.errors import Refused, StatementRefused, classify
from loader.warehouse.login_errors import explain

SETTINGS = config.Warehouse.model_validate({"host": "c1.example", "password": "hunter2"})
WHERE = "Redshift at c1.example:5439, database dev"


def said(code: str, message: str) -> LoaderError:
    return explain(ProgrammingError({"S": "FATAL", "C": code, "M": message}), SETTINGS, WHERE, None)


def test_a_cluster_that_insists_on_tls() -> None:
    text = 'no pg_hba.conf entry for host "::ffff:10.0.0.1", user "heap", database "dev", SSL off'
    found = said("28000", text)
    assert isinstance(found, Refused)
    assert found.hint == 'Set warehouse.sslmode = "verify-full".'


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("53300", 'connection limit "500" exceeded for non-bootstrap users'),
        ("57P03", "the database system is starting up"),
    ],
)
def test_what_passes_is_tried_again(code: str, message: str) -> None:
    found = said(code, message)
    assert isinstance(found, Unreachable)
    assert message in found.message


def test_with_iam_the_hint_is_about_the_user_and_not_the_password() -> None:
    iam = SETTINGS.model_copy(update={"authentication": "iam"})
    fields = {"C": "28000", "M": 'password authentication failed for user "IAM:x"'}
    found = explain(ProgrammingError(fields), iam, WHERE, None)
    assert isinstance(found, Refused)
    assert "auto_create" in found.hint


def test_tls_that_breaks_for_another_reason_than_the_certificate() -> None:
    broken = ssl.SSLError(1, "[SSL: UNSUPPORTED_PROTOCOL] unsupported protocol")
    found = explain(InterfaceError("communication error", broken), SETTINGS, WHERE, None)
    assert isinstance(found, Refused)
    assert "no TLS connection" in found.message


def test_a_statement_that_was_ended_says_by_what() -> None:
    fields = {"C": "57014", "M": "Query (17) cancelled on user's request"}
    found = classify(fields, WHERE, "COPY ...")
    assert isinstance(found, StatementRefused)
    assert found.sqlstate == "57014"
    assert "statement_timeout" in found.hint
