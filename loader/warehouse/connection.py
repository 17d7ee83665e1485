"""The one owner of driver connections: how statements are sent, and when a connection is thrown away.

After any exception that is not an answered error the connection is closed, with its tunnel: the
driver may be one response behind, and would give the previous statement's answer to the next one.
"""

from __future__ import annotations

import contextlib
from typing import Any

from redshift_connector.error import Error as DriverError

from loader import config
from loader.logs import retried
from loader.warehouse import errors
from loader.warehouse.login import log_in, place_of
from loader.warehouse.session import Answer, Observer
from loader.warehouse.session_settings import session_settings
from loader.warehouse.sql import Statement
from loader.warehouse.tunnel import Tunnel


class RedshiftSession:
    """A connection in autocommit. Not safe for threads.

    Args:
        connection: the driver's.
        where: ``host:port/database``, for messages.
        observer: sees each statement before it is sent.
        tunnel: what the connection goes through; it ends with the session.
    """

    def __init__(
        self, connection: Any, where: str, observer: Observer | None, tunnel: Tunnel | None = None
    ) -> None:
        self._connection = connection
        self._tunnel = tunnel
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
        tunnel, self._tunnel = self._tunnel, None
        if tunnel is not None:
            tunnel.close()


def connect(settings: config.Warehouse, observer: Observer | None = None) -> RedshiftSession:
    """Open a session, through the tunnel where there is one, trying again within bounds.

    Raises:
        Unreachable: nothing answers at ``host:port``, or the bastion does not, after bounded retries.
        Refused: host key, certificate, user, password, database or AWS do not let us in.
        UsageError: settings that do not go together, or a key file that cannot be used.
    """
    return retried(lambda: _connect(settings, observer))


def _connect(settings: config.Warehouse, observer: Observer | None) -> RedshiftSession:
    connection, tunnel = log_in(settings)
    session = RedshiftSession(connection, place_of(settings), observer, tunnel)
    try:
        for statement in session_settings(settings):
            session.execute(statement)
    except BaseException:
        session.close()
        raise
    return session
