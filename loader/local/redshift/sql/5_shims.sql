-- Redshift's pg_catalog as clients read it; the proxy puts these in the place of the real relations.
-- Each has Redshift's columns, and those younger ones that psql asks for whatever server it meets.
CREATE OR REPLACE FUNCTION pg_stand_in.hidden(schema_oid oid) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT nspname ~ '^pg_(stand_in|redshift|toast)' FROM pg_namespace WHERE oid = schema_oid $$;
CREATE OR REPLACE FUNCTION pg_stand_in.shown(short name) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN short::text ~ '_[0-9a-f]{8}$' THEN pg_stand_in.full_name(short::text)
                ELSE short::text END $$;

-- ACL entries in Redshift's letters: user=..., group NAME=..., role NAME=..., nothing for PUBLIC.
-- The letters of DROP (D) and REFERENCES (x) are known from Redshift, those of ALTER (A) and
-- TRUNCATE (P) are the stand-in's choice. DROP is kept as MAINTAIN, ALTER as TRIGGER.
CREATE OR REPLACE FUNCTION pg_stand_in.acl_text(acl aclitem[]) RETURNS text[]
LANGUAGE sql STABLE AS $$
    SELECT array_agg(
        CASE WHEN grantee = 0 THEN '' WHEN kind = 'user' THEN quote_ident(who)
             ELSE kind || ' ' || who END
        || '=' || letters || '/' || quote_ident(grantor) ORDER BY place)
    FROM (
        SELECT e.grantee, min(e.place) AS place, min(pg_stand_in.kind_of(r.rolname::text)) AS kind,
            min(pg_stand_in.bare(r.rolname::text)) AS who, g.rolname::text AS grantor,
            string_agg(CASE e.privilege_type
                WHEN 'INSERT' THEN 'a' WHEN 'SELECT' THEN 'r' WHEN 'UPDATE' THEN 'w'
                WHEN 'DELETE' THEN 'd' WHEN 'REFERENCES' THEN 'x' WHEN 'MAINTAIN' THEN 'D'
                WHEN 'TRIGGER' THEN 'A' WHEN 'TRUNCATE' THEN 'P' WHEN 'USAGE' THEN 'U'
                WHEN 'CREATE' THEN 'C' WHEN 'TEMPORARY' THEN 'T' WHEN 'EXECUTE' THEN 'X'
                WHEN 'CONNECT' THEN '' ELSE '?' END
                || CASE WHEN e.is_grantable THEN '*' ELSE '' END, '' ORDER BY e.place) AS letters
        FROM aclexplode(acl) WITH ORDINALITY
            AS e(grantor, grantee, privilege_type, is_grantable, place)
        LEFT JOIN pg_roles r ON r.oid = e.grantee LEFT JOIN pg_roles g ON g.oid = e.grantor
        GROUP BY e.grantee, g.rolname) entries $$;

ALTER TABLE pg_stand_in.informational_key ADD COLUMN IF NOT EXISTS id oid;
CREATE SEQUENCE IF NOT EXISTS pg_stand_in.key_id START 2000000000;
ALTER TABLE pg_stand_in.informational_key
    ALTER COLUMN id SET DEFAULT nextval('pg_stand_in.key_id')::oid;
UPDATE pg_stand_in.informational_key SET id = DEFAULT WHERE id IS NULL;

CREATE OR REPLACE VIEW pg_redshift.pg_namespace AS
    SELECT oid, nspname, nspowner::int AS nspowner, pg_stand_in.acl_text(nspacl) AS nspacl
    FROM pg_catalog.pg_namespace WHERE NOT pg_stand_in.hidden(oid);
