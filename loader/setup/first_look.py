"""The first look at the warehouse: is the schema free, and where does the cluster see us come from?"""

from __future__ import annotations

import socket
from contextlib import closing
from dataclasses import dataclass

from loader import config
from loader.doctor.examine import seen_from
from loader.doctor.warehouse_rights import Asking, standing_in
from loader.errors import NeedsOperator
from loader.model.tables import SYNC_LEDGER
from loader.warehouse.connection import connect
from loader.warehouse.probes import WhoAmI


@dataclass(frozen=True, slots=True)
class FirstLook:
    """What the cluster says.

    Attributes:
        user: who we are there.
        seen_from: the address to let in, or how a superuser asks for it.
        continued: whether the schema is there already and is the loader's.
    """

    user: str
    seen_from: str
    continued: bool


def first_look(settings: config.Warehouse) -> FirstLook:
    """Log in and look; changes nothing.

    Raises:
        NeedsOperator: the schema is somebody else's.
        LoaderError: see :func:`loader.warehouse.connection.connect`.
    """
    schema = settings.db_schema
    with closing(connect(settings)) as session:
        user, database, process, _ = session.execute(WhoAmI()).rows[0]
        standing = standing_in(Asking(session, str(user), str(database), schema))
        if standing.objects and SYNC_LEDGER not in standing.objects:
            raise NeedsOperator(
                f"The schema {schema} exists and is somebody else's: it holds "
                f"{', '.join(standing.foreign[:5])}.",
                hint="Choose a schema that does not exist yet; it is made at the first sync.",
            )
        return FirstLook(
            str(user), seen_from(session, int(process)), SYNC_LEDGER in standing.objects
        )


def own_address(host: str, port: int) -> str:
    """The address of this machine that leads to a host. Behind NAT the other side sees another one."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[
            0
        ]
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)  # of a datagram socket: nothing is sent
            return str(probe.getsockname()[0])
    except OSError:
        return "unknown"
