from __future__ import annotations

import pytest

from loader.errors import LoaderError, NeedsOperator, Unreachable
from loader.warehouse.errors import (
    ConnectionLost,
    LoadRefused,
    StatementRefused,
    TransactionConflict,
    classify,
    fields_of,
)
from loader.warehouse.load_errors import without_values

WHERE = "Redshift at h:1, database d"
BOX = """
  -----------------------------------------------
  error:  Spectrum Scan Error
  code:      15007
  context:   The length of the data column title is longer than the length defined in the
             table. Table: 512, Data: 600, File name: s3://b/k.parquet
  query:     17
  location:  dory_util.cpp:1509
  -----------------------------------------------
"""


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"C": "28000", "M": "password authentication failed"}, Unreachable),
        ({"C": "57P01", "M": "terminating connection"}, ConnectionLost),
        ({"C": "XX000", "M": "1023"}, TransactionConflict),
        ({"C": "XX000", "M": "1018"}, TransactionConflict),
        ({"C": "40001", "M": "could not serialize"}, TransactionConflict),
        ({"C": "XX000", "M": "deadlock detected"}, TransactionConflict),
        ({"C": "42P01", "M": 'relation "x1023" does not exist'}, StatementRefused),
        ({"C": "42501", "M": "permission denied for schema x"}, StatementRefused),
        ({"C": "XX000", "M": "Spectrum Scan Error: File not found"}, NeedsOperator),
        ({"C": "XX000", "M": "Spectrum Scan Error", "D": BOX}, LoadRefused),
    ],
)
def test_kinds(fields: dict[str, str], kind: type[LoaderError]) -> None:
    found = classify(fields, WHERE, "SELECT 1")
    assert type(found) is kind
    assert WHERE in found.message


def test_a_load_error_says_file_column_and_lengths() -> None:
    found = classify({"C": "XX000", "M": "Spectrum Scan Error", "D": BOX}, WHERE, "COPY x")
    assert (
        "The length of the data column title is longer than the length defined in the table. "
        "Table: 512, Data: 600, File name: s3://b/k.parquet"
    ) in found.message


def test_the_sqlstate_is_kept() -> None:
    found = classify({"C": "42701", "M": "already exists"}, WHERE, "ALTER")
    assert isinstance(found, StatementRefused)
    assert found.sqlstate == "42701"


def test_fields_of_a_driver_exception() -> None:
    assert fields_of(Exception({"C": "42601", "M": "m"})) == {"C": "42601", "M": "m"}
    assert fields_of(Exception("BrokenPipe: server socket closed")) == {}
    assert fields_of(Exception()) == {}


def test_values_in_load_errors_are_blotted_out() -> None:
    text = "Invalid digit, Value 'Mrs Smith', Pos 0, Type: Integer"
    assert without_values(text) == "Invalid digit, Value '***', Pos 0, Type: Integer"
