"""What a login that fails says: the address, the network, the password, AWS. And what one asks for."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from loader import config
from loader.errors import LoaderError, Unreachable, UsageError
from loader.local.environment import Environment
from loader.local.redshift import StandInThread
from loader.warehouse import login
from loader.warehouse.connection import connect
from loader.warehouse.errors import Refused, StatementRefused
from loader.warehouse.sql import Rendered
from tests.integration.warehouse.conftest import NAME, Warehouse


class Ask:
    """Any SQL, for a test's own questions."""

    def __init__(self, text: str) -> None:
        self.text = text

    def render(self) -> Rendered:
        return Rendered(self.text, (), self.text)


def failure(settings: config.Warehouse) -> LoaderError:
    with pytest.raises(LoaderError) as raised:
        login.log_in(settings)
    return raised.value


def test_no_such_host(warehouse: Warehouse) -> None:
    # A label of 63 characters and a reserved top-level domain: no name server knows it.
    found = failure(warehouse(host=f"{'x' * 63}.invalid"))
    assert isinstance(found, Unreachable)
    assert "there is no such host" in found.message
    assert "warehouse.host" in found.hint


@pytest.mark.parametrize(
    "host", ["", "https://x.example", "x.example:5439", "x/y", "a..b", "a b", "x" * 64]
)
def test_a_host_that_is_none(warehouse: Warehouse, host: str) -> None:
    with pytest.raises(ValueError, match="a host is a name or an address"):
        warehouse(host=host)


def test_refused(warehouse: Warehouse) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    found = failure(warehouse(port=port))
    assert isinstance(found, Unreachable)
    assert f"127.0.0.1:{port}" in found.message
    assert "nothing listens there" in found.message
    assert "paused" in found.hint


def test_silence(warehouse: Warehouse) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        found = failure(warehouse(port=port, connect_timeout=0.2))
    assert isinstance(found, Unreachable)
    assert "does not answer within 0.2 s" in found.message
    assert "security group" in found.hint


def test_hung_up(warehouse: Warehouse) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        found = failure(warehouse(port=server.getsockname()[1]))
        thread.join()
    assert isinstance(found, Unreachable)
    assert "cannot be reached" in found.message


def test_wrong_password_user_and_database(warehouse: Warehouse, environment: Environment) -> None:
    for wrong in ({"password": "hunter2"}, {"user": "nobody_such"}):
        found = failure(warehouse(**wrong))
        assert isinstance(found, Refused)
        assert found.exit_code == 4
        assert "password authentication failed for user" in found.message
        assert "warehouse.password" in found.hint
        assert "hunter2" not in str(found)
        assert environment.redshift.password not in str(found)
    found = failure(warehouse(database="no_such_db"))
    assert isinstance(found, Refused)
    assert 'database "no_such_db" does not exist' in found.message
    assert found.hint == "Check warehouse.database."


def test_a_session_carries_its_label_limit_and_slots(warehouse: Warehouse) -> None:
    settings = warehouse(query_group="it's ours", statement_timeout="2m", query_slots=3)
    session = connect(settings)
    shown = {
        name: session.execute(Ask(f"SHOW {name}")).rows[0][0]
        for name in ("query_group", "statement_timeout", "wlm_query_slot_count")
    }
    assert shown == {
        "query_group": "it's ours",
        "statement_timeout": "2min",
        "wlm_query_slot_count": "3",
    }
    name = session.execute(Ask("SHOW application_name")).rows[0][0]
    assert name == login.APPLICATION_NAME
    # The limit is the server's: ours ended with the login.
    assert session._connection._usock.gettimeout() is None
    assert session._connection.max_prepared_statements == 0
    session.close()


def test_a_statement_over_its_limit_is_ended_by_the_server(warehouse: Warehouse) -> None:
    session = connect(warehouse(statement_timeout="50ms", connect_timeout=5))
    many = "SELECT count(*) FROM pg_class a, pg_class b, pg_class c, pg_class d"
    with pytest.raises(StatementRefused, match="A time limit") as raised:
        session.execute(Ask(many))
    assert raised.value.sqlstate == "57014"
    # An answered error: the session goes on.
    assert session.execute(Ask("SELECT 1")).rows == ((1,),)
    session.close()


class Aws(BaseHTTPRequestHandler):
    """The one answer of AWS's Redshift API that a login needs: GetClusterCredentials."""

    asked: list[dict[str, str]] = []  # noqa: RUF012 - cleared by its fixture
    answer: tuple[int, str] = (500, "")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        call = {key: values[0] for key, values in parse_qs(body).items()}
        call["signed_by"] = self.headers["Authorization"].split("Credential=")[1].split("/")[0]
        self.asked.append(call)
        status, text = self.answer
        if "CustomDomainName" in call:
            # The driver takes a host that is no endpoint of AWS's for one, and then asks by cluster.
            status, text = 404, error("CustomDomainAssociationNotFoundFault", "none")
        self.send_response(status)
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def error(code: str, message: str) -> str:
    return (
        f"<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error>"
        "</ErrorResponse>"
    )


