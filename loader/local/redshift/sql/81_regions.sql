-- Which rows stand in a table's sorted region, and which are deleted but not yet reclaimed (AWS docs:
-- Vacuuming tables; Loading your data in sort key order). PostgreSQL has neither, so both are counted:
-- one row a write, in the client's own transaction. Nothing is updated, so writers never wait here.
CREATE TABLE IF NOT EXISTS pg_stand_in.write_log (
    id bigint GENERATED ALWAYS AS IDENTITY,
    relid oid NOT NULL,
    xid xid8 NOT NULL,
    kind text NOT NULL,            -- write; base: counting starts anew; analyze
    inserted bigint NOT NULL DEFAULT 0,
    sorted bigint NOT NULL DEFAULT 0,  -- of the inserted, into the sorted region
    updated bigint NOT NULL DEFAULT 0,
    deleted bigint NOT NULL DEFAULT 0,
    high text                      -- greatest sort key in the table, where a COPY told
);
CREATE INDEX IF NOT EXISTS write_log_relid ON pg_stand_in.write_log (relid, id);

CREATE TABLE IF NOT EXISTS pg_stand_in.vacuum_log (
    userid int, xid bigint, table_id int, status char(30), "rows" bigint, sortedrows int,
    blocks int, max_merge_partitions int, eventtime timestamp, reclaimable_rows bigint,
    reclaimable_space_mb bigint, cutoff_xid bigint, is_recluster int
);

CREATE OR REPLACE FUNCTION pg_stand_in.forget_writes() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM pg_stand_in.write_log WHERE relid IN (
        SELECT objid FROM pg_event_trigger_dropped_objects()
        WHERE classid = 'pg_class'::regclass AND objsubid = 0);
END $$;
DROP EVENT TRIGGER IF EXISTS stand_in_forget_writes;
CREATE EVENT TRIGGER stand_in_forget_writes ON sql_drop
    EXECUTE FUNCTION pg_stand_in.forget_writes();

-- Rows on disk, of them outside the sorted region and of them deleted; rows changed since ANALYZE
-- (NULL: never analyzed); the greatest sort key, NULL where it is not known.
CREATE OR REPLACE FUNCTION pg_stand_in.region(
    rel oid, OUT total bigint, OUT unsorted bigint, OUT deleted bigint, OUT changed bigint,
    OUT high text)
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    WITH l AS (SELECT * FROM pg_stand_in.write_log w WHERE w.relid = rel AND w.id >= coalesce(
            (SELECT max(id) FROM pg_stand_in.write_log WHERE relid = rel AND kind = 'base'), 0)),
        a AS (SELECT max(id) AS id FROM pg_stand_in.write_log WHERE relid = rel AND kind = 'analyze')
    SELECT coalesce(sum(l.inserted + l.updated), 0)::bigint,
        coalesce(sum(l.inserted + l.updated - l.sorted), 0)::bigint,
        coalesce(sum(l.deleted + l.updated), 0)::bigint,
        (SELECT CASE WHEN a.id IS NOT NULL THEN coalesce(sum(w.inserted + w.updated + w.deleted), 0)
            END FROM a LEFT JOIN pg_stand_in.write_log w
            ON w.relid = rel AND w.id > a.id AND w.kind = 'write' GROUP BY a.id)::bigint,
        (SELECT w.high FROM l w WHERE w.kind <> 'analyze' ORDER BY w.id DESC LIMIT 1)
    FROM l $$;

-- The one sort key that lets COPY append to the sorted region; no row where there is none: a compound
-- key of one column that is NOT NULL (AWS docs: Loading your data in sort key order).
CREATE OR REPLACE FUNCTION pg_stand_in.append_key(rel oid)
RETURNS TABLE (attname name, type text) LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT a.attname, format_type(a.atttypid, a.atttypmod) FROM pg_stand_in.relation r
        JOIN pg_attribute a ON a.attrelid = r.relid AND a.attnum = r.sortkeys[1]
        WHERE r.relid = rel AND r.sortstyle = 'COMPOUND' AND cardinality(r.sortkeys) = 1
          AND a.attnotnull $$;

