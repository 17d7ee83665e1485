"""The Redshift stand-in as a part of the stack: ``python -m loader.local.redshift``."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import redshift_connector
from redshift_connector.error import Error as RedshiftError

from loader.local import postgres
from loader.local.object_server import REGION
from loader.local.parts import NotReady, Place, Progress
from loader.local.ports import HOST
from loader.local.processes import Launch

NAME = "redshift"
DATABASE = "dev"
USER = "heap"
SCHEMA = "main_production"


class StandIn:
    """The proxy that makes the stack's PostgreSQL answer as Redshift does."""

    name = NAME
    port_names: tuple[str, ...] = ("redshift",)
    stop_signal = int(signal.SIGTERM)
    grace = 10.0

    def prepare(self, place: Place, mark: str, progress: Progress) -> None:
        """Nothing: it makes its database at its own start."""

    def launch(self, place: Place) -> Launch:
        """Run it; its secrets are in a file, never among its arguments."""
        config = place.home / "standin.json"
        document = {
            "listen": {"host": HOST, "port": place.ports["redshift"]},
            "backend": {
                "host": HOST,
                "port": place.ports["postgres"],
                "user": postgres.USER,
                "database": DATABASE,
            },
            "login": {"user": USER, "password": place.state.warehouse_password},
            "s3": {
                "endpoint_url": f"http://{HOST}:{place.ports['s3']}",
                "access_key_id": place.state.access_key_id,
                "secret_access_key": place.state.secret_access_key,
                "region": REGION,
            },
            # Absent until somebody wants faults (docs/stand-in.md).
            "control_file": str(place.home / "faults.json"),
        }
        return Launch(
            argv=(sys.executable, "-P", "-m", "loader.local.redshift", "--config", str(config)),
            cwd=place.home,
            env={"PYTHONPATH": str(Path(__file__).resolve().parents[2])},
            files={config: json.dumps(document, indent=2)},
        )

    def check(self, place: Place) -> None:
        """Log in with our password, which no other server knows, through the real driver."""
        try:
            with redshift_connector.connect(
                host=HOST,
                port=place.ports["redshift"],
                database=DATABASE,
                user=USER,
                password=place.state.warehouse_password,
                ssl=False,
                timeout=5,
            ) as connection:
                connection.autocommit = True
                cursor = connection.cursor()
                cursor.execute("SELECT 1")
                cursor.fetchall()
        except (RedshiftError, OSError) as error:
            where = f"{HOST}:{place.ports['redshift']}"
            raise NotReady(f"the stand-in on {where}: {type(error).__name__}") from None

    def settle(self, place: Place) -> None:
        """Nothing: the loader makes its schema at its first sync."""

    def sweep(self, place: Place) -> None:
        """Nothing: all it leaves is at home."""

    def address(self, place: Place) -> str:
        """``127.0.0.1:PORT``."""
        return f"{HOST}:{place.ports['redshift']}"
