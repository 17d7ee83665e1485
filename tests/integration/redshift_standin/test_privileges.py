"""Users, groups, roles and grants: who may what, and where a grant goes when its table moves."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from redshift_connector.error import InterfaceError

from tests.support.redshift_standin import Connect, Sql

Login = Callable[[str], Sql]
PASSWORD = "Passw0rd1"
GRANTS = (
    "SELECT privilege_type, identity_name, identity_type FROM svv_relation_privileges"
    " WHERE namespace_name = %s AND relation_name = %s ORDER BY 3, 2, 1"
)


@pytest.fixture
def ann(sql: Sql, schema: str) -> Iterator[str]:
    """A plain user who may use the schema."""
    user = f"ann_{schema}"
    sql(f"CREATE USER {user} PASSWORD '{PASSWORD}'")
    sql(f"GRANT USAGE ON SCHEMA {schema} TO {user}")
    sql("CREATE TABLE t (id bigint, name varchar(10))")
    sql("INSERT INTO t VALUES (1, 'a')")
    yield user
    sql(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def login(connect: Connect, schema: str) -> Login:
    def log_in(user: str) -> Sql:
        session = Sql(connect(user=user, password=PASSWORD))
        session(f"SET search_path TO {schema}")
        return session

    return log_in


def test_log_in_of_the_databases_own_users(sql: Sql, ann: str, connect: Connect) -> None:
    for wrong in ("passw0rd1", ""):
        with pytest.raises(InterfaceError, match="password authentication failed"):
            connect(user=ann, password=wrong)
    session = Sql(connect(user=ann, password=PASSWORD))
    assert session.value("SELECT current_user") == ann
    sql(f"ALTER USER {ann} PASSWORD 'Another0ne'")
    with pytest.raises(InterfaceError):
        connect(user=ann, password=PASSWORD)
    connect(user=ann, password="Another0ne")
    sql(f"ALTER USER {ann} VALID UNTIL '2020-01-01'")
    with pytest.raises(InterfaceError):
        connect(user=ann, password="Another0ne")
    sql(f"ALTER USER {ann} PASSWORD DISABLE VALID UNTIL '2099-01-01'")
    with pytest.raises(InterfaceError):
        connect(user=ann, password="")
    for rule, text in (
        ("Short1", "8 to 64"), ("alllower1", "uppercase"), ("ALLUPPER1", "lowercase"),
        ("NoDigits", "digit"), ("With@sign1", "character"),
    ):  # fmt: skip
        assert text in sql.error(f"ALTER USER {ann} PASSWORD '{rule}'")["M"]


def test_options_of_a_user(sql: Sql, schema: str, ann: str, login: Login) -> None:
    group, user = f"g_{schema}", f"u_{schema}"
    assert sql.error(f"CREATE USER {user}")["C"] == "42601"  # a password clause is needed
    sql(f"CREATE GROUP {group}")
    sql(
        f"CREATE USER {user} WITH PASSWORD '{PASSWORD}' CREATEDB IN GROUP {group} CONNECTION LIMIT 3"
        " SYSLOG ACCESS UNRESTRICTED SESSION TIMEOUT 120 VALID UNTIL '2099-01-01'"
    )
    assert sql.rows(
        "SELECT createdb, superuser, connection_limit, syslog_access, session_timeout"
        " FROM svv_user_info WHERE user_name = %s", user,
    ) == [[True, False, "3", "UNRESTRICTED", 120]]  # fmt: skip
    member = "SELECT count(*) FROM pg_group g, pg_user u WHERE g.groname = %s AND u.usename = %s"
    member += " AND u.usesysid = ANY (g.grolist)"
    assert sql.value(member, group, user) == 1
    sql(f"ALTER GROUP {group} ADD USER {ann}")
    sql(f"ALTER GROUP {group} DROP USER {user}")
    assert [sql.value(member, group, who) for who in (user, ann)] == [0, 1]
    sql(f"ALTER USER {user} RENAME TO {user}_2")
    sql(f"ALTER USER {user}_2 CREATEUSER NOCREATEDB CONNECTION LIMIT UNLIMITED")
    assert sql.rows(
        "SELECT usesuper, usecreatedb FROM pg_user WHERE usename = %s", f"{user}_2"
    ) == [[True, False]]
    mine = login(ann)
    assert mine.rows("SELECT user_name FROM svv_user_info") == [[ann]]
    assert mine.error("SELECT * FROM svl_user_info")["M"] == (
        "permission denied for relation svl_user_info"
    )
    assert mine.error(f"CREATE USER {user} PASSWORD DISABLE")["C"] == "42501"
    sql(f"DROP USER {user}_2")
    sql(f"DROP USER IF EXISTS {user}_2")
    fields = sql.error(f"DROP USER {user}_2")
    assert (fields["C"], fields["M"]) == ("42704", f'user "{user}_2" does not exist')


def test_grants_to_users_groups_roles_and_public(
    sql: Sql, schema: str, ann: str, login: Login
) -> None:
    same = f"team_{schema}"  # one name for a user, a group and a role
    sql(f"CREATE USER {same} PASSWORD DISABLE")
    sql(f"CREATE GROUP {same} WITH USER {ann}")
    sql(f"CREATE ROLE {same}")
    sql(f"GRANT SELECT, DROP ON t TO GROUP {same}, ROLE {same}, {same}, PUBLIC")
    sql(f"GRANT ALTER, TRUNCATE ON TABLE {schema}.t TO ROLE {same}")
    assert sql.rows(GRANTS, schema, "t") == [
        ["DROP", same, "group"], ["SELECT", same, "group"],
        ["DROP", "public", "public"], ["SELECT", "public", "public"],
        ["ALTER", same, "role"], ["DROP", same, "role"], ["SELECT", same, "role"],
        ["TRUNCATE", same, "role"],
        ["DROP", same, "user"], ["SELECT", same, "user"],
    ]  # fmt: skip
    sql("REVOKE ALL ON t FROM PUBLIC")
    sql(f"REVOKE ALL PRIVILEGES ON t FROM {same}, ROLE {same}")
    shown = sql.rows(f"SHOW GRANTS ON TABLE {schema}.t")
    assert sql.cursor.description[4][0] == "privilege_type"
    assert sorted(row[4:5] + row[6:8] for row in shown) == [
        ["DROP", same, "group"],
        ["SELECT", same, "group"],
    ]
    mine = login(ann)
    assert mine.rows("SELECT id FROM t") == [[1]]  # as a member of the group
    assert mine.error("INSERT INTO t VALUES (2, 'b')")["M"] == "permission denied for relation t"
    assert mine.error("DELETE FROM t WHERE id = 1")["C"] == "42501"
    sql(f"ALTER GROUP {same} DROP USER {ann}")
    assert mine.error("SELECT id FROM t")["C"] == "42501"
    sql(f"GRANT ROLE {same} TO {ann} WITH ADMIN OPTION")
    sql(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO ROLE {same}")
    assert mine.rows("SELECT id FROM t") == [[1]]
    assert sql.rows(
        "SELECT user_name, admin_option FROM svv_user_grants WHERE role_name = %s", same
    ) == [[ann, True]]
    sql(f"CREATE ROLE {same}_2")
    sql(f"GRANT ROLE {same} TO ROLE {same}_2")
    assert sql.rows("SELECT granted_role_name FROM svv_role_grants WHERE role_name = %s",
                    f"{same}_2") == [[same]]  # fmt: skip
    assert sql.rows("SELECT role_owner FROM svv_roles WHERE role_name = %s", same) == [["awsuser"]]
    sql(f"REVOKE ROLE {same} FROM {ann}")
    assert mine.error("SELECT id FROM t")["C"] == "42501"
    for kind in ("GROUP", "ROLE"):
        fields = sql.error(f"GRANT SELECT ON t TO {kind} nobody")
        assert (fields["C"], fields["M"]) == ("42704", f'{kind.lower()} "nobody" does not exist')
    fields = sql.error(f"DROP GROUP {same}")
    assert fields["M"] == (
        f'group "{same}" can\'t be dropped because the group has a privilege on some object'
    )


def test_grant_option_is_for_users_only(sql: Sql, schema: str, ann: str, login: Login) -> None:
    sql(f"CREATE GROUP g_{schema}")
    sql(f"CREATE USER bob_{schema} PASSWORD DISABLE")
    for who in (f"GROUP g_{schema}", "PUBLIC"):
        fields = sql.error(f"GRANT SELECT ON t TO {who} WITH GRANT OPTION")
        assert (fields["C"], fields["M"]) == (
            "0LP01", "grant options can only be granted to individual users",
        )  # fmt: skip
    sql(f"GRANT SELECT ON t TO {ann} WITH GRANT OPTION, GROUP g_{schema}")
    mine = login(ann)
    mine(f"GRANT SELECT ON t TO bob_{schema}")
    assert sql.rows(GRANTS.replace("identity_type FROM", "admin_option FROM"), schema, "t") == [
        ["SELECT", f"bob_{schema}", False],
        ["SELECT", f"g_{schema}", False],
        ["SELECT", ann, True],
    ]
    assert sql.error(f"REVOKE SELECT ON t FROM {ann}")["C"] == "2BP01"
    sql(f"REVOKE GRANT OPTION FOR SELECT ON t FROM {ann} CASCADE")
    assert mine.rows("SELECT id FROM t") == [[1]]
    assert sql.value("SELECT has_table_privilege(%s, 't', 'select')", f"bob_{schema}") is False


def test_column_privileges(sql: Sql, schema: str, ann: str, login: Login) -> None:
    sql(f"GRANT SELECT (id), UPDATE (name) ON t TO {ann}")
    mine = login(ann)
    assert mine.rows("SELECT id FROM t") == [[1]]
    assert mine.error("SELECT name FROM t")["C"] == "42501"
    mine("UPDATE t SET name = 'b'")
    assert sql.error(f"GRANT INSERT (id) ON t TO {ann}")["C"] == "0A000"
    assert mine.rows("SELECT column_name FROM svv_columns WHERE table_schema = %s ORDER BY 1",
                     schema) == [["id"], ["name"]]  # fmt: skip
    sql("ALTER TABLE t ADD COLUMN more int")  # a column grant does not cover it
    assert mine.error("SELECT more FROM t")["C"] == "42501"
    assert sql.rows(
        "SELECT column_name, privilege_type FROM svv_column_privileges"
        " WHERE namespace_name = %s ORDER BY 1", schema,
    ) == [["id", "SELECT"], ["name", "UPDATE"]]  # fmt: skip
    sql(f"GRANT ALL (more) ON t TO {ann}")
    assert mine.rows("SELECT more FROM t") == [[None]]


def test_grants_stay_with_the_object(sql: Sql, schema: str, ann: str, login: Login) -> None:
    sql(f"GRANT SELECT ON t TO {ann}")
    mine = login(ann)
    sql("CREATE TABLE t_new (LIKE t)")  # LIKE and CTAS copy no grants
    sql("CREATE TABLE t_as AS SELECT * FROM t")
    sql("BEGIN")
    sql("ALTER TABLE t RENAME TO t_old")
    sql("ALTER TABLE t_new RENAME TO t")
    sql("COMMIT")
    assert mine.rows("SELECT id FROM t_old") == [[1]]
    assert mine.error("SELECT id FROM t")["C"] == "42501"
    assert mine.error("SELECT id FROM t_as")["C"] == "42501"
    sql("BEGIN")
    sql("DROP TABLE t_old")
    sql("CREATE TABLE t_old (id bigint)")
    assert sql.rows(GRANTS, schema, "t_old") == []
    sql("ROLLBACK")
    assert mine.rows("SELECT id FROM t_old") == [[1]]
    sql("DELETE FROM t_old")
    sql("TRUNCATE t_old")
    assert mine.rows("SELECT id FROM t_old") == []  # and the grant is kept
    sql("BEGIN")
    sql(f"GRANT SELECT ON t TO {ann}")
    sql("ROLLBACK")
    assert mine.error("SELECT id FROM t")["C"] == "42501"
    sql("CREATE OR REPLACE VIEW v AS SELECT 1 AS one")
    sql(f"GRANT SELECT ON v TO {ann}")
    sql("CREATE OR REPLACE VIEW v AS SELECT 2 AS one")
    assert mine.rows("SELECT one FROM v") == [[2]]
    late = (
        f"CREATE OR REPLACE VIEW {schema}.l AS SELECT id FROM {schema}.t_old WITH NO SCHEMA BINDING"
    )
    sql(late)
    sql(f"GRANT SELECT ON l TO {ann}")
    sql(late)
    assert sql.rows(GRANTS, schema, "l") == [["SELECT", ann, "user"]]


def test_default_privileges(sql: Sql, schema: str, ann: str, login: Login) -> None:
    maker = f"maker_{schema}"
    sql(f"CREATE USER {maker} PASSWORD '{PASSWORD}'")
    sql(f"GRANT ALL ON SCHEMA {schema} TO {maker}")
    sql(f"CREATE GROUP g_{schema} WITH USER {ann}")
    sql(
        f"ALTER DEFAULT PRIVILEGES FOR USER {maker} IN SCHEMA {schema}"
        f" GRANT SELECT ON TABLES TO GROUP g_{schema}"
    )
    sql(f"ALTER DEFAULT PRIVILEGES IN SCHEMA {schema} GRANT INSERT, DROP ON TABLES TO {ann}")
    assert sql.rows(
        "SELECT object_type, owner_name, privilege_type, grantee_name, grantee_type"
        " FROM svv_default_privileges WHERE schema_name = %s ORDER BY 2, 3", schema,
    ) == [
        ["RELATION", "awsuser", "DROP", ann, "user"],
        ["RELATION", "awsuser", "INSERT", ann, "user"],
        ["RELATION", maker, "SELECT", f"g_{schema}", "group"],
    ]  # fmt: skip
    his, mine = login(maker), login(ann)
    his("CREATE TABLE his (x int)")
    sql("CREATE TABLE ours (x int)")
    assert mine.rows("SELECT x FROM his") == []  # by the maker's default, through the group
    mine("INSERT INTO ours VALUES (1)")
    assert mine.error("SELECT x FROM ours")["C"] == "42501"
    assert mine.error("INSERT INTO his VALUES (1)")["C"] == "42501"
    fields = mine.error(
        f"ALTER DEFAULT PRIVILEGES FOR USER {maker} GRANT SELECT ON TABLES TO PUBLIC"
    )
    assert fields["C"] == "42501"
    sql(
        f"ALTER DEFAULT PRIVILEGES FOR USER {maker} IN SCHEMA {schema}"
        f" REVOKE SELECT ON TABLES FROM GROUP g_{schema}"
    )
    his("CREATE TABLE later (x int)")
    assert mine.error("SELECT x FROM later")["C"] == "42501"
    fields = sql.error(f"DROP USER {maker}")
    assert fields["M"] == f'user "{maker}" can\'t be dropped because the user owns some object'


def test_a_plain_user_loads_its_own_schema(sql: Sql, schema: str, ann: str, login: Login) -> None:
    sql(f"GRANT CREATE ON SCHEMA {schema} TO {ann}")
    mine = login(ann)
    mine(
        "CREATE TABLE mine (id bigint ENCODE az64, s varchar(9)) DISTSTYLE KEY DISTKEY (id) SORTKEY (id)"
    )
    mine("CREATE TEMP TABLE stage (LIKE mine)")
    mine("INSERT INTO stage VALUES (1, 'x'), (2, 'y')")
    mine("BEGIN")
    mine("DELETE FROM mine USING stage WHERE mine.id = stage.id")
    mine("INSERT INTO mine SELECT * FROM stage")
    mine("COMMIT")
    mine("ALTER TABLE mine ADD COLUMN more int ENCODE az64")
    mine('ALTER TABLE mine ADD COLUMN "' + "long_" * 20 + '" int')
    mine(f"CREATE VIEW {schema}.late AS SELECT id FROM {schema}.mine WITH NO SCHEMA BINDING")
    assert mine.rows(f"SELECT id FROM {schema}.late ORDER BY 1") == [[1], [2]]
    mine("ALTER TABLE mine RENAME TO renamed")
    mine("ANALYZE renamed")
    mine("VACUUM renamed")
    assert mine.rows("SELECT tablename FROM pg_table_def WHERE schemaname = %s GROUP BY 1 ORDER BY 1",
                     schema) == [["renamed"], ["t"]]  # fmt: skip
    assert mine.rows("SELECT table_name FROM svv_tables WHERE table_schema = %s ORDER BY 1",
                     schema) == [["late"], ["renamed"]]  # fmt: skip
    assert mine.error("SELECT * FROM svv_table_info")["M"] == (
        "permission denied for relation svv_table_info"
    )
    sql(f"GRANT SELECT ON svv_table_info TO {ann}")
    assert mine.rows('SELECT tbl_rows FROM svv_table_info WHERE "table" = %s', "renamed") == [[2]]
    assert mine.error("ALTER TABLE t RENAME TO u")["M"] == "must be owner of relation t"
    assert mine.error("DROP TABLE t")["C"] == "42501"
    assert mine.error("TRUNCATE t")["C"] == "42501"
    mine("TRUNCATE renamed")
    mine("DROP TABLE renamed")
    assert sql.rows("SELECT relname FROM pg_class WHERE relname = 'renamed'") == []


def test_ownership_and_the_newer_privileges(sql: Sql, schema: str, ann: str, login: Login) -> None:
    mine = login(ann)
    sql(f"GRANT CREATE ON SCHEMA {schema} TO {ann}")
    sql(f"ALTER TABLE t OWNER TO {ann}")
    assert sql.value("SELECT tableowner FROM pg_tables WHERE schemaname = %s AND tablename = 't'",
                     schema) == ann  # fmt: skip
    mine("ALTER TABLE t ADD COLUMN n int")
    sql("CREATE TABLE theirs (id int, s varchar(5))")
    sql(f"GRANT TRUNCATE ON theirs TO {ann}")
    mine("TRUNCATE theirs")
    assert mine.error("ALTER TABLE theirs ADD COLUMN n int")["C"] == "42501"
    sql(f"GRANT ALTER ON theirs TO {ann}")
    mine("ALTER TABLE theirs ADD COLUMN n int ENCODE zstd")
    mine("ALTER TABLE theirs ALTER COLUMN s TYPE varchar(9)")
    mine("ALTER TABLE theirs RENAME COLUMN n TO m")
    assert mine.error(f"ALTER TABLE theirs OWNER TO {ann}")["C"] == "42501"
    assert mine.error("DROP TABLE theirs")["C"] == "42501"
    sql(f"GRANT DROP ON theirs TO {ann}")
    mine("DROP TABLE theirs")
    assert sql.error("SELECT * FROM theirs")["C"] == "42P01"


def test_assume_role_grants_are_listed(sql: Sql, schema: str, ann: str) -> None:
    arn = f"arn:aws:iam::123456789012:role/{schema}"
    sql(f"GRANT ASSUMEROLE ON '{arn}' TO {ann} FOR COPY, UNLOAD")
    listed = (
        "SELECT command_type, identity_name FROM svv_iam_privileges WHERE iam_arn = %s ORDER BY 1"
    )
    assert sql.rows(listed, arn) == [["COPY", ann], ["UNLOAD", ann]]
    sql(f"REVOKE ASSUMEROLE ON '{arn}' FROM {ann} FOR ALL")
    assert sql.rows(listed, arn) == []


def test_forms_that_are_refused(sql: Sql, ann: str) -> None:
    for statement, code in (
        (f"GRANT TRIGGER ON t TO {ann}", "0LP01"),
        (f"GRANT MAINTAIN ON t TO {ann}", "42601"),
        (f"GRANT USAGE ON t TO {ann}", "0A000"),
        (f"GRANT SELECT ON SCHEMA public TO {ann}", "0LP01"),
        (f"GRANT SELECT ON t {ann}", "42601"),
        ("GRANT SELECT ON t TO", "42601"),
        (f"GRANT SELECT FOR TABLES IN SCHEMA public TO {ann}", "0A000"),
        (f"GRANT CREATE USER TO ROLE {ann}", "0A000"),
        (f"GRANT EXECUTE ON FUNCTION f(int) TO {ann}", "0A000"),
        (f"ALTER DEFAULT PRIVILEGES FOR ROLE {ann} GRANT SELECT ON TABLES TO PUBLIC", "42601"),
        ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON SEQUENCES TO PUBLIC", "42601"),
        ("DROP GROUP IF EXISTS g", "42601"),
        ("CREATE ROLE r LOGIN", "42601"),
        ("CREATE GROUP g SUPERUSER", "42601"),
    ):
        assert sql.error(statement)["C"] == code, statement
