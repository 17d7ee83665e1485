-- Users, groups and roles. PostgreSQL has one kind of principal and one name space, so a group is
-- the role "group:NAME" and a role "role:NAME"; these functions and views take the prefix off again.
CREATE TABLE IF NOT EXISTS pg_stand_in.user_option (
    usesysid oid PRIMARY KEY, syslogaccess text NOT NULL DEFAULT 'RESTRICTED',
    sessiontimeout int NOT NULL DEFAULT 0, external_user_id text
);
CREATE TABLE IF NOT EXISTS pg_stand_in.role_owner (roleid oid PRIMARY KEY, owner oid NOT NULL);
-- GRANT ASSUMEROLE: which principal may name which IAM role in which command.
CREATE TABLE IF NOT EXISTS pg_stand_in.assume_role (
    role text NOT NULL, command text NOT NULL, grantee oid NOT NULL,
    PRIMARY KEY (role, command, grantee)
);

CREATE OR REPLACE FUNCTION pg_stand_in.kind_of(rolname text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN rolname LIKE 'group:%' THEN 'group' WHEN rolname LIKE 'role:%' THEN 'role'
                ELSE 'user' END $$;
CREATE OR REPLACE FUNCTION pg_stand_in.bare(rolname text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$ SELECT regexp_replace(rolname, '^(group|role):', '') $$;

CREATE OR REPLACE FUNCTION pg_stand_in.is_superuser() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT rolsuper FROM pg_roles WHERE rolname = current_user $$;
-- Superusers and users with SYSLOG ACCESS UNRESTRICTED see every row of the logs.
CREATE OR REPLACE FUNCTION pg_stand_in.sees_all() RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT rolsuper OR EXISTS (SELECT 1 FROM pg_stand_in.user_option o
        WHERE o.usesysid = r.oid AND o.syslogaccess = 'UNRESTRICTED')
    FROM pg_roles r WHERE r.rolname = current_user $$;
CREATE OR REPLACE FUNCTION pg_stand_in.my_id() RETURNS int LANGUAGE sql STABLE AS $$
    SELECT oid::int FROM pg_roles WHERE rolname = current_user $$;

CREATE OR REPLACE FUNCTION pg_stand_in.set_user_option(username text, key text, value text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE id oid := (SELECT oid FROM pg_roles WHERE rolname = username);
BEGIN
    INSERT INTO pg_stand_in.user_option (usesysid) VALUES (id) ON CONFLICT DO NOTHING;
    EXECUTE format('UPDATE pg_stand_in.user_option SET %I = %L WHERE usesysid = %s', key, value, id);
END $$;

CREATE OR REPLACE FUNCTION pg_stand_in.own_role(role name, owner name) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
    INSERT INTO pg_stand_in.role_owner
        SELECT r.oid, o.oid FROM pg_roles r, pg_roles o
        WHERE r.rolname = $1 AND o.rolname = $2
        ON CONFLICT (roleid) DO UPDATE SET owner = excluded.owner $$;

CREATE OR REPLACE FUNCTION pg_stand_in.assume_role(
    add boolean, roles text[], commands text[], grantees text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE ids oid[] := '{}'; grantee text; found_id oid;
BEGIN
    FOREACH grantee IN ARRAY grantees LOOP
        SELECT oid INTO found_id FROM pg_roles WHERE rolname = grantee;
        IF grantee = 'public' THEN found_id := 0; END IF;
        IF found_id IS NULL THEN
            PERFORM pg_stand_in.fail('42704', format('role "%s" does not exist', grantee));
        END IF;
        ids := ids || found_id;
    END LOOP;
    IF add THEN
        INSERT INTO pg_stand_in.assume_role
            SELECT r, c, g FROM unnest(roles) r, unnest(commands) c, unnest(ids) g
            ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM pg_stand_in.assume_role
            WHERE role = ANY (roles) AND command = ANY (commands) AND assume_role.grantee = ANY (ids);
    END IF;
END $$;

-- DROP and ALTER by somebody who was granted it: PostgreSQL leaves them to the owner. The proxy calls
-- this only after it has seen the privilege; the check here is for anybody else.
CREATE OR REPLACE FUNCTION pg_stand_in.as_owner(rel regclass, privilege text, command text)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    IF NOT has_table_privilege(session_user, rel, privilege) THEN
        PERFORM pg_stand_in.fail('42501', format('must be owner of relation %s', rel));
    END IF;
    EXECUTE command;
END $$;

CREATE SCHEMA IF NOT EXISTS pg_redshift;

CREATE OR REPLACE FUNCTION pg_redshift.pg_get_userbyid(id oid) RETURNS name
LANGUAGE sql STABLE AS $$ SELECT CASE id WHEN 10 THEN 'rdsdb'
        ELSE pg_stand_in.bare(pg_catalog.pg_get_userbyid(id)::text)::name END $$;

CREATE OR REPLACE VIEW pg_redshift.pg_user AS
    SELECT CASE u.usesysid WHEN 10 THEN 'rdsdb' ELSE u.usename END AS usename, u.usesysid::int AS usesysid, u.usecreatedb, u.usesuper,
        u.usesuper AS usecatupd, '********'::text AS passwd, u.valuntil, u.useconfig
    FROM pg_catalog.pg_user u WHERE pg_stand_in.kind_of(u.usename::text) = 'user';
CREATE OR REPLACE VIEW pg_redshift.pg_shadow AS SELECT * FROM pg_redshift.pg_user;
CREATE OR REPLACE VIEW pg_redshift.pg_group AS
    SELECT pg_stand_in.bare(g.groname::text)::name AS groname, g.grosysid::int AS grosysid,
        (SELECT array_agg(m::int) FROM unnest(g.grolist) m) AS grolist
    FROM pg_catalog.pg_group g WHERE pg_stand_in.kind_of(g.groname::text) = 'group';
-- The backend's own superuser has Redshift's name for it, rdsdb.
-- Asked by psql's \du, which is younger than Redshift: users and groups, as the old pg_roles had them.
CREATE OR REPLACE VIEW pg_redshift.pg_roles AS
    SELECT r.oid, CASE r.oid WHEN 10 THEN 'rdsdb' ELSE pg_stand_in.bare(r.rolname::text)::name END
            AS rolname, r.rolsuper, r.rolinherit,
        r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication, r.rolconnlimit,
        r.rolpassword, r.rolvaliduntil, r.rolbypassrls, r.rolconfig,
        r.rolsuper AS rolcatupdate
    FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_';
CREATE OR REPLACE VIEW pg_redshift.pg_auth_members AS SELECT * FROM pg_catalog.pg_auth_members;

CREATE OR REPLACE VIEW pg_catalog.pg_user_info AS
    SELECT u.usename::text AS usename, u.usesysid, u.usecreatedb, u.usesuper, u.usecatupd, u.passwd,
        u.valuntil::timestamp AS valuntil, u.useconfig,
        CASE r.rolconnlimit WHEN -1 THEN 'UNLIMITED' ELSE r.rolconnlimit::text END AS useconnlimit,
        coalesce(o.syslogaccess, 'RESTRICTED') AS syslogaccess, NULL::timestamp AS last_ddl_ts,
        coalesce(o.sessiontimeout, 0) AS sessiontimeout, o.external_user_id
    FROM pg_redshift.pg_user u JOIN pg_catalog.pg_roles r ON r.oid::int = u.usesysid
    LEFT JOIN pg_stand_in.user_option o ON o.usesysid = r.oid;
CREATE OR REPLACE VIEW pg_catalog.svl_user_info AS
    SELECT usename, usesysid, usecreatedb, usesuper, usecatupd, useconnlimit, syslogaccess,
        last_ddl_ts, sessiontimeout, external_user_id AS external_id FROM pg_catalog.pg_user_info;
CREATE OR REPLACE VIEW pg_catalog.svv_user_info AS
    SELECT usename AS user_name, usesysid AS user_id, usecreatedb AS createdb, usesuper AS superuser,
        usecatupd AS catalog_update, useconnlimit AS connection_limit, syslogaccess AS syslog_access,
        last_ddl_ts AS last_ddl_timestamp, sessiontimeout AS session_timeout, external_user_id
    FROM pg_catalog.pg_user_info
    WHERE (SELECT pg_stand_in.is_superuser()) OR usename = current_user::text;

CREATE OR REPLACE VIEW pg_stand_in.membership AS
    SELECT m.member, m.roleid, pg_stand_in.kind_of(u.rolname::text) AS member_kind,
        pg_stand_in.kind_of(g.rolname::text) AS role_kind,
        pg_stand_in.bare(u.rolname::text) AS member_name, pg_stand_in.bare(g.rolname::text) AS role_name,
        bool_or(m.admin_option) AS admin_option
    FROM pg_auth_members m JOIN pg_roles u ON u.oid = m.member JOIN pg_roles g ON g.oid = m.roleid
    GROUP BY 1, 2, u.rolname, g.rolname;
CREATE OR REPLACE VIEW pg_catalog.svv_roles AS
    SELECT r.oid::int AS role_id, pg_stand_in.bare(r.rolname::text) AS role_name,
        (SELECT o.rolname::text FROM pg_stand_in.role_owner w JOIN pg_roles o ON o.oid = w.owner
            WHERE w.roleid = r.oid) AS role_owner,
        NULL::text AS external_id
    FROM pg_roles r WHERE pg_stand_in.kind_of(r.rolname::text) = 'role'
      AND ((SELECT pg_stand_in.is_superuser()) OR pg_has_role(r.oid, 'MEMBER'));
CREATE OR REPLACE VIEW pg_catalog.svv_user_grants AS
    SELECT member::int AS user_id, member_name AS user_name, roleid::int AS role_id, role_name,
        admin_option
    FROM pg_stand_in.membership WHERE member_kind = 'user' AND role_kind = 'role'
      AND ((SELECT pg_stand_in.is_superuser()) OR member_name = current_user::text);
CREATE OR REPLACE VIEW pg_catalog.svv_role_grants AS
    SELECT member::int AS role_id, member_name AS role_name, roleid::int AS granted_role_id,
        role_name AS granted_role_name
    FROM pg_stand_in.membership WHERE member_kind = 'role' AND role_kind = 'role'
      AND ((SELECT pg_stand_in.is_superuser()) OR pg_has_role(member, 'MEMBER'));
