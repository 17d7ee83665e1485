"""SET, SHOW and RESET: Redshift's own parameters are kept as custom settings of the session."""

from __future__ import annotations

from collections.abc import Sequence

from loader.local.redshift.errors import SqlError, not_here, syntax_error
from loader.local.redshift.plan import Engine, Pass, Plan, Script, SessionState
from loader.local.redshift.tokens import Token, literal, render, word

# Parameter to its default (AWS docs: Configuration reference).
DEFAULTS = {
    "query_group": "default",
    "wlm_query_slot_count": "1",
    "enable_result_cache_for_session": "on",
    "enable_case_sensitive_identifier": "off",
    "enable_case_sensitive_super_attribute": "off",
    "analyze_threshold_percent": "10",
    "auto_analyze": "on",
    "json_serialization_enable": "off",
    "json_serialization_parse_nested_strings": "off",
    "error_on_nondeterministic_update": "off",
    "describe_field_name_in_uppercase": "off",
    "downcase_delimited_identifier": "on",
    "datetime_precision": "6",
    "mv_enable_aqmv_for_session": "on",
    "navigate_super_null_on_error": "on",
    "parse_super_null_on_error": "off",
    "cast_super_null_on_error": "on",
    "spectrum_query_maxerror": "-1",
    "enable_large_strings_opt_in": "off",
    "max_concurrency_scaling_clusters": "1",
    "max_cursor_result_set_size": "0",
    "stored_proc_log_min_messages": "log",
}
# Those that both have. Redshift has no others: not even those that PostgreSQL 8.0 had.
_POSTGRESQLS = frozenset((
    "all", "application_name", "authorization", "characteristics", "client_encoding",
    "client_min_messages", "datestyle", "extra_float_digits", "intervalstyle", "is_superuser",
    "names", "search_path", "seed", "server_encoding", "session", "session_authorization",
    "statement_timeout", "time", "timezone", "transaction", "transaction_isolation",
    "transaction_read_only",
))  # fmt: skip
# What a client would notice if it were switched on and did nothing.
_ONLY_DEFAULT = (
    "error_on_nondeterministic_update", "describe_field_name_in_uppercase",
    "enable_case_sensitive_super_attribute", "json_serialization_parse_nested_strings",
)  # fmt: skip
_PREFIX = "stand_in."
_TRUE = ("true", "on", "1", "yes", "t")


def _subject(tokens: Sequence[Token]) -> int:
    """Index of the parameter's name behind SET [SESSION | LOCAL]."""
    return 2 if len(tokens) > 2 and tokens[1].is_word("session", "local") else 1


def set_parameter(tokens: list[Token], state: SessionState) -> Plan:
    """SET of a parameter; those of PostgreSQL go on as they are."""
    if len(tokens) > 1 and tokens[1].is_word("transaction"):
        if any(token.is_word("deferrable") for token in tokens):
            raise syntax_error("DEFERRABLE")
        return Pass(render(tokens))
    at = _subject(tokens)
    parameter = tokens[at].value if at < len(tokens) else ""
    if parameter not in DEFAULTS:
        _check_known(tokens, at)
        return Pass(render(tokens))
    value = tokens[at + 2].value if len(tokens) > at + 2 else ""
    if parameter in _ONLY_DEFAULT and value in _TRUE:
        raise not_here(f"{parameter} = {value}")
    if parameter == "enable_case_sensitive_identifier":

        async def case_sensitive(engine: Engine) -> str:
            state.fold_quoted = value not in _TRUE
            await engine.run(render(_renamed(tokens, at)))
            return "SET"

        return Script(case_sensitive)
    return Pass(render(_renamed(tokens, at)))


def _renamed(tokens: list[Token], at: int) -> list[Token]:
    return [*tokens[:at], word(_PREFIX + tokens[at].value), *tokens[at + 1 :]]


def _check_known(tokens: Sequence[Token], at: int) -> None:
    """Refuse a parameter of PostgreSQL's that Redshift does not have."""
    parameter = tokens[at].value if at < len(tokens) else ""
    dotted = at + 1 < len(tokens) and tokens[at + 1].is_op(".")
    if parameter and parameter not in _POSTGRESQLS and not dotted:
        raise SqlError("42704", f'unrecognized configuration parameter "{parameter}"')


def show_parameter(tokens: list[Token]) -> Plan:
    """SHOW of a parameter, with Redshift's default where it was never set."""
    parameter = tokens[1].value if len(tokens) == 2 else ""
    if parameter == "server_version":
        return Pass("SELECT '8.0.2'::text AS server_version")
    if parameter not in DEFAULTS:
        _check_known(tokens, 1)
        return Pass(render(tokens))
    default = literal(DEFAULTS[parameter]).text
    custom = literal(_PREFIX + parameter).text
    return Pass(
        f"SELECT coalesce(nullif(current_setting({custom}, true), ''), {default}) AS {parameter}"
    )


def reset_parameter(tokens: list[Token]) -> Plan:
    """RESET of a parameter."""
    parameter = tokens[1].value if len(tokens) == 2 else ""
    if parameter == "enable_case_sensitive_identifier":

        async def fold_again(engine: Engine) -> str:
            engine.state.fold_quoted = True
            await engine.run(render(_renamed(tokens, 1)))
            return "RESET"

        return Script(fold_again)
    if parameter in DEFAULTS:
        return Pass(render(_renamed(tokens, 1)))
    return Pass(render(tokens))