CREATE OR REPLACE VIEW pg_redshift.pg_class AS
    SELECT c.oid, pg_stand_in.shown(c.relname) AS relname, c.relnamespace, c.reltype,
        c.relowner::int AS relowner, c.relam, c.relfilenode, c.reltablespace, c.relpages, c.reltuples,
        c.reltoastrelid, c.relhasindex, c.relisshared, c.relkind, c.relnatts, c.relchecks,
        0::int2 AS reltriggers, 0::int2 AS relukeys, 0::int2 AS relfkeys, 0::int2 AS relrefs,
        false AS relhasoids, EXISTS (SELECT 1 FROM pg_stand_in.informational_key k
            WHERE k.relid = c.oid AND k.kind = 'p') AS relhaspkey,
        c.relhasrules, c.relhassubclass, pg_stand_in.acl_text(c.relacl) AS relacl,
        CASE r.diststyle WHEN 'EVEN' THEN 0 WHEN 'KEY' THEN 1 WHEN 'ALL' THEN 8 ELSE 9 END::int2
            AS reldiststyle,
        CASE r.diststyle WHEN 'EVEN' THEN 0 WHEN 'KEY' THEN 1 WHEN 'ALL' THEN 8 ELSE 10 END::int2
            AS releffectivediststyle,
        r.created AS relcreationtime,
        c.relhastriggers, c.relrowsecurity, c.relforcerowsecurity, c.relispartition, c.relpersistence,
        c.reloftype, c.relreplident, c.reloptions
    FROM pg_catalog.pg_class c LEFT JOIN pg_stand_in.relation r ON r.relid = c.oid
    WHERE NOT pg_stand_in.hidden(c.relnamespace);

CREATE OR REPLACE FUNCTION pg_catalog.format_encoding(number int) RETURNS text
LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce((ARRAY['none', 'bytedict', 'delta', 'delta32k', 'lzo', 'mostly8', 'mostly16',
        'mostly32', 'runlength', 'text255', 'text32k', 'zstd', 'az64'])[number + 1], 'none') $$;
CREATE OR REPLACE VIEW pg_redshift.pg_attribute AS
    SELECT a.attrelid, pg_stand_in.shown(a.attname) AS attname, a.atttypid, a.attlen, a.attnum,
        a.attndims, a.atttypmod, a.attbyval, a.attstorage, a.attalign, a.attnotnull, a.atthasdef,
        a.attisdropped, a.attislocal, a.attinhcount, a.attcollation, a.attidentity, a.attgenerated,
        pg_stand_in.acl_text(a.attacl) AS attacl,
        CASE WHEN t.relkind = 'r' THEN array_position(ARRAY['none', 'bytedict', 'delta', 'delta32k',
            'lzo', 'mostly8', 'mostly16', 'mostly32', 'runlength', 'text255', 'text32k', 'zstd',
            'az64'], pg_stand_in.encoding_of(a.attrelid, a.attnum, a.atttypid, t.temp)) - 1
            ELSE 0 END::int2 AS attencodingtype,
        coalesce(a.attnum = r.distkey, false) AS attisdistkey,
        coalesce(CASE WHEN r.sortstyle = 'INTERLEAVED'
                AND array_position(r.sortkeys, a.attnum) % 2 = 0
            THEN -array_position(r.sortkeys, a.attnum)
            ELSE array_position(r.sortkeys, a.attnum) END, 0) AS attsortkeyord
    FROM pg_catalog.pg_attribute a LEFT JOIN pg_stand_in.relation r ON r.relid = a.attrelid
    LEFT JOIN LATERAL (SELECT c.relkind, c.relpersistence = 't' AS temp FROM pg_catalog.pg_class c
        WHERE c.oid = a.attrelid) t ON true
    WHERE NOT EXISTS (SELECT 1 FROM pg_stand_in.late_view l WHERE l.relid = a.attrelid);
CREATE OR REPLACE VIEW pg_redshift.pg_attrdef AS
    SELECT oid, adrelid, adnum, adbin, pg_get_expr(adbin, adrelid) AS adsrc
    FROM pg_catalog.pg_attrdef;

