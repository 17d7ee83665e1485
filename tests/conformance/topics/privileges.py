"""Users, groups, roles, grants, default privileges, and the system views that show them."""

from __future__ import annotations

from tests.conformance.case import SCHEMA, Case, accepted, gives, not_here, refused

GRANT = "AWS docs: GRANT"
REVOKE = "AWS docs: REVOKE"
DEFAULT = "AWS docs: ALTER DEFAULT PRIVILEGES"
USER = "AWS docs: CREATE USER"
GROUP = "AWS docs: CREATE GROUP"
ROLE = "AWS docs: CREATE ROLE"
RELATION = "AWS docs: SVV_RELATION_PRIVILEGES"
SHOW = "AWS docs: SHOW"
ANN = "CREATE USER conf_ann PASSWORD DISABLE"
TEAM = "CREATE GROUP conf_team"
READER = "CREATE ROLE conf_reader"
EVERYBODY = "conf_ann, GROUP conf_team, ROLE conf_reader, PUBLIC"
LISTED = (
    "SELECT privilege_type, identity_name, identity_type, admin_option FROM svv_relation_privileges"
    f" WHERE namespace_name = '{SCHEMA}' AND relation_name = 't' ORDER BY 2, 1"
)
DEFAULTS = (
    "SELECT privilege_type, grantee_name, grantee_type FROM svv_default_privileges"
    f" WHERE schema_name = '{SCHEMA}' ORDER BY 2, 1"
)


def syntax(sql: str, near: str, source: str, *before: str) -> Case:
    """A statement that leaves Redshift's grammar at a word."""
    text = f'syntax error at or near "{near}"'
    return refused(sql, "42601", text, source, before=before, inferred="text")


