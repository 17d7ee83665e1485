-- Tables and views as a user may see them: superusers all, others what they own or have rights on.
CREATE OR REPLACE FUNCTION pg_stand_in.may_see(rel oid) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT has_table_privilege(rel, 'SELECT, INSERT, UPDATE, DELETE, REFERENCES, TRUNCATE, MAINTAIN,'
        || ' TRIGGER') OR has_any_column_privilege(rel, 'SELECT, UPDATE') $$;

CREATE OR REPLACE VIEW pg_stand_in.relations AS
    SELECT c.oid AS relid, n.nspname::text AS nspname, pg_stand_in.shown(c.relname) AS relname, c.relkind,
        obj_description(c.oid, 'pg_class') AS remarks,
        array_to_string(pg_stand_in.acl_text(c.relacl), '~') AS acl, c.relowner
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'v') AND c.relpersistence <> 't' AND n.nspname !~ '^pg_'
      AND n.nspname <> 'information_schema'
      AND ((SELECT pg_stand_in.is_superuser()) OR pg_stand_in.may_see(c.oid));

CREATE OR REPLACE VIEW pg_catalog.svv_tables AS
    SELECT current_database()::text AS table_catalog, nspname AS table_schema, relname AS table_name,
        CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'BASE TABLE' END AS table_type, remarks
    FROM pg_stand_in.relations;
CREATE OR REPLACE VIEW pg_catalog.svv_all_tables AS
    SELECT current_database()::varchar(128) AS database_name, nspname::varchar(128) AS schema_name,
        relname::varchar(128) AS table_name,
        (CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END)::varchar(128) AS table_type,
        acl::varchar(128) AS table_acl, remarks::varchar(128) AS remarks
    FROM pg_stand_in.relations;
CREATE OR REPLACE VIEW pg_catalog.svv_redshift_tables AS SELECT * FROM pg_catalog.svv_all_tables;
CREATE OR REPLACE VIEW pg_catalog.svv_redshift_columns AS SELECT * FROM pg_catalog.svv_all_columns;

CREATE OR REPLACE VIEW pg_stand_in.schemas AS
    SELECT n.oid, n.nspname::text AS nspname, n.nspowner::int AS nspowner,
        array_to_string(pg_stand_in.acl_text(n.nspacl), '~') AS acl
    FROM pg_namespace n
    WHERE NOT pg_stand_in.hidden(n.oid) AND n.nspname !~ '^pg_temp'
      AND ((SELECT pg_stand_in.is_superuser()) OR has_schema_privilege(n.oid, 'USAGE, CREATE'));
CREATE OR REPLACE VIEW pg_catalog.svv_all_schemas AS
    SELECT current_database()::varchar(128) AS database_name, nspname::varchar(128) AS schema_name,
        nspowner AS schema_owner, 'local'::varchar(128) AS schema_type, acl::varchar(128) AS schema_acl,
        NULL::varchar(128) AS source_database, NULL::varchar(128) AS schema_option
    FROM pg_stand_in.schemas;
CREATE OR REPLACE VIEW pg_catalog.svv_redshift_schemas AS
    SELECT database_name, schema_name, schema_owner, schema_type, schema_acl, schema_option
    FROM pg_catalog.svv_all_schemas;
CREATE OR REPLACE VIEW pg_catalog.svv_redshift_databases AS
    SELECT d.datname::varchar(128) AS database_name, d.datdba::int AS database_owner,
        'local'::varchar(32) AS database_type,
        array_to_string(pg_stand_in.acl_text(d.datacl), '~')::varchar(128) AS database_acl,
        NULL::varchar(128) AS database_options, 'Serializable'::varchar(128) AS database_isolation_level
    FROM pg_database d WHERE d.datname = current_database();
CREATE OR REPLACE VIEW pg_catalog.svv_all_databases AS
    SELECT * FROM pg_catalog.svv_redshift_databases;

-- The CREATE TABLE that would make a table again (AWS docs: SHOW TABLE).
CREATE OR REPLACE FUNCTION pg_stand_in.table_ddl(rel oid) RETURNS text LANGUAGE sql STABLE AS $$
    SELECT 'CREATE TABLE ' || quote_ident(n.nspname) || '.' || quote_ident(pg_stand_in.shown(c.relname))
        || E' (\n' || (SELECT string_agg('    ' || quote_ident(a.attname) || ' '
                || format_type(a.atttypid, a.atttypmod)
                || CASE WHEN a.attidentity <> '' THEN ' identity' ELSE '' END
                || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END
                || CASE WHEN a.column_default IS NULL THEN '' ELSE ' DEFAULT ' || a.column_default END
                || ' ENCODE ' || CASE e.name WHEN 'none' THEN 'raw' ELSE e.name END
                || CASE WHEN a.is_distkey THEN ' distkey' ELSE '' END, E',\n' ORDER BY a.attnum)
            FROM (SELECT x.*, p.attidentity FROM pg_stand_in.attributes x
                JOIN pg_attribute p ON p.attrelid = x.relid AND p.attnum = x.attnum) a
            CROSS JOIN LATERAL (SELECT pg_stand_in.encoding_of(a.relid, a.attnum, a.atttypid, a.temp)) e(name)
            WHERE a.relid = c.oid)
        || coalesce((SELECT string_agg(E',\n    ' || pg_redshift.pg_get_constraintdef(k.id), '')
            FROM pg_stand_in.informational_key k WHERE k.relid = c.oid), '')
        || E'\n)\nDISTSTYLE ' || coalesce(r.diststyle, 'AUTO')
        || CASE WHEN cardinality(r.sortkeys) > 0 THEN
            CASE r.sortstyle WHEN 'INTERLEAVED' THEN E'\nINTERLEAVED SORTKEY ( ' ELSE E'\nSORTKEY ( ' END
            || (SELECT string_agg(quote_ident(pg_stand_in.shown(a.attname)), ', ' ORDER BY s.place)
                FROM unnest(r.sortkeys) WITH ORDINALITY s(attnum, place)
                JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = s.attnum) || ' )'
            WHEN coalesce(r.sortstyle, 'AUTO') = 'AUTO' THEN E'\nSORTKEY AUTO' ELSE '' END || ';'
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_stand_in.relation r ON r.relid = c.oid WHERE c.oid = rel $$;