CREATE OR REPLACE VIEW pg_stand_in.key AS
    SELECT k.id, k.kind, k.relid, k.attnums, c.relnamespace,
        coalesce(k.named, pg_stand_in.shown(c.relname) || CASE k.kind WHEN 'p' THEN '_pkey'
            WHEN 'u' THEN '_' || pg_stand_in.shown(a.attname) || '_key'
            ELSE '_' || pg_stand_in.shown(a.attname) || '_fkey' END) AS conname,
        (SELECT string_agg(quote_ident(pg_stand_in.shown(x.attname)), ', ' ORDER BY n.place)
            FROM unnest(k.attnums) WITH ORDINALITY n(attnum, place)
            JOIN pg_attribute x ON x.attrelid = k.relid AND x.attnum = n.attnum) AS columns
    FROM pg_stand_in.informational_key k JOIN pg_catalog.pg_class c ON c.oid = k.relid
    LEFT JOIN pg_attribute a ON a.attrelid = k.relid AND a.attnum = k.attnums[1];
CREATE OR REPLACE VIEW pg_redshift.pg_constraint AS
    SELECT id AS oid, conname, relnamespace AS connamespace, kind::"char" AS contype,
        false AS condeferrable, false AS condeferred, relid AS conrelid, 0::oid AS contypid,
        0::oid AS confrelid, ' '::"char" AS confupdtype, ' '::"char" AS confdeltype,
        attnums AS conkey, NULL::int2[] AS confkey, true AS convalidated, 0::oid AS conindid,
        true AS conislocal, 0::oid AS conparentid, false AS conperiod
    FROM pg_stand_in.key;
CREATE OR REPLACE FUNCTION pg_redshift.pg_get_constraintdef(id oid, pretty boolean DEFAULT false)
RETURNS text LANGUAGE sql STABLE AS $$
    SELECT CASE k.kind WHEN 'p' THEN 'PRIMARY KEY ' WHEN 'u' THEN 'UNIQUE ' ELSE 'FOREIGN KEY ' END
        || '(' || k.columns || ')' FROM pg_stand_in.key k WHERE k.id = $1 $$;

CREATE OR REPLACE VIEW pg_redshift.pg_tables AS
    SELECT t.schemaname, pg_stand_in.shown(t.tablename) AS tablename,
        pg_stand_in.bare(t.tableowner::text)::name AS tableowner, t.tablespace, t.hasindexes, t.hasrules,
        t.hastriggers
    FROM pg_catalog.pg_tables t WHERE t.schemaname !~ '^pg_(stand_in|redshift|toast)';
CREATE OR REPLACE VIEW pg_redshift.pg_views AS
    SELECT v.schemaname, pg_stand_in.shown(v.viewname) AS viewname,
        pg_stand_in.bare(v.viewowner::text)::name AS viewowner,
        coalesce((SELECT format('CREATE VIEW %s.%s AS %s WITH NO SCHEMA BINDING;', v.schemaname,
            v.viewname, l.body) FROM pg_stand_in.late_view l
            WHERE l.relid = to_regclass(format('%I.%I', v.schemaname, v.viewname))), v.definition)
            AS definition
    FROM pg_catalog.pg_views v WHERE v.schemaname !~ '^pg_(stand_in|redshift|toast)';
CREATE OR REPLACE VIEW pg_redshift.pg_database AS
    SELECT d.oid, d.datname, d.datdba::int AS datdba, d.encoding, d.datistemplate, d.datallowconn,
        d.datconnlimit, d.dattablespace, NULL::text[] AS datconfig,
        pg_stand_in.acl_text(d.datacl) AS datacl, d.datcollate, d.datctype, d.daticulocale,
        d.datlocprovider
    FROM (SELECT p.*, NULL::text AS daticulocale FROM pg_catalog.pg_database p) d
    WHERE d.datname <> 'postgres';
CREATE OR REPLACE VIEW pg_redshift.pg_proc AS
    SELECT p.*, p.prokind = 'a' AS proisagg, p.prokind = 'w' AS proiswindow FROM pg_catalog.pg_proc p
    WHERE NOT pg_stand_in.hidden(p.pronamespace);
CREATE OR REPLACE VIEW pg_redshift.pg_default_acl AS
    SELECT d.oid, d.defaclrole::int AS defacluser, d.defaclnamespace, d.defaclobjtype,
        pg_stand_in.acl_text(d.defaclacl) AS defaclacl, d.defaclrole
    FROM pg_catalog.pg_default_acl d;

