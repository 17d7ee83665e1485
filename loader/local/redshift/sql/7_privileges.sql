-- Grants as Redshift's views and SHOW GRANTS list them (AWS docs: SVV_RELATION_PRIVILEGES and the
-- other SVV_*_PRIVILEGES). An owner's own privileges are not grants, so they are left out.
CREATE OR REPLACE FUNCTION pg_stand_in.privilege(name text) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE name WHEN 'MAINTAIN' THEN 'DROP' WHEN 'TRIGGER' THEN 'ALTER'
        WHEN 'TEMPORARY' THEN 'TEMP' ELSE name END $$;
-- Whom the current user may read grants of: everybody for a superuser, else itself, its groups and
-- roles, and PUBLIC.
CREATE OR REPLACE FUNCTION pg_stand_in.knows(grantee oid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN grantee = 0 THEN true ELSE pg_has_role(grantee, 'MEMBER') END $$;

CREATE OR REPLACE VIEW pg_stand_in.identity AS
    SELECT oid, pg_stand_in.bare(rolname::text) AS name, pg_stand_in.kind_of(rolname::text) AS kind
    FROM pg_roles UNION ALL SELECT 0, 'public', 'public';

CREATE OR REPLACE VIEW pg_stand_in.grants AS
    SELECT 'relation' AS object, c.oid AS objid, n.nspname::text AS namespace_name,
        pg_stand_in.shown(c.relname) AS name, NULL::text AS column_name, c.relowner AS owner,
        e.grantor, e.grantee, e.privilege_type, e.is_grantable
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace CROSS JOIN LATERAL aclexplode(c.relacl) e
    WHERE c.relkind IN ('r', 'v') AND NOT pg_stand_in.hidden(n.oid)
      AND (n.nspname <> 'pg_catalog' OR c.relname ~ '^(stl|stv|svl|svv|sys)_' AND e.grantee <> 0)
      AND n.nspname <> 'information_schema'
    UNION ALL
    SELECT 'column', c.oid, n.nspname::text, pg_stand_in.shown(c.relname), pg_stand_in.shown(a.attname),
        c.relowner, e.grantor, e.grantee, e.privilege_type, e.is_grantable
    FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
    CROSS JOIN LATERAL aclexplode(a.attacl) e
    WHERE NOT a.attisdropped AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    UNION ALL
    SELECT 'schema', n.oid, n.nspname::text, n.nspname::text, NULL, n.nspowner,
        e.grantor, e.grantee, e.privilege_type, e.is_grantable
    FROM pg_namespace n CROSS JOIN LATERAL aclexplode(n.nspacl) e
    WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    UNION ALL
    SELECT 'database', d.oid, NULL, d.datname::text, NULL, d.datdba,
        e.grantor, e.grantee, e.privilege_type, e.is_grantable
    FROM pg_database d CROSS JOIN LATERAL aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) e
    WHERE d.datname = current_database() AND e.privilege_type <> 'CONNECT';

CREATE OR REPLACE VIEW pg_stand_in.known_grants AS
    SELECT g.object, g.objid, g.namespace_name, g.name, g.column_name,
        pg_stand_in.privilege(g.privilege_type) AS privilege_type, i.oid::int AS identity_id,
        i.name AS identity_name, i.kind AS identity_type, g.is_grantable AS admin_option,
        pg_get_userbyid(g.grantor)::text AS grantor_name
    FROM pg_stand_in.grants g JOIN pg_stand_in.identity i ON i.oid = g.grantee
    WHERE g.grantee <> g.owner
      AND ((SELECT pg_stand_in.sees_all()) OR pg_stand_in.knows(g.grantee)
           OR pg_has_role(g.owner, 'MEMBER'));

CREATE OR REPLACE VIEW pg_catalog.svv_relation_privileges AS
    SELECT namespace_name, name AS relation_name, privilege_type, identity_id, identity_name,
        identity_type, admin_option FROM pg_stand_in.known_grants WHERE object = 'relation';
CREATE OR REPLACE VIEW pg_catalog.svv_column_privileges AS
    SELECT namespace_name, name AS relation_name, column_name, privilege_type, identity_id,
        identity_name, identity_type, admin_option
    FROM pg_stand_in.known_grants WHERE object = 'column';
CREATE OR REPLACE VIEW pg_catalog.svv_schema_privileges AS
    SELECT namespace_name, privilege_type, identity_id, identity_name, identity_type, admin_option
    FROM pg_stand_in.known_grants WHERE object = 'schema';
CREATE OR REPLACE VIEW pg_catalog.svv_database_privileges AS
    SELECT name AS database_name, privilege_type, identity_id, identity_name, identity_type,
        admin_option FROM pg_stand_in.known_grants WHERE object = 'database';
CREATE OR REPLACE VIEW pg_catalog.svv_default_privileges AS
    SELECT n.nspname::text AS schema_name,
        CASE d.defaclobjtype WHEN 'r' THEN 'RELATION' WHEN 'f' THEN 'FUNCTION' ELSE 'OTHER' END
            AS object_type,
        d.defaclrole::int AS owner_id, o.name AS owner_name, o.kind AS owner_type,
        pg_stand_in.privilege(e.privilege_type) AS privilege_type, i.oid::int AS grantee_id,
        i.name AS grantee_name, i.kind AS grantee_type, e.is_grantable AS admin_option
    FROM pg_catalog.pg_default_acl d LEFT JOIN pg_namespace n ON n.oid = d.defaclnamespace
    CROSS JOIN LATERAL aclexplode(d.defaclacl) e
    JOIN pg_stand_in.identity o ON o.oid = d.defaclrole
    JOIN pg_stand_in.identity i ON i.oid = e.grantee
    WHERE e.grantee <> d.defaclrole
      AND ((SELECT pg_stand_in.sees_all()) OR pg_stand_in.knows(e.grantee)
           OR pg_has_role(d.defaclrole, 'MEMBER'));

-- Which IAM roles a user may name in COPY and UNLOAD (AWS docs: GRANT ASSUMEROLE). As long as
-- PUBLIC's right to all of them was not revoked, everybody may.
CREATE OR REPLACE VIEW pg_catalog.svv_iam_privileges AS
    SELECT role AS iam_arn, command AS command_type, i.oid::int AS identity_id,
        i.name AS identity_name, i.kind AS identity_type
    FROM pg_stand_in.assume_role a JOIN pg_stand_in.identity i ON i.oid = a.grantee
    WHERE (SELECT pg_stand_in.sees_all()) OR pg_stand_in.knows(a.grantee);