CASES = (
    # Principals
    accepted("CREATE USER conf_u WITH PASSWORD 'Passw0rd1' NOCREATEDB NOCREATEUSER CONNECTION LIMIT 5"
             " SYSLOG ACCESS RESTRICTED VALID UNTIL '2099-01-01' SESSION TIMEOUT 600", source=USER),
    accepted("CREATE USER conf_u PASSWORD 'md50a3cd6da2c1ea0f6d7f0e6f5e7d4d7b1'", source=USER),
    accepted(ANN, "ALTER USER conf_ann CONNECTION LIMIT UNLIMITED", source="AWS docs: ALTER USER"),
    accepted(ANN, "ALTER USER conf_ann SET search_path TO public", source="AWS docs: ALTER USER"),
    accepted(ANN, "ALTER USER conf_ann RENAME TO conf_bea", source="AWS docs: ALTER USER"),
    accepted(ANN, "DROP USER conf_ann", source="AWS docs: DROP USER", name="DROP USER of nobody's owner"),
    accepted("DROP USER IF EXISTS conf_nobody", source="AWS docs: DROP USER"),
    accepted(ANN, "CREATE GROUP conf_team WITH USER conf_ann", source=GROUP),
    accepted(ANN, TEAM, "ALTER GROUP conf_team ADD USER conf_ann",
             "ALTER GROUP conf_team DROP USER conf_ann", "DROP GROUP conf_team",
             source="AWS docs: ALTER GROUP"),
    accepted(READER, "ALTER ROLE conf_reader RENAME TO conf_r2", "DROP ROLE conf_r2 RESTRICT", source=ROLE),
    refused("CREATE USER conf_u", "42601", "syntax error at end of input", USER, inferred="text"),
    refused("CREATE USER conf_u PASSWORD 'short1A'", "22023", "…", USER, inferred="code, text"),
    refused("CREATE USER conf_u PASSWORD 'nodigitsHere'", "22023", "…", USER, inferred="code, text"),
    syntax("CREATE USER conf_u PASSWORD DISABLE SUPERUSER", "SUPERUSER", USER),
    syntax("CREATE ROLE conf_r LOGIN", "LOGIN", ROLE),
    refused(ANN, "42710", 'user "conf_ann" already exists', USER, before=(ANN,), inferred="code, text",
            name="CREATE USER of a name that is taken"),
    refused("DROP USER conf_nobody", "42704", 'user "conf_nobody" does not exist',
            "AWS docs: DROP USER", inferred="code"),
    refused("DROP USER conf_ann", "2BP01",
            "user \"conf_ann\" can't be dropped because the user has a privilege on some object",
            "observed", before=(ANN, "GRANT SELECT ON t TO conf_ann"), inferred="code"),
    refused("DROP USER conf_ann", "2BP01",
            "user \"conf_ann\" can't be dropped because the user owns some object",
            "observed", before=(ANN, "ALTER TABLE t OWNER TO conf_ann"), inferred="code",
            name="DROP USER of an owner"),
    # Grants
    gives(LISTED, ("DELETE", "conf_ann", "user", False), ("SELECT", "conf_ann", "user", False),
          ("SELECT", "conf_reader", "role", False), ("SELECT", "conf_team", "group", False),
          ("SELECT", "public", "public", False),
          before=(ANN, TEAM, READER, f"GRANT SELECT ON t TO {EVERYBODY}",
                  "GRANT DELETE ON TABLE t TO conf_ann"), source=RELATION,
          name="svv_relation_privileges lists explicit grants"),
    gives(LISTED, ("INSERT", "conf_ann", "user", True), before=(
        ANN, "GRANT INSERT ON t TO conf_ann WITH GRANT OPTION"), source=RELATION,
        name="the grant option of a user"),
    gives(LISTED, before=(ANN, "GRANT ALL ON t TO conf_ann",
                          "REVOKE ALL PRIVILEGES ON t FROM conf_ann"),
          source=REVOKE, name="REVOKE ALL takes every privilege"),
    gives(LISTED, before=(ANN, "GRANT SELECT ON t TO conf_ann", "DROP TABLE t", "CREATE TABLE t (a int)"),
          source="observed", name="DROP and CREATE lose the grants"),
    gives(LISTED, before=(ANN, "GRANT SELECT ON t TO conf_ann", "CREATE TABLE t2 (LIKE t)",
                          "ALTER TABLE t RENAME TO t1", "ALTER TABLE t2 RENAME TO t"),
          source="AWS docs: Performing a deep copy", name="a swap by rename does not move the grants"),
    gives(LISTED.replace("'t'", "'t1'"), ("SELECT", "conf_ann", "user", False),
          before=(ANN, "GRANT SELECT ON t TO conf_ann", "ALTER TABLE t RENAME TO t1"),
          source="AWS docs: ALTER TABLE", name="a rename keeps the grants"),
    gives(f"SELECT has_table_privilege('conf_ann', '{SCHEMA}.t', 'select'),"
          f" has_table_privilege('conf_ann', '{SCHEMA}.t', 'insert'),"
          f" has_schema_privilege('conf_ann', '{SCHEMA}', 'usage')", (True, False, False),
          before=(ANN, TEAM, "ALTER GROUP conf_team ADD USER conf_ann",
                  "GRANT SELECT ON t TO GROUP conf_team"),
          source="AWS docs: HAS_TABLE_PRIVILEGE", name="has_*_privilege through a group"),
    accepted(ANN, f"GRANT SELECT ON ALL TABLES IN SCHEMA {SCHEMA} TO conf_ann", source=GRANT),
    accepted(ANN, "GRANT SELECT (id, name), UPDATE (name) ON t TO conf_ann", source=GRANT),
    accepted(ANN, "GRANT DROP, ALTER, TRUNCATE, REFERENCES ON t TO conf_ann", source=GRANT),
    accepted(ANN, f"GRANT USAGE, CREATE ON SCHEMA {SCHEMA} TO conf_ann", source=GRANT),
    accepted(ANN, READER, "GRANT ROLE conf_reader TO conf_ann WITH ADMIN OPTION",
             "REVOKE ADMIN OPTION FOR ROLE conf_reader FROM conf_ann",
             "REVOKE ROLE conf_reader FROM conf_ann", source=GRANT),
    refused("GRANT SELECT ON t TO GROUP conf_team WITH GRANT OPTION", "0LP01",
            "grant options can only be granted to individual users", GRANT, before=(TEAM,),
            inferred="code, text"),
    refused("GRANT TRIGGER ON t TO PUBLIC", "0LP01", "…", GRANT, inferred="code, text"),
    refused("GRANT SELECT ON t TO conf_nobody", "42704", 'user "conf_nobody" does not exist', GRANT,
            inferred="code"),
    refused("GRANT SELECT ON t TO GROUP conf_nobody", "42704", 'group "conf_nobody" does not exist',
            GRANT, inferred="code"),
    syntax("GRANT MAINTAIN ON t TO PUBLIC", "MAINTAIN", GRANT),
    refused("GRANT INSERT (id) ON t TO conf_ann", "0A000", "…", GRANT, before=(ANN,),
            inferred="code, text"),
    # Default privileges
    gives(DEFAULTS, ("INSERT", "conf_ann", "user"), ("SELECT", "conf_team", "group"), before=(
        ANN, TEAM, f"ALTER DEFAULT PRIVILEGES IN SCHEMA {SCHEMA} GRANT SELECT ON TABLES TO GROUP conf_team",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA {SCHEMA} GRANT INSERT ON TABLES TO conf_ann",
    ), source="AWS docs: SVV_DEFAULT_PRIVILEGES", name="svv_default_privileges"),
    gives(f"SELECT has_table_privilege('conf_ann', '{SCHEMA}.later', 'select')", (True,), before=(
        ANN, f"ALTER DEFAULT PRIVILEGES IN SCHEMA {SCHEMA} GRANT SELECT ON TABLES TO conf_ann",
        "CREATE TABLE later (a int)",
    ), source=DEFAULT, name="a default privilege reaches a table made later"),
    accepted(ANN, f"ALTER DEFAULT PRIVILEGES FOR USER conf_ann IN SCHEMA {SCHEMA}"
             " GRANT ALL ON TABLES TO PUBLIC", source=DEFAULT),
    syntax("ALTER DEFAULT PRIVILEGES FOR ROLE conf_ann GRANT SELECT ON TABLES TO PUBLIC", "ROLE", DEFAULT),
    syntax("ALTER DEFAULT PRIVILEGES GRANT SELECT ON SEQUENCES TO PUBLIC", "SEQUENCES", DEFAULT),
    # Views and SHOW
    gives('SELECT "column", type, encoding, distkey, sortkey, "notnull" FROM pg_table_def'
          """ WHERE tablename = 'n' AND "column" = 'c'""",
          ("c", "numeric(10,2)", "az64" + 28 * " ", False, 0, False), source="AWS docs: PG_TABLE_DEF"),
    gives(f"SELECT table_name, table_type FROM svv_tables WHERE table_schema = '{SCHEMA}'"
          " AND table_name = 'n'", ("n", "BASE TABLE"), source="AWS docs: SVV_TABLES"),
    gives("SELECT column_name, data_type, is_nullable FROM svv_all_columns"
          f" WHERE schema_name = '{SCHEMA}' AND table_name = 't' ORDER BY ordinal_position",
          ("id", "bigint", "NO"), ("name", "character varying", "YES"),
          ("at", "timestamp without time zone", "YES"), source="AWS docs: SVV_ALL_COLUMNS"),
    gives("SELECT nspname AS found FROM pg_namespace WHERE found = 'pg_catalog'", ("pg_catalog",),
          source="AWS docs: SELECT list"),
    accepted(f"SHOW TABLES FROM SCHEMA {SCHEMA} LIKE 't%' LIMIT 3", source=SHOW),
    accepted(f"SHOW COLUMNS FROM TABLE {SCHEMA}.t", source=SHOW),
    accepted(f"SHOW GRANTS ON TABLE {SCHEMA}.t", source=SHOW),
    accepted(f"SHOW TABLE {SCHEMA}.t", source=SHOW),
    accepted("SELECT count(*) FROM stl_query WHERE label = 'x'", source="AWS docs: STL_QUERY"),
    accepted("SELECT count(*) FROM sys_query_history", source="AWS docs: SYS_QUERY_HISTORY"),
    # Limits of the stand-in
    not_here("GRANT of system permissions", READER, "GRANT CREATE USER TO ROLE conf_reader"),
    not_here("GRANT ... FOR TABLES IN SCHEMA",
             f"GRANT SELECT FOR TABLES IN SCHEMA {SCHEMA} TO PUBLIC"),
    not_here("GRANT ON FUNCTION", "GRANT EXECUTE ON FUNCTION f(int) TO PUBLIC"),
    not_here("CREATE SCHEMA ... QUOTA", "CREATE SCHEMA conf_q QUOTA 5 GB"),
    not_here("DROP ROLE ... FORCE", READER, "DROP ROLE conf_reader FORCE"),
    not_here("a password given as sha256 digest", "CREATE USER conf_u PASSWORD 'sha256|aa|bb'"),
)  # fmt: skip
