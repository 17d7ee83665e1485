"""Names from data: always safe identifiers, never two for one, never one for two by accident."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loader.model.names import MAX_IDENTIFIER_BYTES, column_name, schema_name, table_name

SAFE = re.compile(r"[a-z0-9_]{1,127}")


@pytest.mark.parametrize(
    ("name", "category", "expected"),
    [
        ("Sign Up - Click Link", None, "sign_up_click_link"),
        ("Success Login", "Profile Events", "profile_events_success_login"),
        ("View any page", "Global", "global_view_any_page"),
        ("  ---Trimmed!--- ", None, "trimmed"),
    ],
)
def test_a_table_is_the_snake_case_of_category_and_name(
    name: str, category: str | None, expected: str
) -> None:
    assert table_name(name, category) == expected


@pytest.mark.parametrize(
    ("prop", "expected"),
    [
        ("createdAt", "createdat"),
        ("created_at", "created_at"),
        ("Platform Type (OS)", "platform_type_os_"),
        ("App Type?", "app_type_"),
        ("Tate's", "tate_s"),
        ("%20", "20"),
        ("_sm_au_", "sm_au_"),
        ("solution name<script>alert(8)</script>", "solution_name_script_alert_8_script_"),
    ],
)
def test_a_column_is_named_as_the_original_names_it(prop: str, expected: str) -> None:
    assert column_name(prop) == expected


def test_a_property_named_like_a_built_in_column_gets_an_underscore() -> None:
    taken = frozenset({"email", "country"})
    assert column_name("Email", taken) == "_email"
    assert column_name("_country", taken) == "_country"
    assert column_name("plan", taken) == "plan"


def test_a_name_of_punctuation_alone() -> None:
    with pytest.raises(ValueError, match="no letter or digit"):
        table_name("!!!")
    assert SAFE.fullmatch(column_name("!!!"))
    assert column_name("!!!") != column_name("???")


@given(st.text(min_size=1, max_size=400))
def test_whatever_comes_a_column_name_is_a_safe_identifier(prop: str) -> None:
    assert SAFE.fullmatch(column_name(prop, frozenset({"email"})))


@given(st.text(alphabet="ab -_é", min_size=128, max_size=300))
def test_two_long_names_stay_two(tail: str) -> None:
    one, two = column_name("x" * 200 + tail), column_name("x" * 200 + tail + "!")
    assert one != two
    assert len(one.encode()) <= MAX_IDENTIFIER_BYTES


def test_a_schema_is_project_and_environment() -> None:
    assert schema_name("My iOS App", "development") == "my_ios_app_development"
    assert schema_name("Main", "Production") == "main_production"