CREATE OR REPLACE VIEW pg_redshift.information_tables AS
    SELECT * FROM information_schema.tables WHERE table_schema !~ '^pg_(stand_in|redshift)';
CREATE OR REPLACE VIEW pg_redshift.information_columns AS
    SELECT * FROM information_schema.columns c WHERE table_schema !~ '^pg_(stand_in|redshift)'
      AND NOT EXISTS (SELECT 1 FROM pg_stand_in.late_view l
        WHERE l.relid = to_regclass(format('%I.%I', c.table_schema, c.table_name)));
CREATE OR REPLACE VIEW pg_redshift.information_views AS
    SELECT * FROM information_schema.views WHERE table_schema !~ '^pg_(stand_in|redshift)';
CREATE OR REPLACE VIEW pg_redshift.information_schemata AS
    SELECT * FROM information_schema.schemata WHERE schema_name !~ '^pg_(stand_in|redshift|toast)';
CREATE OR REPLACE VIEW pg_redshift.information_table_constraints AS
    SELECT current_database()::information_schema.sql_identifier AS constraint_catalog,
        n.nspname::information_schema.sql_identifier AS constraint_schema,
        k.conname::information_schema.sql_identifier AS constraint_name,
        current_database()::information_schema.sql_identifier AS table_catalog,
        n.nspname::information_schema.sql_identifier AS table_schema,
        c.relname::information_schema.sql_identifier AS table_name,
        CASE k.kind WHEN 'p' THEN 'PRIMARY KEY' WHEN 'u' THEN 'UNIQUE' ELSE 'FOREIGN KEY' END
            AS constraint_type, 'NO' AS is_deferrable, 'NO' AS initially_deferred
    FROM pg_stand_in.key k JOIN pg_catalog.pg_class c ON c.oid = k.relid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace;

-- Nothing external is here, so these are empty; tools join them all the same.
CREATE OR REPLACE VIEW pg_catalog.svv_external_schemas AS
    SELECT NULL::oid AS esoid, NULL::int2 AS eskind, NULL::name AS schemaname, NULL::int AS esowner,
        NULL::text AS databasename, NULL::text AS esoptions WHERE false;
CREATE OR REPLACE VIEW pg_catalog.svv_external_tables AS
    SELECT NULL::text AS redshift_database_name, NULL::text AS schemaname, NULL::text AS tablename,
        NULL::text AS tabletype, NULL::text AS location, NULL::text AS input_format,
        NULL::text AS output_format, NULL::text AS serialization_lib, NULL::text AS serde_parameters,
        NULL::int AS compressed, NULL::text AS parameters WHERE false;
CREATE OR REPLACE VIEW pg_catalog.svv_external_columns AS
    SELECT NULL::text AS redshift_database_name, NULL::text AS schemaname, NULL::text AS tablename,
        NULL::text AS columnname, NULL::text AS external_type, NULL::int AS columnnum,
        NULL::int AS part_key, NULL::text AS is_nullable WHERE false;

-- WHERE 1 and the like: Redshift converts an integer to a boolean by itself (AWS docs: Type
-- compatibility and conversion).
UPDATE pg_cast SET castcontext = 'a'
    WHERE castsource = 'int4'::regtype AND casttarget = 'bool'::regtype;

-- (AWS docs: PG_GET_LATE_BINDING_VIEW_COLS): one row per column of each late-binding view whose
-- text resolves; the caller names the columns.
CREATE OR REPLACE FUNCTION pg_catalog.pg_get_late_binding_view_cols() RETURNS SETOF record
LANGUAGE sql STABLE AS $$
    SELECT n.nspname, pg_stand_in.shown(c.relname)::name, pg_stand_in.shown(a.attname)::name,
        format_type(a.atttypid, a.atttypmod)::varchar, a.attnum::int
    FROM pg_stand_in.late_view v JOIN pg_class c ON c.oid = v.relid
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped $$;