-- What a statement wrote to a table. Rows go to the sorted region where a bulk load meets an empty
-- table, or where a COPY's keys are all above the others'; the comparison is of the first eight bytes.
CREATE OR REPLACE FUNCTION pg_stand_in.note_write(
    rel oid, bulk boolean, inserted bigint, updated bigint, deleted bigint,
    low text DEFAULT NULL, top text DEFAULT NULL, above text DEFAULT NULL)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    was record; key record; fits boolean; now_high text;
BEGIN
    IF inserted + updated + deleted = 0 OR NOT EXISTS (SELECT 1 FROM pg_class
            WHERE oid = rel AND relkind = 'r' AND relpersistence <> 't') THEN
        RETURN;
    END IF;
    SELECT * INTO was FROM pg_stand_in.region(rel);
    fits := bulk AND was.total = 0;
    SELECT * INTO key FROM pg_stand_in.append_key(rel);
    IF FOUND AND low IS NOT NULL THEN
        now_high := top;
        IF NOT fits AND was.unsorted = 0 AND coalesce(was.high, above) IS NOT NULL THEN
            IF key.type LIKE 'character%' THEN
                fits := substr(low, 1, 8) > substr(coalesce(was.high, above), 1, 8);
            ELSE
                EXECUTE format('SELECT %L::%s > %L::%s', low, key.type,
                               coalesce(was.high, above), key.type) INTO fits;
            END IF;
        END IF;
        IF NOT fits THEN
            now_high := NULL;
        END IF;
    END IF;
    INSERT INTO pg_stand_in.write_log (relid, xid, kind, inserted, sorted, updated, deleted, high)
        VALUES (rel, pg_current_xact_id(), 'write', inserted, CASE WHEN fits THEN inserted ELSE 0 END,
                updated, deleted, now_high);
END $$;

-- A MERGE tells one number; PostgreSQL's own counters part it. They are of the session and not always
-- empty at a transaction's start, so they are read before it and behind it.
CREATE OR REPLACE FUNCTION pg_stand_in.tuple_counts(rel oid)
RETURNS bigint[] LANGUAGE sql VOLATILE AS $$
    SELECT array[pg_stat_get_xact_tuples_inserted(rel), pg_stat_get_xact_tuples_updated(rel),
                 pg_stat_get_xact_tuples_deleted(rel)] $$;
CREATE OR REPLACE FUNCTION pg_stand_in.before_merge(rel oid)
RETURNS text LANGUAGE sql VOLATILE AS $$
    SELECT set_config('stand_in.before_merge', pg_stand_in.tuple_counts(rel)::text, true) $$;
CREATE OR REPLACE FUNCTION pg_stand_in.note_merge(rel oid)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    was bigint[] := coalesce(nullif(current_setting('stand_in.before_merge', true), ''), '{0,0,0}');
    now bigint[] := pg_stand_in.tuple_counts(rel);
BEGIN
    PERFORM pg_stand_in.note_write(rel, false, now[1] - was[1], now[2] - was[2], now[3] - was[3]);
END $$;

-- The rows of a table that this transaction has made by a query: nobody else has written to it.
CREATE OR REPLACE FUNCTION pg_stand_in.note_made(rel oid)
RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
    SELECT pg_stand_in.note_write(rel, true, pg_stat_get_xact_tuples_inserted(rel), 0, 0) $$;

-- What a COPY must know before it begins: the column whose range it has to watch, and the greatest
-- key there is. That is looked up in the table itself only where no earlier COPY left it.
CREATE OR REPLACE FUNCTION pg_stand_in.before_copy(rel oid, OUT key name, OUT above text, OUT pristine boolean)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE was record;
BEGIN
    SELECT * INTO was FROM pg_stand_in.region(rel);
    pristine := was.total = 0;
    SELECT attname INTO key FROM pg_stand_in.append_key(rel);
    IF key IS NOT NULL AND was.total > 0 AND was.unsorted = 0 AND was.high IS NULL THEN
        EXECUTE format('SELECT max(%I)::text FROM %s', key, rel::regclass) INTO above;
    END IF;
