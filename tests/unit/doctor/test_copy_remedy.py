"""What mends a COPY that may not read the lake, by what the server said."""

from __future__ import annotations

import pytest

from loader.doctor.copy_check import _remedy
from loader.warehouse.credentials import CopyAuthorization

ROLE = "arn:aws:iam::123456789012:role/redshift-reads"


@pytest.mark.parametrize(
    "text",
    [
        f"Not authorized to get credentials of role {ROLE}",
        f"User heap is not authorized to assume IAM Role {ROLE}",
        f'permission denied: ASSUMEROLE privilege on "{ROLE}"',
    ],
)
def test_a_role_that_may_not_be_taken(text: str) -> None:
    remedy, runs = _remedy(text, CopyAuthorization(iam_role=ROLE), "s3://lake/prod", "heap")
    assert remedy[0] == f"GRANT ASSUMEROLE ON '{ROLE}' TO \"heap\" FOR COPY;"
    assert "Attach the role to the cluster" in remedy[1]
    assert "superuser" in runs
    assert "AWS" in runs


def test_the_default_role_has_no_name_to_grant() -> None:
    remedy, _ = _remedy(
        "not authorized to assume", CopyAuthorization(iam_role="default"), "s3://lake", "heap"
    )
    assert not any("GRANT" in line for line in remedy)


@pytest.mark.parametrize(
    ("lake", "resource"),
    [("s3://lake/prod", "arn:aws:s3:::lake/prod/*"), ("s3://lake", "arn:aws:s3:::lake/*")],
)
def test_a_role_that_may_not_read(lake: str, resource: str) -> None:
    text = "S3ServiceException:Access Denied,Status 403,Error AccessDenied"
    remedy, runs = _remedy(text, CopyAuthorization(iam_role=ROLE), lake, "heap")
    assert remedy[0] == f"Let the role {ROLE} read the lake."
    assert f'"Resource":["{resource}"]' in remedy[1]
    assert '"Resource":["arn:aws:s3:::lake"]' in remedy[1]
    assert runs == "an administrator in AWS"


def test_another_fault_is_left_to_its_own_words() -> None:
    assert _remedy("Disk Full", CopyAuthorization(iam_role=ROLE), "s3://lake", "heap") == ((), "")
