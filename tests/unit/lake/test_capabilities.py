"""A store without conditional writes is refused before anything is written, and the capability is named."""

from __future__ import annotations

import random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from loader.errors import NeedsOperator
from loader.lake.s3 import S3Store
from tests.support.faulty_s3 import FaultyS3


class Deaf(FaultyS3):
    """S3 of a server that does not know the header, and overwrites."""

    def put_object(self, **request: Any) -> dict[str, Any]:
        request.pop("IfNoneMatch", None)
        return super().put_object(**request)


class Unwilling(FaultyS3):
    """S3 of a server that knows that it cannot."""

    def put_object(self, **request: Any) -> dict[str, Any]:
        if "IfNoneMatch" in request:
            answer: Any = {
                "Error": {"Code": "NotImplemented"},
                "ResponseMetadata": {"HTTPStatusCode": 501},
            }
            raise ClientError(answer, "PutObject")
        return super().put_object(**request)


def store(kind: type[FaultyS3]) -> S3Store:
    client: Any = kind(random.Random(0), 0.0)
    return S3Store(client, "bucket", "lake", "http://s3")


@pytest.mark.parametrize("kind", [Deaf, Unwilling])
def test_a_store_that_cannot_is_refused_by_name(kind: type[FaultyS3]) -> None:
    with pytest.raises(NeedsOperator, match=r"conditional writes .*If-None-Match") as refused:
        store(kind).check_conditional_writes()
    assert "s3://bucket/lake at http://s3" in refused.value.message
    assert refused.value.hint


def test_one_that_can_is_taken_and_keeps_no_probe() -> None:
    able = store(FaultyS3)
    able.check_conditional_writes()
    assert list(able.scan("")) == []
