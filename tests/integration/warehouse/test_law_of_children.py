"""What another process sends is held against the law by the server's own log."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid

from loader.local.environment import Environment
from tests.support.law import Watch

PROGRAM = """
import json, sys
import redshift_connector
server, label = json.load(sys.stdin), sys.argv[1]
with redshift_connector.connect(ssl=False, **server) as connection:
    connection.autocommit = True
    cursor = connection.cursor()
    for statement in (
        f"SET query_group TO '{label}'",
        "BEGIN",
        'CREATE TEMPORARY TABLE "t" ("a" BIGINT)',
        'ANALYZE "t"',
        "SELECT count(*) FROM svv_table_info",
        "SELECT '" + "x" * 500 + "'",
        "COMMIT",
        'TRUNCATE "t"',
    ):
        cursor.execute(statement)
"""


def test_a_breach_in_another_process_is_seen(environment: Environment) -> None:
    server = environment.redshift
    place = {
        "host": server.host,
        "port": server.port,
        "database": server.database,
        "user": server.user,
        "password": server.password,
    }
    label, watch = f"child-{uuid.uuid4().hex[:8]}", Watch()
    program = [sys.executable, "-c", PROGRAM, label]
    subprocess.run(program, input=json.dumps(place), text=True, check=True, timeout=60)
    assert watch.ask(environment, label) == 7
    assert [line.split(":")[0] for line in watch.broken] == [
        "a superuser's view",
        "TRUNCATE commits the transaction",
    ]
