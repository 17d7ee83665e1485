"""Reflect a schema with sqlalchemy-redshift through both of its drivers; print JSON.

Argument: the schema.
"""

import json
import os
import sys

import sqlalchemy
from sqlalchemy.schema import CreateTable

schema = sys.argv[1]
PLAIN = {"redshift_connector": {"ssl": False}, "psycopg2": {"sslmode": "disable"}}
said = {}
for driver, arguments in PLAIN.items():
    url = sqlalchemy.URL.create(
        f"redshift+{driver}", username=os.environ["PGUSER"], password=os.environ["PGPASSWORD"],
        host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]),
        database=os.environ["PGDATABASE"],
    )  # fmt: skip
    engine = sqlalchemy.create_engine(url, connect_args=arguments)
    inspector = sqlalchemy.inspect(engine)
    named = sqlalchemy.MetaData()
    table = sqlalchemy.Table("keyed", named, schema=schema, autoload_with=engine)
    with engine.connect() as connection:
        counted = connection.execute(
            sqlalchemy.select(sqlalchemy.func.count()).select_from(
                sqlalchemy.Table("pageviews", named, schema=schema, autoload_with=engine)
            )
        ).scalar()
    said[driver] = {
        "schemas": inspector.get_schema_names(),
        "tables": sorted(inspector.get_table_names(schema=schema)),
        "views": sorted(inspector.get_view_names(schema=schema)),
        "columns": {
            name: [
                [column["name"], str(column["type"]), column["nullable"]]
                for column in inspector.get_columns(name, schema=schema)
            ]
            for name in ("users", "late")
        },
        "key": inspector.get_pk_constraint("keyed", schema=schema),
        "ddl": " ".join(str(CreateTable(table).compile(engine)).split()),
        "counted": counted,
    }
    engine.dispose()
print("RESULT " + json.dumps(said))
