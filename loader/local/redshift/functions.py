"""The functions that Redshift has; any other that PostgreSQL knows is refused.

The names are those of AWS docs: SQL functions reference, with the catalog functions of PostgreSQL 8.0
that Redshift's leader node kept, and the types that can be called like functions.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from loader.local.redshift.errors import SqlError, not_here
from loader.local.redshift.rewrite import REWRITTEN
from loader.local.redshift.tokens import Kind, Token

_NAMES = """
any_value avg bit_and bit_or bool_and bool_or count listagg max median min percentile_cont
percentile_disc stddev stddev_pop stddev_samp sum var_pop var_samp variance cume_dist dense_rank
first_value lag last_value lead nth_value ntile percent_rank rank ratio_to_report row_number array
array_concat array_contains array_distinct array_except array_flatten array_intersection
array_position array_positions array_sort array_union arrays_overlap get_array_length split_to_array
subarray checksum farmfingerprint64 farmhash64 fnv_hash func_sha1 md5 murmur3_32_hash sha sha1 sha2
add_months age convert_timezone current_date date_cmp date_cmp_timestamp date_cmp_timestamptz
date_part date_part_year date_add date_diff date_trunc dateadd datediff extract getdate interval_cmp
isfinite last_day months_between next_day now sysdate timeofday timestamp_cmp timestamp_cmp_date
timestamp_cmp_timestamptz timestamptz_cmp timestamptz_cmp_date timestamptz_cmp_timestamp timezone
to_timestamp trunc can_json_parse is_valid_json is_valid_json_array json_array_length
json_extract_array_element_text json_extract_path_text json_parse json_serialize
json_serialize_to_varbyte json_size json_typeof object object_transform decimal_precision
decimal_scale is_array is_bigint is_boolean is_char is_decimal is_float is_integer is_object
is_scalar is_smallint is_varchar size abs acos asin atan atan2 cbrt ceil ceiling cos cot degrees
dexp dlog1 dlog10 exp floor ln log mod pi pow power radians random round setseed sign sin sqrt tan
ascii bpcharcmp btrim bttext_pattern_cmp char_length character_length charindex chr collate concat
crc32 difference initcap left len length lower lpad ltrim octet_length octetindex position
quote_ident quote_literal regexp_count regexp_instr regexp_replace regexp_substr repeat replace
replicate reverse right rpad rtrim soundex split_part strpos strtol substr substring textlen
translate trim upper coalesce decode greatest least nullif nvl nvl2 case cast convert
text_to_int_alt text_to_numeric_alt to_char to_date to_number try_cast from_hex from_varbyte getbit
to_hex to_varbyte hll hll_cardinality hll_combine hll_combine_sketches hll_create_sketch
change_query_priority change_session_priority change_user_priority current_setting set_config
reboot_cluster current_aws_account current_database current_namespace current_schema current_schemas
current_session_arn current_user_id default_iam_role last_user_query_id role_is_member_of slice_num
user_is_member_of version explain_model has_any_column_privilege has_assumerole_privilege
has_column_privilege has_database_privilege has_language_privilege has_role has_schema_privilege
has_table_privilege has_function_privilege array_lower array_to_string array_upper col_description
format_encoding format_type generate_series obj_description oidvectortypes bool bpchar char date
float4 float8 int2 int4 int8 interval numeric text time timestamp timestamptz timetz varchar name
oid regclass exists row like overlaps current_user session_user
"""
REDSHIFT = frozenset(_NAMES.split())
_FAMILIES = ("st_", "h3_")  # spatial functions
# What PostgreSQL's grammar knows and its list of functions does not.
_SYNTAX = frozenset(
    (
        "cast", "coalesce", "convert", "current_date", "current_user", "current_user_id", "exists",
        "extract", "greatest", "least", "like", "nullif", "overlaps", "regclass", "row",
        "session_user", "trim", "case", "collate", "decimal", "array", "object", "try_cast",
    )
)  # fmt: skip
# Of PostgreSQL's own pg_... functions, those that look into the catalog stayed; these did not.
_NOT_OF_PG = (
    "pg_advisory", "pg_try_advisory", "pg_sleep", "pg_read", "pg_ls", "pg_notify", "pg_export",
    "pg_logical", "pg_replication", "pg_create", "pg_drop", "pg_wal", "pg_switch", "pg_promote",
    "pg_input", "pg_stat_file", "pg_jit", "pg_snapshot", "pg_current_wal", "pg_column_compression",
)  # fmt: skip
# A name behind one of these, with a bracket behind it, is a relation or an alias and its columns.
_NO_CALL_BEHIND = (
    "into", "table", "join", "update", "as", "view", "references", "copy", "on", "exists", "index",
)  # fmt: skip


def is_redshifts(name: str) -> bool:
    """Whether Redshift has a function of this name, as far as anybody wrote down."""
    if name.startswith("pg_"):
        return not name.startswith(_NOT_OF_PG)
    return name in REDSHIFT or name.startswith(_FAMILIES)


def not_redshifts(names: Collection[str]) -> frozenset[str]:
    """Those of PostgreSQL's functions that Redshift does not have."""
    return frozenset(name for name in names if not is_redshifts(name))


def not_here_of(names: Collection[str]) -> frozenset[str]:
    """Those of Redshift's functions that the stand-in does not have.

    Args:
        names: the functions of the backend, ours among them.
    """
    return REDSHIFT - frozenset(names) - _SYNTAX - REWRITTEN


def check(tokens: Sequence[Token], refused: Collection[str], missing: Collection[str] = ()) -> None:
    """Refuse a call of a function that only PostgreSQL has, or that only Redshift has.

    Args:
        tokens: the statement.
        refused: names, see :func:`not_redshifts`.
        missing: names, see :func:`not_here_of`.

    Raises:
        SqlError: 42883, as for any function that does not exist; 0A000 by name for what is missing.
    """
    for at in range(len(tokens) - 1):
        token = tokens[at]
        if token.kind is not Kind.WORD or not tokens[at + 1].is_op("("):
            continue
        absent_here = token.value in missing or token.value.startswith(_FAMILIES)
        if token.value not in refused and not absent_here:
            continue
        before = tokens[at - 1] if at else None
        if before is not None and (before.is_word(*_NO_CALL_BEHIND) or before.is_op(".")):
            continue
        if absent_here:
            raise not_here(f"function {token.value.upper()}")
        raise absent(token.value)


def absent(name: str) -> SqlError:
    """What Redshift says of a function that it does not have."""
    hint = (
        "No function matches the given name and argument types. "
        "You may need to add explicit type casts."
    )
    return SqlError("42883", f"function {name}() does not exist", hint=hint)
