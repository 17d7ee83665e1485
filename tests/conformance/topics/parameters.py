"""SET, SHOW and RESET, and the session's own functions."""

from __future__ import annotations

from tests.conformance.case import accepted, gives, not_here, refused

SET = "AWS docs: SET"
CONFIG = "AWS docs: Configuration reference"

CASES = (
    gives("SHOW query_group", ("default",), source="AWS docs: query_group", block=False),
    gives("SHOW query_group", ("loader",), source="AWS docs: query_group",
          before=("SET query_group TO 'loader'",), name="SET and SHOW"),
    gives("SHOW query_group", ("default",), source="AWS docs: RESET",
          before=("SET query_group TO 'loader'", "RESET query_group"), name="RESET"),
    gives("SHOW enable_case_sensitive_identifier", ("off",), source="observed", block=False),
    gives("SHOW timezone", ("UTC",), source="AWS docs: timezone", block=False),
    gives("SHOW statement_timeout", ("0",), source="AWS docs: statement_timeout", block=False),
    *(
        accepted(f"SET {name} TO {value}", source=CONFIG)
        for name, value in (
            ("query_group", "'x'"), ("wlm_query_slot_count", "2"), ("statement_timeout", "60000"),
            ("enable_result_cache_for_session", "off"), ("analyze_threshold_percent", "0"),
            ("json_serialization_enable", "true"), ("enable_case_sensitive_identifier", "false"),
            ("datestyle", "'ISO, MDY'"), ("timezone", "'UTC'"), ("extra_float_digits", "0"),
            ("search_path", "public"), ("navigate_super_null_on_error", "off"),
            ("cast_super_null_on_error", "off"), ("parse_super_null_on_error", "on"),
            ("max_cursor_result_set_size", "8000"), ("mv_enable_aqmv_for_session", "off"),
            ("spectrum_query_maxerror", "3"),
            ("error_on_nondeterministic_update", "false"),
        )
    ),
    accepted("SET SESSION query_group = 'x'", source=SET),
    accepted("SET LOCAL query_group = 'x'", source=SET),
    accepted("SET query_group TO DEFAULT", source=SET),
    accepted("SET SESSION AUTHORIZATION DEFAULT", source="AWS docs: SET SESSION AUTHORIZATION"),
    accepted("RESET ALL", source="AWS docs: RESET", block=False),
    accepted("SHOW ALL", source="AWS docs: SHOW", block=False),
    refused("SET frobnicate TO 1", "42704", 'unrecognized configuration parameter "frobnicate"',
            SET),
    refused("SHOW frobnicate", "42704", 'unrecognized configuration parameter "frobnicate"',
            "AWS docs: SHOW"),
    *(
        refused(f"SET {name} TO off", "42704",
                f'unrecognized configuration parameter "{name}"', CONFIG)
        for name in ("enable_seqscan", "enable_nestloop", "jit", "row_security",
                     "standard_conforming_strings", "work_mem", "lock_timeout",
                     "session_replication_role", "synchronous_commit")
    ),
    # Their values are those of the session, in which other cases may have loaded files.
    gives("SELECT pg_last_copy_id() >= -1, pg_last_copy_count() >= 0", (True, True), block=False,
          source="AWS docs: PG_LAST_COPY_ID"),
    accepted("CANCEL 2147483647", source="AWS docs: CANCEL", block=False),
    not_here("error_on_nondeterministic_update = true",
             "SET error_on_nondeterministic_update TO true"),
    not_here("CALL", "CALL p()"),
    not_here("USE", "USE dev"),
    not_here("CREATE DATABASE", "CREATE DATABASE d"),
    not_here("DROP DATABASE", "DROP DATABASE d"),
    not_here("CREATE PROCEDURE",
             "CREATE PROCEDURE p() AS $$ BEGIN NULL; END; $$ LANGUAGE plpgsql"),
    not_here("CREATE FUNCTION",
             "CREATE FUNCTION f(int) RETURNS int IMMUTABLE AS $$ SELECT $1 $$ LANGUAGE sql"),
    not_here("CREATE EXTERNAL",
             "CREATE EXTERNAL SCHEMA e FROM DATA CATALOG DATABASE 'd' IAM_ROLE default"),
    not_here("CREATE MATERIALIZED", "CREATE MATERIALIZED VIEW m AS SELECT 1 AS a"),
    not_here("REFRESH MATERIALIZED VIEW", "REFRESH MATERIALIZED VIEW m"),
    not_here("CREATE LIBRARY", "CREATE LIBRARY l LANGUAGE plpythonu FROM 's3://b/k'"),
    not_here("CREATE DATASHARE", "CREATE DATASHARE d"),
    not_here("CREATE MODEL", "CREATE MODEL m FROM t TARGET a FUNCTION f IAM_ROLE default"),
    not_here("CREATE RLS", "CREATE RLS POLICY p USING (true)"),
    not_here("CREATE MASKING", "CREATE MASKING POLICY p WITH (a int) USING (1)"),
    not_here("CREATE IDENTITY", "CREATE IDENTITY PROVIDER i TYPE azure NAMESPACE 'n'"),
)  # fmt: skip