END $$;

CREATE OR REPLACE FUNCTION pg_stand_in.note_analyze(rel oid) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
    INSERT INTO pg_stand_in.write_log (relid, xid, kind)
        SELECT c.oid, pg_current_xact_id(), 'analyze' FROM pg_class c
        WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND c.relnamespace::regnamespace::text
            !~ '^(pg_|information_schema)' AND (rel IS NULL OR c.oid = rel) $$;

CREATE OR REPLACE FUNCTION pg_stand_in.note_truncate(rel oid) RETURNS void
LANGUAGE sql SECURITY DEFINER AS $$
    INSERT INTO pg_stand_in.write_log (relid, xid, kind) VALUES (rel, pg_current_xact_id(), 'base') $$;

-- Percent of the statistics that are out of date.
CREATE OR REPLACE FUNCTION pg_stand_in.stats_off(rel oid, live bigint) RETURNS numeric(5,2)
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN r.changed IS NULL THEN 100 WHEN live = 0 THEN 0
        ELSE least(100, 100.0 * r.changed / live) END FROM pg_stand_in.region(rel) r $$;

-- One table of a VACUUM. ``sorts`` and ``reclaims`` say what the mode does; a phase is left out where
-- the table is good enough already (AWS docs: VACUUM, TO threshold PERCENT).
CREATE OR REPLACE FUNCTION pg_stand_in.note_vacuum(
    rel oid, mode text, sorts boolean, reclaims boolean, threshold int)
RETURNS void LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    was record; live bigint; sort_it boolean; reclaim_it boolean; total bigint; loose bigint;
    gone bigint; key_there boolean; upto bigint; me int;
BEGIN
    SELECT oid::int INTO me FROM pg_roles WHERE rolname = session_user;
    SELECT max(id) INTO upto FROM pg_stand_in.write_log WHERE relid = rel;
    SELECT * INTO was FROM pg_stand_in.region(rel);
    live := pg_stand_in.row_count(rel);
    key_there := EXISTS (SELECT 1 FROM pg_stand_in.relation WHERE relid = rel
                         AND cardinality(sortkeys) > 0);
    total := greatest(was.total, live + was.deleted, 1);
    sort_it := sorts AND key_there AND (100.0 * was.unsorted > (100 - threshold) * total
                                        OR threshold = 100 AND was.unsorted > 0);
    reclaim_it := reclaims AND (100.0 * was.deleted > (100 - threshold) * total
                                OR threshold = 100 AND was.deleted > 0);
    PERFORM pg_stand_in.vacuum_event(me, rel, CASE
        WHEN sort_it AND reclaim_it THEN 'Started' WHEN sort_it THEN 'Started Sort Only'
        WHEN reclaim_it THEN 'Started Delete Only'
        WHEN reclaims AND NOT sorts THEN 'Skipped(delete only)'
        WHEN sorts AND NOT key_there THEN 'Skipped'
        WHEN sorts THEN format('Skipped(sorted>=%s%%)', threshold) ELSE 'Skipped' END,
        total, total - was.unsorted, was.deleted, mode = 'recluster');
    IF NOT (sort_it OR reclaim_it) THEN
        RETURN;
    END IF;
    -- Deleted rows are taken to be spread evenly over both regions.
    gone := CASE WHEN reclaim_it THEN 0 ELSE was.deleted END;
    loose := CASE WHEN sort_it THEN 0
        ELSE round(1.0 * was.unsorted * (live + gone) / total)::bigint END;
    DELETE FROM pg_stand_in.write_log WHERE relid = rel AND kind <> 'analyze' AND id <= upto;
    INSERT INTO pg_stand_in.write_log (relid, xid, kind, inserted, sorted, deleted)
        VALUES (rel, pg_current_xact_id(), 'base', live + gone, live + gone - loose, gone);
    PERFORM pg_stand_in.vacuum_event(me, rel, 'Finished', live + gone, live + gone - loose, gone,
                                     mode = 'recluster');
