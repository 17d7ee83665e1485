"""TLS to the warehouse: the certificate and its name are checked unless somebody said otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from loader.local.redshift import StandInConfig, StandInThread
from loader.local.redshift.config import Listen
from loader.warehouse.connection import connect
from loader.warehouse.errors import Refused
from loader.warehouse.sql import Table, TimeSpan
from tests.integration.warehouse.conftest import NAME, Warehouse
from tests.support.certificates import Authority


def test_verify_full_is_the_default_and_takes_the_right_certificate(
    warehouse: Warehouse, tls_stand_in: StandInThread, trusted: Path
) -> None:
    settings = warehouse(host=NAME, port=tls_stand_in.port)
    full = {key: value for key, value in settings.model_dump().items() if key != "sslmode"}
    session = connect(type(settings).model_validate(full))
    assert session._connection._usock.version() in {"TLSv1.2", "TLSv1.3"}
    rows = session.execute(TimeSpan(Table("pg_class", "pg_catalog"), "relname")).rows
    assert rows[0][0] > 0
    session.close()


def test_a_large_statement_and_answer_cross_it_whole(
    warehouse: Warehouse, tls_stand_in: StandInThread, trusted: Path
) -> None:
    session = connect(warehouse(host=NAME, port=tls_stand_in.port, sslmode="verify-full"))
    cursor = session._connection.cursor()
    text = "x" * 500_000
    cursor.execute(f"SELECT '{text}'")
    assert cursor.fetchone()[0] == text
    session.close()


def test_another_name_is_refused(
    warehouse: Warehouse, tls_stand_in: StandInThread, trusted: Path
) -> None:
    settings = warehouse(host="127.0.0.1", port=tls_stand_in.port, sslmode="verify-full")
    with pytest.raises(Refused, match=r"certificate is not for the name 127\.0\.0\.1") as raised:
        connect(settings)
    assert "verify-ca" in raised.value.hint
    connect(settings.model_copy(update={"sslmode": "verify-ca"})).close()


def test_an_unknown_authority_is_refused(warehouse: Warehouse, tls_stand_in: StandInThread) -> None:
    for sslmode in ("verify-full", "verify-ca"):
        settings = warehouse(host=NAME, port=tls_stand_in.port, sslmode=sslmode)
        with pytest.raises(Refused, match="is of nobody that is trusted here") as raised:
            connect(settings)
        assert "SSL_CERT_FILE" in raised.value.hint


def test_an_expired_certificate_is_refused(
    warehouse: Warehouse,
    stand_in_config: StandInConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    certificate, key = authority.server(NAME, expired=True)
    listen = Listen(certificate_file=certificate, private_key_file=key)
    with StandInThread(stand_in_config.model_copy(update={"listen": listen})) as stale:
        settings = warehouse(host=NAME, port=stale.port, sslmode="verify-full")
        with pytest.raises(Refused, match="certificate has expired"):
            connect(settings)


def test_a_server_without_tls_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(Refused, match="offers no TLS") as raised:
        connect(warehouse(host=NAME, sslmode="verify-full"))
    assert 'sslmode = "disable"' in raised.value.hint
