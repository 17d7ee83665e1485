"""A boto3 client in memory whose answers get lost: for the store's retries and the commit protocol.

It stands for S3, not for our store: conditional puts answer 412, a fault may come before the
effect (503, 409, a refused connection) or after it (the answer is lost).
"""

from __future__ import annotations

import datetime as dt
import io
import random
from typing import Any

from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError


class NoSuchKey(ClientError):
    """What boto3 raises for an absent key."""


class FaultyS3:
    """One bucket.

    Args:
        rng: decides where faults strike.
        rate: share of requests that fail once, 0 to below 1.
    """

    class exceptions:  # noqa: N801 - boto3's own name
        """As on a real client."""

        NoSuchKey = NoSuchKey

    def __init__(self, rng: random.Random, rate: float) -> None:
        self.objects: dict[str, bytes] = {}
        self.lost_answers = 0
        self._rng = rng
        self._rate = rate

    def put_object(self, **request: Any) -> dict[str, Any]:
        """PutObject, with ``IfNoneMatch`` where asked."""
        self._before()
        key = request["Key"]
        if request.get("IfNoneMatch") == "*" and key in self.objects:
            raise _error("PreconditionFailed", 412)
        self.objects[key] = bytes(request["Body"])
        self._after()
        return {}

    def get_object(self, **request: Any) -> dict[str, Any]:
        """GetObject."""
        self._before()
        try:
            return {"Body": io.BytesIO(self.objects[request["Key"]])}
        except KeyError:
            raise NoSuchKey({"Error": {"Code": "NoSuchKey"}}, "GetObject") from None

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        """ListObjectsV2, in small pages."""
        self._before()
        prefix = request["Prefix"]
        after = request.get("ContinuationToken") or request.get("StartAfter", "")
        keys = sorted(k for k in self.objects if k.startswith(prefix) and k > after)
        page, more = keys[:7], len(keys) > 7
        now = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
        return {
            "Contents": [
                {"Key": key, "Size": len(self.objects[key]), "LastModified": now} for key in page
            ],
            "IsTruncated": more,
            **({"NextContinuationToken": page[-1]} if more else {}),
        }

    def delete_objects(self, **request: Any) -> dict[str, Any]:
        """DeleteObjects: silent about keys that are not there."""
        self._before()
        for entry in request["Delete"]["Objects"]:
            self.objects.pop(entry["Key"], None)
        self._after()
        return {}

    def _before(self) -> None:
        if self._rng.random() < self._rate:
            raise self._rng.choice(
                [
                    _error("SlowDown", 503),
                    _error("ConditionalRequestConflict", 409),
                    EndpointConnectionError(endpoint_url="http://s3"),
                ]
            )

    def _after(self) -> None:
        if self._rng.random() < self._rate:
            self.lost_answers += 1
            raise ReadTimeoutError(endpoint_url="http://s3")


def _error(code: str, status: int) -> ClientError:
    response: Any = {
        "Error": {"Code": code},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, "S3")
