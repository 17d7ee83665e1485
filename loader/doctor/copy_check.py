"""Whether COPY reads the lake: a small Parquet file is put there, copied, and taken away again."""

from __future__ import annotations

import io
import re
import uuid
from typing import Final

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from loader import config
from loader.doctor.report import Check, State
from loader.doctor.warehouse_rights import AREA, PROBE, SUPERUSER, Asking, attempt
from loader.lake.store import ObjectStore
from loader.model.tables import bigint
from loader.warehouse import grants
from loader.warehouse.credentials import CopyAuthorization, copy_authorization
from loader.warehouse.ddl import CreateStage
from loader.warehouse.dml import Copy
from loader.warehouse.sql import Table

NAME: Final = "COPY from the lake"

_NO_ROLE: Final = re.compile(r"assume|not authorized to get credentials|assumerole", re.IGNORECASE)
_DENIED: Final = re.compile(r"Access ?Denied|403|Forbidden|InvalidAccessKey|SignatureDoesNotMatch")


def copy_check(settings: config.Settings, store: ObjectStore, asking: Asking) -> Check:
    """COPY of one row into a temporary table, rolled back.

    Raises:
        UsageError: COPY has no credentials, or two kinds of them.
        LoaderError: the lake cannot be written.
    """
    authorization = copy_authorization(settings)
    folder = f"_probe/{uuid.uuid4().hex}"
    keys = [f"{folder}.parquet", f"{folder}.json"]
    body = _file()
    entry = {
        "url": f"{store.url}/{keys[0]}",
        "mandatory": True,
        "meta": {"content_length": len(body)},
    }
    stage = CreateStage(PROBE, (bigint("user_id"),), None, "user_id")
    try:
        store.put(keys[0], body)
        store.put(keys[1], orjson.dumps({"entries": [entry]}))
        url = f"{store.url}/{keys[1]}"
        copy = Copy(Table(PROBE), ("user_id",), url, authorization)
        if (refusal := attempt(asking.session, [stage])) is not None:
            return Check(AREA, NAME, State.UNKNOWN, "There are no temporary tables to try it with.")
        refusal = attempt(asking.session, [stage, copy])
    finally:
        store.delete(keys)
    if refusal is None:
        return Check(AREA, NAME, State.OK)
    remedy, runs = _remedy(refusal.message, authorization, settings.lake.url, asking.user)
    return Check(AREA, NAME, State.MISSING, refusal.message, remedy, runs)


def _file() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"user_id": pa.array([1], pa.int64())}), sink)
    return sink.getvalue()


def _remedy(
    text: str, authorization: CopyAuthorization, lake: str, user: str
) -> tuple[tuple[str, ...], str]:
    bucket, _, prefix = lake.removeprefix("s3://").partition("/")
    resource = f"arn:aws:s3:::{bucket}/{prefix + '/' if prefix else ''}*"
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": [resource]},
            {
                "Effect": "Allow",
                "Action": ["s3:ListBucket"],
                "Resource": [f"arn:aws:s3:::{bucket}"],
            },
        ],
    }
    allow = f"Policy: {orjson.dumps(policy).decode()}"
    role = authorization.iam_role
    if role is not None and _NO_ROLE.search(text):
        own = () if role == "default" else (grants.copy_role(role, user),)
        attach = (
            "Attach the role to the cluster (ModifyClusterIamRoles), and let redshift.amazonaws.com "
            "assume it."
        )
        return (*own, attach), f"{SUPERUSER}; an administrator in AWS"
    if _DENIED.search(text):
        whom = f"the role {role}" if role else f"the key {authorization.access_key_id}"
        return (f"Let {whom} read the lake.", allow), "an administrator in AWS"
    return (), ""