def credentials(user: str, password: str) -> str:
    until = (datetime.now(UTC) + timedelta(minutes=15)).isoformat()
    return (
        "<GetClusterCredentialsResponse><GetClusterCredentialsResult>"
        f"<DbUser>{user}</DbUser><DbPassword>{password}</DbPassword><Expiration>{until}</Expiration>"
        "</GetClusterCredentialsResult></GetClusterCredentialsResponse>"
    )


@pytest.fixture
def aws() -> Iterator[str]:
    """The address of a stand-in for AWS's API."""
    Aws.asked.clear()
    with HTTPServer(("127.0.0.1", 0), Aws) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def by_iam(
    warehouse: Warehouse, tls_stand_in: StandInThread, trusted: Path, aws: str
) -> Callable[..., config.Warehouse]:
    def make(**changes: Any) -> config.Warehouse:
        iam = {
            "cluster_identifier": "analytics",
            "region": "eu-central-1",
            "access_key_id": "AKIAEXAMPLE",
            "secret_access_key": "iam-secret",
            "endpoint_url": aws,
            **changes,
        }
        return warehouse(
            host=NAME,
            port=tls_stand_in.port,
            sslmode="verify-full",
            authentication="iam",
            password="",
            iam=iam,
        )

    return make


def test_iam_logs_in_with_a_temporary_password(
    by_iam: Callable[..., config.Warehouse], environment: Environment
) -> None:
    Aws.answer = 200, credentials(environment.redshift.user, environment.redshift.password)
    session = connect(by_iam(db_user="loader_1", db_groups=["etl"], auto_create=True))
    assert session.execute(Ask("SELECT 1")).rows == ((1,),)
    session.close()
    (asked,) = [call for call in Aws.asked if "ClusterIdentifier" in call]
    assert asked["DbUser"] == "loader_1"
    assert asked["DbName"] == environment.redshift.database
    assert asked["ClusterIdentifier"] == "analytics"
    assert asked["AutoCreate"] == "true"
    assert "etl" in asked.values()
    assert asked["signed_by"] == "AKIAEXAMPLE"


@pytest.mark.parametrize(
    ("answer", "says", "hint"),
    [
        ((403, error("AccessDenied", "not authorized")), "AccessDenied", "GetClusterCredentials"),
        (
            (404, error("ClusterNotFound", "no such cluster")),
            "ClusterNotFound",
            "cluster_identifier",
        ),
    ],
)
def test_iam_that_is_refused_says_why(
    by_iam: Callable[..., config.Warehouse], answer: tuple[int, str], says: str, hint: str
) -> None:
    Aws.answer = answer
    found = failure(by_iam(db_user=f"loader_{says}"))
    assert isinstance(found, Refused)
    assert says in found.message
    assert hint in found.hint
    assert "iam-secret" not in str(found)


def test_iam_without_credentials_or_with_an_unknown_profile(
    by_iam: Callable[..., config.Warehouse], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    none = {"access_key_id": None, "secret_access_key": None}
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    found = failure(by_iam(**none))
    assert isinstance(found, Refused)
    assert "AWS credentials for a temporary password" in found.message
    found = failure(by_iam(**none, profile="no-such-profile"))
    assert isinstance(found, Refused)
    assert "no-such-profile" in found.message


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"cluster_identifier": None}, "does not tell the cluster"),
        ({"region": None}, "does not tell the region"),
        ({"profile": "x"}, "a profile and keys"),
        ({"secret_access_key": None}, "go together"),
    ],
)
def test_iam_settings_that_do_not_go_together(
    by_iam: Callable[..., config.Warehouse], changes: dict[str, Any], says: str
) -> None:
    found = failure(by_iam(**changes))
    assert isinstance(found, UsageError)
    assert says in found.message


def test_iam_never_without_tls(by_iam: Callable[..., config.Warehouse]) -> None:
    found = failure(by_iam().model_copy(update={"sslmode": "disable"}))
    assert isinstance(found, UsageError)
    assert "never sent without TLS" in found.hint


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (
            "analytics.abc123xyz.eu-central-1.redshift.amazonaws.com",
            {"cluster_identifier": "analytics", "region": "eu-central-1", "is_serverless": False},
        ),
        (
            "loads.123456789012.us-west-2.redshift-serverless.amazonaws.com",
            {"serverless_work_group": "loads", "region": "us-west-2", "is_serverless": True},
        ),
        (
            "c1.abc.cn-north-1.redshift.amazonaws.com.cn",
            {"cluster_identifier": "c1", "region": "cn-north-1", "is_serverless": False},
        ),
    ],
)
def test_an_endpoint_tells_cluster_and_region(host: str, expected: dict[str, Any]) -> None:
    settings = config.Warehouse.model_validate({"host": host, "authentication": "iam"})
    arguments = login.driver_arguments(settings)
    assert expected.items() <= arguments.items()
    assert "password" not in arguments
