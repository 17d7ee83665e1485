"""Copy a frame in with awswrangler (overwrite, append, upsert), read it back; print JSON.

Argument: the schema.
"""

import json
import os
import sys

import awswrangler
import boto3
import pandas
import redshift_connector

schema = sys.argv[1]
bucket = os.environ["S3_BUCKET"]
awswrangler.config.s3_endpoint_url = os.environ["S3_ENDPOINT"]
session = boto3.Session()
connection = redshift_connector.connect(
    host=os.environ["PGHOST"], port=int(os.environ["PGPORT"]), database=os.environ["PGDATABASE"],
    user=os.environ["PGUSER"], password=os.environ["PGPASSWORD"], ssl=False,
)  # fmt: skip


def copy(frame, mode, **options):
    awswrangler.redshift.copy(
        df=frame, path=f"s3://{bucket}/awswrangler/{schema}/", con=connection, schema=schema,
        table="frame", mode=mode, boto3_session=session, primary_keys=["id"], **options,
    )  # fmt: skip


first = pandas.DataFrame({
    "id": [1, 2, 3],
    "name": ["a", "ö", None],
    "at": pandas.to_datetime(["2026-01-01 10:00:00.123456", "2026-01-02 00:00:00.5", None]),
    "share": [0.5, -0.0, None],
})  # fmt: skip
copy(first, "overwrite", sortkey=["at"], sortstyle="COMPOUND", diststyle="KEY", distkey="id")
copy(first[first.id == 3].assign(id=4), "append")
copy(pandas.DataFrame({"id": [2, 5], "name": ["b", "e"], "at": [None, None], "share": [1.0, 2.0]})
     .astype({"at": "datetime64[us]"}), "upsert")  # fmt: skip
frame = awswrangler.redshift.read_sql_query(
    f'SELECT id, name, "at"::varchar AS "at", share FROM {schema}.frame ORDER BY id', connection
)
said = {"rows": json.loads(frame.to_json(orient="values"))}
print("RESULT " + json.dumps(said))
