"""The one owner of driver connections: how they are opened, and when they are thrown away.

* ``max_prepared_statements=0``: a cached plan breaks after DDL of another session.
* No socket timeout: its expiry leaves the statement running and the stream out of step.
* After any exception that is not an answered error the connection is closed: the driver may be one
  response behind, and would give the previous statement's answer to the next one.
"""

from __future__ import annotations

import contextlib
import logging
from typing import Any, Final

import redshift_connector
from redshift_connector.error import Error as DriverError

from loader import config
from loader.errors import LoaderError, Terminal, Transient, Unreachable
from loader.logs import retried
from loader.warehouse import errors
from loader.warehouse.session import Answer, Observer
from loader.warehouse.sql import SetQueryGroup, Statement

#: How the loader's queries are labelled in the server's history.
QUERY_GROUP: Final = "heap-loader"

# The driver logs its start-up parameters and statements at DEBUG.
logging.getLogger("redshift_connector").setLevel(logging.WARNING)


class _LoginRefused(Terminal):
    """Wrong credentials: no retry helps, and the dependency cannot be used."""

    exit_code = Unreachable.exit_code


class RedshiftSession:
    """A connection in autocommit. Not safe for threads.

    Args:
        connection: the driver's.
        where: ``host:port/database``, for messages.
        observer: sees each statement before it is sent.
    """

    def __init__(self, connection: Any, where: str, observer: Observer | None) -> None:
        self._connection = connection
        self._where = where
        self._observer = observer

    def execute(self, statement: Statement) -> Answer:
        """See :class:`~loader.warehouse.session.Session`."""
        if self._connection is None:
            raise errors.ConnectionLost(f"{self._where}: the connection is closed.")
        rendered = statement.render()
        if self._observer is not None:
            self._observer(statement, rendered.shown)
        cursor = self._connection.cursor()
        try:
            # No parameters must be no argument at all: only then is the text sent as it stands.
            if rendered.parameters:
                cursor.execute(rendered.text, rendered.parameters)
            else:
                cursor.execute(rendered.text)
            rows = () if cursor.description is None else tuple(map(tuple, cursor.fetchall()))
            return Answer(rows, cursor.rowcount)
        except DriverError as error:
            fields = errors.fields_of(error)
            if not fields:
                self.close()
                raise errors.ConnectionLost(
                    f"{self._where}: the connection was lost ({type(error).__name__})."
                ) from None
            found = errors.classify(fields, self._where, rendered.shown)
            if isinstance(found, errors.ConnectionLost):
                self.close()
            raise found from None
        except OSError as error:
            self.close()
            raise errors.ConnectionLost(
                f"{self._where}: the connection was lost ({type(error).__name__})."
            ) from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """See :class:`~loader.warehouse.session.Session`."""
        connection, self._connection = self._connection, None
        if connection is not None:
            # The server drops what was open, whether or not our goodbye arrives.
            with contextlib.suppress(DriverError, OSError):
                connection.close()


def connect(settings: config.Warehouse, observer: Observer | None = None) -> RedshiftSession:
    """Open a session, trying again within bounds.

    Raises:
        Unreachable: nothing answers at ``host:port`` after bounded retries.
        Terminal: the login is refused (exit status 4 too), or the database is not there.
    """
    session = retried(lambda: _connect(settings, observer))
    session.execute(SetQueryGroup(QUERY_GROUP))
    return session


def _connect(settings: config.Warehouse, observer: Observer | None) -> RedshiftSession:
    where = f"Redshift at {settings.host}:{settings.port}, database {settings.database}"
    try:
        connection = redshift_connector.connect(
            host=settings.host,
            port=settings.port,
            database=settings.database,
            user=settings.user,
            password=settings.password.get_secret_value(),
            ssl=settings.ssl,
            application_name=QUERY_GROUP,
            max_prepared_statements=0,
            tcp_keepalive=True,
        )
    except DriverError as error:
        raise _explain(error, where) from None
    except OSError as error:
        raise _unreachable(where, type(error).__name__) from None
    connection.autocommit = True
    return RedshiftSession(connection, where, observer)


def _explain(error: BaseException, where: str) -> LoaderError:
    fields = errors.fields_of(error)
    if not fields:
        text = " ".join(map(str, error.args))
        if "CERTIFICATE" in text.upper() or "SSL" in text:
            return Terminal(
                f"{where}: no TLS connection: {text}.",
                hint="A laptop's stand-in has warehouse.ssl = false; a cluster has a certificate.",
            )
        return _unreachable(where, type(error).__name__)
    if fields.get("C") == "3D000":
        return _LoginRefused(f"{where}: {fields.get('M')}.", hint="Check warehouse.database.")
    found = errors.classify(fields, where, "login")
    if isinstance(found, Unreachable):
        return _LoginRefused(found.message, hint=found.hint)
    return _unreachable(where, found.message) if isinstance(found, Transient) else found


def _unreachable(where: str, why: str) -> Unreachable:
    return Unreachable(
        f"{where} cannot be reached: {why}.", hint="Is it up, and the address right?"
    )
