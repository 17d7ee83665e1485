"""Logging in: what the driver is given, through a tunnel or not, with a password or by IAM.

* ``max_prepared_statements=0``: a cached plan breaks after DDL of another session.
* The socket has a time limit until the login is done, and none afterwards: its expiry would leave a
  statement running and the stream out of step.
* A quiet connection is kept alive by TCP, since firewalls forget one after minutes, and a long COPY
  is quiet (AWS docs: troubleshooting connection issues in Amazon Redshift).
"""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from typing import Any, Final

import redshift_connector
from botocore.exceptions import BotoCoreError, ClientError
from pydantic import SecretStr
from redshift_connector.error import Error as DriverError

from loader import __version__, config
from loader.errors import UsageError
from loader.warehouse import login_errors
from loader.warehouse.tunnel import Tunnel

#: How the loader is called in stv_sessions and the connection log.
APPLICATION_NAME: Final = f"heap-loader/{__version__}"

# Seconds of silence before TCP asks, between questions, and questions without an answer.
_KEEPALIVE: Final = {
    "tcp_keepalive_idle": 60,
    "tcp_keepalive_interval": 20,
    "tcp_keepalive_count": 6,
}

# cluster.abc123.eu-central-1.redshift.amazonaws.com, workgroup.123456789012.eu-..-serverless...
_ENDPOINT: Final = re.compile(
    r"(?P<name>[^.]+)\.[^.]+\.(?P<region>[a-z0-9-]+)\.redshift(?P<serverless>-serverless)?\.amazonaws\.com"
    r"(\.cn)?"
)

# The driver logs its arguments and the statements at DEBUG.
logging.getLogger("redshift_connector").setLevel(logging.WARNING)


def place_of(settings: config.Warehouse) -> str:
    """The warehouse in messages."""
    tunnel = settings.ssh_tunnel
    via = f" through {tunnel.username}@{tunnel.host}:{tunnel.port}" if tunnel.host else ""
    return f"Redshift at {settings.host}:{settings.port}{via}, database {settings.database}"


def log_in(settings: config.Warehouse) -> tuple[Any, Tunnel | None]:
    """One try to open the driver's connection, in autocommit, and the tunnel that it goes through.

    Raises:
        Unreachable: nothing answers; may go better at another time.
        Refused: host key, certificate, user, password, database or AWS: no retry helps.
        UsageError: settings that do not go together, or a key file that cannot be used.
    """
    arguments = driver_arguments(settings)
    tunnel: Tunnel | None = None
    with contextlib.ExitStack() as undo:
        if settings.ssh_tunnel.host is not None:
            tunnel = Tunnel(
                settings.ssh_tunnel, settings.host, settings.port, settings.connect_timeout
            )
            undo.callback(tunnel.close)
            # The driver still checks the certificate against `host`.
            arguments["unix_sock"] = str(tunnel.path)
        else:
            arguments |= _KEEPALIVE
        try:
            with warnings.catch_warnings():
                # The driver's ssl.SSLContext() is spelt in a way that Python discourages.
                warnings.simplefilter("ignore", DeprecationWarning)
                connection = redshift_connector.connect(**arguments)
        except (DriverError, OSError, BotoCoreError, ClientError) as error:
            raise login_errors.explain(error, settings, place_of(settings), tunnel) from None
        # The driver offers one limit, for connecting and for all that follows.
        connection._usock.settimeout(None)
        connection.autocommit = True
        if tunnel is not None:
            tunnel.seal()
        undo.pop_all()
    return connection, tunnel


def driver_arguments(settings: config.Warehouse) -> dict[str, Any]:
    """What the driver is called with, but for how to get to the server.

    Raises:
        UsageError: settings that do not go together.
    """
    arguments: dict[str, Any] = {
        "host": settings.host,
        "port": settings.port,
        "database": settings.database,
        "ssl": settings.sslmode != "disable",
        "application_name": APPLICATION_NAME,
        "max_prepared_statements": 0,
        "tcp_keepalive": True,
        "timeout": settings.connect_timeout,
    }
    if settings.sslmode != "disable":
        # Left to its default, the driver only warns of a wrong name.
        arguments["sslmode"] = settings.sslmode
    if settings.authentication == "iam":
        return arguments | _iam(settings)
    return arguments | {
        "user": settings.user,
        "password": settings.password.get_secret_value(),
    }


def _iam(settings: config.Warehouse) -> dict[str, Any]:
    iam = settings.iam
    if settings.sslmode == "disable":
        raise UsageError(
            "warehouse.authentication is iam and warehouse.sslmode disable.",
            hint="A temporary password is never sent without TLS.",
        )
    if iam.profile is not None and iam.access_key_id is not None:
        raise UsageError("warehouse.iam has a profile and keys.", hint="Keep one of them.")
    if (iam.access_key_id is None) != (iam.secret_access_key is None):
        raise UsageError("warehouse.iam: access_key_id and secret_access_key go together.")
    endpoint = _ENDPOINT.fullmatch(settings.host)
    serverless = iam.workgroup is not None or bool(endpoint and endpoint["serverless"])
    name = endpoint["name"] if endpoint else None
    cluster = None if serverless else iam.cluster_identifier or name
    if cluster is None and not serverless:
        raise UsageError(
            f"warehouse.authentication is iam, and {settings.host} does not tell the cluster.",
            hint="Set warehouse.iam.cluster_identifier, or workgroup for Redshift Serverless.",
        )
    region = iam.region or (endpoint["region"] if endpoint else None)
    if region is None:
        raise UsageError(
            f"warehouse.authentication is iam, and {settings.host} does not tell the region.",
            hint="Set warehouse.iam.region.",
        )
    given: dict[str, Any] = {
        "iam": True,
        "cluster_identifier": cluster,
        "is_serverless": serverless,
        "serverless_work_group": (iam.workgroup or name) if serverless else None,
        "region": region,
        "profile": iam.profile,
        "access_key_id": iam.access_key_id,
        "secret_access_key": _text(iam.secret_access_key),
        "session_token": _text(iam.session_token),
        "db_user": None if iam.group_federation else iam.db_user or settings.user,
        "db_groups": list(iam.db_groups),
        "auto_create": iam.auto_create,
        "group_federation": iam.group_federation,
        "endpoint_url": iam.endpoint_url,
    }
    return {key: value for key, value in given.items() if value is not None}


def _text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()
