-- Redshift's system views with their names, columns and rules (AWS docs: PG_TABLE_DEF, SVV_*, STL_*).
CREATE OR REPLACE FUNCTION pg_stand_in.row_count(rel oid) RETURNS bigint
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM %s', rel::regclass) INTO n;
    RETURN n;
END $$;

-- Rows of the fullest slice to those of the emptiest, for a table with a distribution key: the rows
-- are dealt to two slices by a hash of the key. NULL where one slice has none, as a ratio has none.
CREATE OR REPLACE FUNCTION pg_stand_in.skew(rel oid, distkey int2) RETURNS numeric
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE ratio numeric;
BEGIN
    EXECUTE format(
        'SELECT max(n) / nullif(CASE count(*) WHEN 2 THEN min(n) ELSE 0 END, 0)::numeric FROM'
        ' (SELECT count(*) AS n FROM %s GROUP BY hashtext(%I::text) & 1) slices', rel::regclass,
        (SELECT attname FROM pg_attribute WHERE attrelid = rel AND attnum = distkey)) INTO ratio;
    RETURN ratio;
END $$;

CREATE OR REPLACE FUNCTION pg_stand_in.encoding_of(rel oid, att int2, typ oid, temp boolean)
RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT coalesce(
        (SELECT CASE e.encoding WHEN 'raw' THEN 'none' ELSE e.encoding END
           FROM pg_stand_in.encoding e WHERE e.relid = rel AND e.attnum = att),
        CASE
            WHEN temp OR EXISTS (SELECT 1 FROM pg_stand_in.relation r
                                 WHERE r.relid = rel AND att = ANY (r.sortkeys)) THEN 'none'
            WHEN typ::regtype::text IN ('boolean', 'real', 'double precision') THEN 'none'
            WHEN typ::regtype::text IN ('super', 'varbyte') THEN 'zstd'
            WHEN typ::regtype::text IN ('character', 'character varying', 'text') THEN 'lzo'
            ELSE 'az64' END) $$;

CREATE OR REPLACE VIEW pg_stand_in.attributes AS
    SELECT c.oid AS relid, n.oid AS nspid, n.nspname::text AS nspname,
        pg_stand_in.full_name(c.relname) AS relname, c.relkind, c.relpersistence = 't' AS temp,
        a.attnum, pg_stand_in.full_name(a.attname) AS attname,
        -- TEXT is what PostgreSQL's functions return; on Redshift it is a VARCHAR.
        CASE a.atttypid WHEN 'text'::regtype THEN 'varchar'::regtype::oid ELSE a.atttypid END AS atttypid,
        CASE WHEN a.atttypid IN ('text'::regtype, 'varchar'::regtype) AND a.atttypmod = -1 THEN 65539
            ELSE a.atttypmod END AS atttypmod,
        a.attnotnull, pg_get_expr(d.adbin, d.adrelid) AS column_default,
        coalesce(a.attnum = r.distkey, false) AS is_distkey,
        coalesce(array_position(r.sortkeys, a.attnum), 0) AS sort_place,
        coalesce(r.sortstyle, 'AUTO') AS sortstyle
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
    LEFT JOIN pg_stand_in.relation r ON r.relid = c.oid
    WHERE c.relkind IN ('r', 'v')
      AND (c.relpersistence = 't' OR n.nspname !~ '^pg_' AND n.nspname <> 'information_schema');

CREATE OR REPLACE VIEW pg_catalog.pg_table_def AS
    SELECT nspname AS schemaname, relname AS tablename, attname AS "column",
        format_type(atttypid, atttypmod) AS type,
        pg_stand_in.encoding_of(relid, attnum, atttypid, temp)::char(32) AS encoding,
        is_distkey AS distkey,
        CASE WHEN sortstyle = 'INTERLEAVED' AND sort_place % 2 = 0 THEN -sort_place
             ELSE sort_place END AS sortkey,
        attnotnull AS "notnull"
    FROM pg_stand_in.attributes
    WHERE relkind = 'r' AND (temp AND nspid = pg_my_temp_schema()
                             OR nspname::name = ANY (current_schemas(false)))
    ORDER BY nspname, relname, attnum;

CREATE OR REPLACE VIEW pg_catalog.svv_columns AS
    SELECT current_database()::text AS table_catalog, nspname AS table_schema,
        relname AS table_name, attname AS column_name, attnum::int AS ordinal_position,
        column_default, CASE WHEN attnotnull THEN 'NO' ELSE 'YES' END AS is_nullable,
        format_type(atttypid, NULL) AS data_type,
        information_schema._pg_char_max_length(atttypid, atttypmod) AS character_maximum_length,
        information_schema._pg_numeric_precision(atttypid, atttypmod) AS numeric_precision,
        information_schema._pg_numeric_precision_radix(atttypid, atttypmod)
            AS numeric_precision_radix,
        information_schema._pg_numeric_scale(atttypid, atttypmod) AS numeric_scale,
        information_schema._pg_datetime_precision(atttypid, atttypmod) AS datetime_precision,
        NULL::text AS interval_type, NULL::text AS interval_precision,
        NULL::text AS character_set_catalog, NULL::text AS character_set_schema,
        NULL::text AS character_set_name, NULL::text AS collation_catalog,
        NULL::text AS collation_schema, NULL::text AS collation_name, NULL::text AS domain_name,
        col_description(relid, attnum) AS remarks
    FROM pg_stand_in.attributes
    WHERE (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
       OR has_table_privilege(relid, 'SELECT, INSERT, UPDATE, DELETE, REFERENCES, TRUNCATE')
       OR has_column_privilege(relid, attnum, 'SELECT, UPDATE');

CREATE OR REPLACE VIEW pg_catalog.svv_all_columns AS
    SELECT table_catalog::varchar(128) AS database_name, table_schema::varchar(128) AS schema_name,
        table_name::varchar(128), column_name::varchar(128), ordinal_position,
        column_default::varchar(4000), is_nullable::varchar(3), data_type::varchar(128),
        character_maximum_length, numeric_precision, numeric_scale, remarks::varchar(256)
    FROM pg_catalog.svv_columns;