END $$;

CREATE OR REPLACE FUNCTION pg_stand_in.vacuum_event(
    me int, rel oid, what text, total bigint, sorted bigint, deleted bigint, recluster boolean)
RETURNS void LANGUAGE sql SECURITY DEFINER AS $$
    INSERT INTO pg_stand_in.vacuum_log VALUES (me, pg_current_xact_id()::text::bigint, rel::int,
        what, total, sorted::int, ceil(pg_table_size(rel) / 1048576.0)::int, 0,
        clock_timestamp() AT TIME ZONE 'UTC', deleted,
        (pg_table_size(rel) * deleted / greatest(total, 1) / 1048576)::bigint, 0, recluster::int) $$;

-- Percent of the rows that a sort would bring to another place: those outside the sorted region whose
-- key is below one that stands before them.
CREATE OR REPLACE FUNCTION pg_stand_in.sort_benefit(rel oid) RETURNS numeric(12,2)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE key name; out_of_place bigint; was record;
BEGIN
    SELECT a.attname INTO key FROM pg_stand_in.relation r JOIN pg_attribute a
        ON a.attrelid = r.relid AND a.attnum = r.sortkeys[1] WHERE r.relid = rel;
    SELECT * INTO was FROM pg_stand_in.region(rel);
    IF key IS NULL OR was.unsorted = 0 THEN
        RETURN CASE WHEN key IS NULL THEN NULL ELSE 0 END;
    END IF;
    EXECUTE format($sql$
        WITH loose AS (SELECT DISTINCT (xid::text::bigint & 4294967295)::text::xid AS x
                FROM pg_stand_in.write_log
                WHERE relid = $1 AND kind = 'write' AND inserted + updated > sorted),
            r AS (SELECT t.ctid AS place, %1$I AS k, loose.x IS NOT NULL AS u
                FROM %2$s t LEFT JOIN loose ON loose.x::text = t.xmin::text),
            top AS (SELECT max(k) AS k FROM r WHERE NOT u),
            o AS (SELECT k, u, max(k) OVER (ORDER BY place ROWS BETWEEN UNBOUNDED PRECEDING
                AND 1 PRECEDING) AS before FROM r WHERE u)
        SELECT count(*) FROM o, top WHERE o.k < greatest(top.k, o.before)
        $sql$, key, rel::regclass) INTO out_of_place USING rel;
    RETURN round(100.0 * out_of_place / greatest(was.total, 1), 2);
END $$;

-- Size of the widest column that is no sort key over the size of the first sort key.
CREATE OR REPLACE FUNCTION pg_stand_in.skew_sortkey1(rel oid) RETURNS numeric(19,2)
LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE key int2; key_size text; others text; ratio numeric;
BEGIN
    SELECT sortkeys[1] INTO key FROM pg_stand_in.relation WHERE relid = rel;
    SELECT max(CASE WHEN attnum = key THEN format('sum(pg_column_size(%I))', attname) END),
        string_agg(CASE WHEN attnum <> key THEN format('sum(pg_column_size(%I))', attname) END, ', ')
        INTO key_size, others FROM pg_attribute
        WHERE attrelid = rel AND attnum > 0 AND NOT attisdropped;
    IF key_size IS NULL OR others IS NULL THEN
        RETURN NULL;
    END IF;
    EXECUTE format('SELECT greatest(%s) / nullif(%s, 0)::numeric FROM %s', others, key_size,
                   rel::regclass) INTO ratio;
    RETURN round(ratio, 2);
END $$;

CREATE OR REPLACE VIEW pg_catalog.stl_vacuum AS
    SELECT * FROM pg_stand_in.vacuum_log WHERE pg_stand_in.sees(userid);
