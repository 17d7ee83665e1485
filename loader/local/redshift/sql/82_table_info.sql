-- SVV_TABLE_INFO from real counts: rows counted, regions as the write log has them. A column's figure is
-- worked out only where a query asks for it.
CREATE OR REPLACE VIEW pg_catalog.svv_table_info AS
    SELECT current_database()::text AS database, n.nspname::text AS schema, c.oid AS table_id,
        pg_stand_in.full_name(c.relname) AS "table",
        CASE WHEN EXISTS (SELECT 1 FROM pg_stand_in.encoding e WHERE e.relid = c.oid
                          AND e.encoding <> 'raw') THEN 'Y' ELSE 'Y, AUTO(ENCODE)' END AS encoded,
        CASE coalesce(r.diststyle, 'AUTO')
            WHEN 'KEY' THEN format('KEY(%s)', (SELECT pg_stand_in.full_name(attname)
                FROM pg_attribute WHERE attrelid = c.oid AND attnum = r.distkey))
            WHEN 'AUTO' THEN 'AUTO(ALL)' ELSE r.diststyle END AS diststyle,
        CASE WHEN r.sortstyle = 'INTERLEAVED' THEN 'INTERLEAVED'
            WHEN cardinality(r.sortkeys) > 0 THEN (SELECT pg_stand_in.full_name(attname)
                FROM pg_attribute WHERE attrelid = c.oid AND attnum = r.sortkeys[1])
            WHEN coalesce(r.sortstyle, 'AUTO') = 'AUTO' THEN 'AUTO(SORTKEY)' END AS sortkey1,
        (SELECT max(atttypmod - 4) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0
            AND NOT attisdropped AND atttypid = 'varchar'::regtype)::int AS max_varchar,
        (SELECT pg_stand_in.encoding_of(c.oid, attnum, atttypid, false) FROM pg_attribute
            WHERE attrelid = c.oid AND attnum = r.sortkeys[1])::char(32) AS sortkey1_enc,
        coalesce(cardinality(r.sortkeys), 0) AS sortkey_num,
        ceil(pg_table_size(c.oid) / 1048576.0)::bigint AS size,
        NULL::numeric(10,4) AS pct_used, 0::bigint AS empty,
        CASE WHEN cardinality(r.sortkeys) > 0
            THEN 100.0 * g.unsorted / greatest(g.total, k.rows + g.deleted) END::numeric(5,2)
            AS unsorted,
        pg_stand_in.stats_off(c.oid, k.rows)::numeric(5,2) AS stats_off,
        (k.rows + g.deleted)::numeric(38,0) AS tbl_rows,
        pg_stand_in.skew_sortkey1(c.oid)::numeric(19,2) AS skew_sortkey1,
        CASE r.diststyle WHEN 'KEY' THEN pg_stand_in.skew(c.oid, r.distkey) WHEN 'EVEN' THEN 1 END
            ::numeric(19,2) AS skew_rows,
        k.rows::numeric(38,0) AS estimated_visible_rows, NULL::text AS risk_event,
        pg_stand_in.sort_benefit(c.oid)::numeric(12,2) AS vacuum_sort_benefit, r.created AS create_time
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_stand_in.relation r ON r.relid = c.oid
    CROSS JOIN LATERAL pg_stand_in.row_count(c.oid) k(rows)
    CROSS JOIN LATERAL pg_stand_in.region(c.oid) g
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND k.rows + g.deleted > 0
      AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema';
