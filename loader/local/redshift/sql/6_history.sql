-- What ran. The proxy writes these tables before a statement that reads one of the views.
CREATE TABLE IF NOT EXISTS pg_stand_in.statement (
    query bigint, userid int, label text, xid bigint, pid int, body text, kind text, command text,
    starttime timestamp, endtime timestamp, aborted int, message text, returned bigint, commits boolean
);
CREATE INDEX IF NOT EXISTS statement_query ON pg_stand_in.statement (query);
CREATE TABLE IF NOT EXISTS pg_stand_in.session_log (
    userid int, username text, pid int, application text, starttime timestamp, endtime timestamp
);

-- Superusers and users with unrestricted access to the logs see all, others their own rows.
CREATE OR REPLACE VIEW pg_stand_in.my_statement AS
    SELECT * FROM pg_stand_in.statement WHERE (SELECT pg_stand_in.sees_all()) OR userid = (SELECT pg_stand_in.my_id());

CREATE OR REPLACE VIEW pg_catalog.stl_query AS
    SELECT userid, query::int AS query,
        (CASE label WHEN '' THEN 'default' ELSE label END)::char(320) AS label, xid, pid,
        current_database()::char(32) AS database, left(body, 4000)::char(4000) AS querytxt, starttime,
        endtime, aborted, 0 AS insert_pristine, 0 AS concurrency_scaling_status
    FROM pg_stand_in.my_statement WHERE kind = 'QUERY' AND endtime IS NOT NULL;
CREATE OR REPLACE VIEW pg_stand_in.statement_part AS
    SELECT s.*, n.part AS sequence, substr(s.body, n.part * 200 + 1, 200) AS piece
    FROM pg_stand_in.my_statement s
    CROSS JOIN LATERAL generate_series(0, greatest(length(s.body) - 1, 0) / 200) n(part)
    WHERE s.endtime IS NOT NULL;
CREATE OR REPLACE VIEW pg_catalog.stl_querytext AS
    SELECT userid, xid, pid, query::int AS query, sequence, piece::char(200) AS text
    FROM pg_stand_in.statement_part WHERE kind = 'QUERY';
CREATE OR REPLACE VIEW pg_catalog.stl_ddltext AS
    SELECT userid, xid, pid, label::char(320) AS label, starttime, endtime, sequence,
        piece::char(200) AS text
    FROM pg_stand_in.statement_part WHERE kind = 'DDL';
CREATE OR REPLACE VIEW pg_catalog.stl_utilitytext AS
    SELECT userid, xid, pid, label::char(320) AS label, starttime, endtime, sequence,
        piece::char(200) AS text
    FROM pg_stand_in.statement_part WHERE kind = 'UTILITY';
CREATE OR REPLACE VIEW pg_catalog.svl_statementtext AS
    SELECT userid, xid, pid, label::char(320) AS label, starttime, endtime, sequence,
        kind::varchar(10) AS type, piece::char(200) AS text
    FROM pg_stand_in.statement_part;
CREATE OR REPLACE VIEW pg_catalog.svl_qlog AS
    SELECT userid, query::int AS query, xid, pid, starttime, endtime,
        (extract(epoch FROM endtime - starttime) * 1000000)::bigint AS elapsed, aborted,
        (CASE label WHEN '' THEN 'default' ELSE label END)::char(320) AS label,
        left(body, 60)::char(60) AS substring, NULL::int AS source_query
    FROM pg_stand_in.my_statement WHERE kind = 'QUERY' AND endtime IS NOT NULL;

CREATE OR REPLACE VIEW pg_catalog.sys_query_history AS
    SELECT userid AS user_id, query AS query_id,
        (CASE label WHEN '' THEN 'default' ELSE label END)::char(320) AS query_label,
        xid AS transaction_id, pid AS session_id, current_database()::char(128) AS database_name,
        (CASE WHEN kind = 'DDL' THEN 'DDL' WHEN kind = 'UTILITY' THEN 'UTILITY'
            WHEN command = 'with' THEN 'SELECT' ELSE upper(command) END)::char(32) AS query_type,
        (CASE WHEN endtime IS NULL THEN 'running' WHEN message LIKE '%cancelled%' THEN 'canceled'
            WHEN aborted = 1 THEN 'failed' ELSE 'success' END)::char(10) AS status,
        false AS result_cache_hit, starttime AS start_time, endtime AS end_time, t.micros AS elapsed_time,
        0::bigint AS queue_time, t.micros AS execution_time, left(message, 512)::char(512) AS error_message,
        returned AS returned_rows, NULL::bigint AS returned_bytes, left(body, 4000)::char(4000) AS query_text,
        'Redshift 1.0.0 (stand-in)'::char(256) AS redshift_version, 0::bigint AS compile_time,
        0::bigint AS planning_time, 0::bigint AS lock_wait_time
    FROM pg_stand_in.my_statement
    CROSS JOIN LATERAL (SELECT (extract(epoch FROM coalesce(endtime, clock_timestamp()
        AT TIME ZONE 'UTC') - starttime) * 1000000)::bigint) t(micros);
CREATE OR REPLACE VIEW pg_catalog.sys_query_text AS
    SELECT userid AS user_id, query AS query_id, xid AS transaction_id, pid AS session_id,
        starttime AS start_time, sequence, piece::char(200) AS text
    FROM pg_stand_in.statement_part;
CREATE OR REPLACE VIEW pg_catalog.sys_transaction_history AS
    SELECT userid AS user_id, xid AS transaction_id, NULL::char(50) AS isolation_level,
        (CASE WHEN bool_or(commits AND aborted = 0) THEN 'committed'
            WHEN bool_or(endtime IS NULL) THEN 'running' ELSE 'rolled back' END)::char(50) AS status,
        min(starttime) AS transaction_start_time, max(starttime) FILTER (WHERE commits) AS commit_start_time,
        max(endtime) AS commit_end_time
    FROM pg_stand_in.statement GROUP BY 1, 2;

CREATE OR REPLACE VIEW pg_catalog.stv_recents AS
    SELECT s.userid, (CASE WHEN s.endtime IS NULL THEN 'Running' ELSE 'Done' END)::char(20) AS status,
        s.starttime, (extract(epoch FROM coalesce(s.endtime, clock_timestamp() AT TIME ZONE 'UTC')
            - s.starttime) * 1000000)::int AS duration,
        r.rolname::char(50) AS user_name, current_database()::char(50) AS db_name,
        left(s.body, 600)::char(600) AS query, CASE WHEN s.endtime IS NULL THEN s.pid ELSE -1 END AS pid
    FROM pg_stand_in.my_statement s LEFT JOIN pg_catalog.pg_roles r ON r.oid::int = s.userid
    ORDER BY s.endtime IS NULL DESC, s.starttime DESC LIMIT 100;
CREATE OR REPLACE VIEW pg_catalog.stv_inflight AS
    SELECT userid, 0 AS slice, query::int AS query, (CASE label WHEN '' THEN 'default' ELSE label END)::char(320)
        AS label, xid, pid, starttime, left(body, 100)::char(100) AS text, 0 AS suspended,
        0 AS insert_pristine, 0 AS concurrency_scaling_status
    FROM pg_stand_in.my_statement WHERE endtime IS NULL AND kind = 'QUERY';
CREATE OR REPLACE VIEW pg_catalog.stv_sessions AS
    SELECT starttime, pid AS process, username::char(50) AS user_name,
        current_database()::char(50) AS db_name,
        coalesce((SELECT o.sessiontimeout FROM pg_stand_in.user_option o WHERE o.usesysid::int = l.userid), 0)
            AS timeout_sec
    FROM pg_stand_in.session_log l
    WHERE endtime IS NULL AND ((SELECT pg_stand_in.sees_all()) OR userid = (SELECT pg_stand_in.my_id()));
CREATE OR REPLACE VIEW pg_catalog.sys_session_history AS
    SELECT userid AS user_id, pid AS session_id, current_database()::char(128) AS database_name,
        (CASE WHEN endtime IS NULL THEN 'active' ELSE 'completed' END)::char(50) AS status,
        starttime AS start_time, endtime AS end_time
    FROM pg_stand_in.session_log WHERE (SELECT pg_stand_in.sees_all()) OR userid = (SELECT pg_stand_in.my_id());
CREATE OR REPLACE VIEW pg_catalog.stl_sessions AS
    SELECT userid, starttime, endtime, pid AS process, username::char(50) AS user_name,
        current_database()::char(50) AS db_name, 0 AS timeout_sec, 0 AS timed_out
    FROM pg_stand_in.session_log
    WHERE endtime IS NOT NULL AND ((SELECT pg_stand_in.sees_all()) OR userid = (SELECT pg_stand_in.my_id()));
CREATE OR REPLACE VIEW pg_catalog.stl_connection_log AS
    SELECT 'initiating session'::char(50) AS event, starttime AS recordtime, '127.0.0.1'::char(45) AS remotehost,
        pid, current_database()::char(50) AS dbname, username::char(50) AS username,
        application::char(250) AS application_name FROM pg_stand_in.session_log
    UNION ALL
    SELECT 'disconnecting session', endtime, '127.0.0.1', pid, current_database()::char(50),
        username::char(50), application::char(250) FROM pg_stand_in.session_log WHERE endtime IS NOT NULL;

-- One row per commit. The stand-in has no queue: what waits, waits for locks before.
CREATE OR REPLACE VIEW pg_catalog.stl_commit_stats AS
    SELECT xid, -1 AS node, starttime AS startqueue, starttime AS startwork, endtime AS endflush,
        endtime AS stagestart, endtime AS stageend, endtime AS endlocal, endtime AS endcommit,
        0::bigint AS queuelen, NULL::bigint AS permblocks, NULL::bigint AS newblocks,
        NULL::bigint AS dirtyblocks, NULL::bigint AS headers, 1 AS numxids, xid AS oldestxid,
        0::bigint AS extwritelatency, NULL::int AS metadatawritten, NULL::bigint AS tombstonedblocks,
        NULL::bigint AS tossedblocks, NULL::bigint AS batched_by
    FROM pg_stand_in.statement WHERE commits AND aborted = 0 AND endtime IS NOT NULL;
CREATE OR REPLACE VIEW pg_catalog.stl_tr_conflict AS
    SELECT s.xid AS xact_id, s.pid AS process_id,
        (SELECT min(o.starttime) FROM pg_stand_in.statement o WHERE o.xid = s.xid) AS xact_start_ts,
        s.endtime AS abort_time, NULL::int AS table_id
    FROM pg_stand_in.statement s WHERE s.message = '1023';
CREATE OR REPLACE VIEW pg_catalog.svv_transactions AS
    SELECT a.usename::text AS txn_owner, a.datname::text AS txn_db, s.xid,
        a.pid, (a.xact_start AT TIME ZONE 'UTC') AS txn_start, l.mode AS lock_mode,
        CASE l.locktype WHEN 'relation' THEN 'relation' ELSE 'transactionid' END AS lockable_object_type,
        l.relation::int AS relation, l.granted
    FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid
    LEFT JOIN LATERAL (SELECT max(t.xid) AS xid FROM pg_stand_in.statement t WHERE t.pid = a.pid) s ON true
    WHERE l.locktype IN ('relation', 'transactionid') AND a.usesysid <> 10
      AND (l.relation IS NULL OR NOT EXISTS (SELECT 1 FROM pg_catalog.pg_class c
            WHERE c.oid = l.relation AND (pg_stand_in.hidden(c.relnamespace)
                OR c.relnamespace = 'pg_catalog'::regnamespace)))
      AND ((SELECT pg_stand_in.sees_all()) OR a.usename = current_user);

CREATE OR REPLACE FUNCTION pg_catalog.pg_last_query_id() RETURNS int LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('stand_in.last_query_id', true), ''), '-1')::int $$;

-- A cluster of one node with two slices, as ra3.xlplus has them.
CREATE OR REPLACE VIEW pg_catalog.stv_slices AS
    SELECT 0 AS node, n AS slice, 0 AS localslice, 'D'::char(1) AS type FROM generate_series(0, 1) n;
-- Blocks of 1 MB on the file system that holds the database.
CREATE OR REPLACE FUNCTION pg_stand_in.blocks() RETURNS bigint LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT ceil(pg_database_size(current_database()) / 1048576.0)::bigint $$;
CREATE OR REPLACE FUNCTION pg_stand_in.capacity() RETURNS bigint LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('stand_in.capacity_mb', true), ''), '1048576')::bigint $$;
CREATE OR REPLACE VIEW pg_catalog.stv_partitions AS
    SELECT 0 AS owner, 0 AS host, 0 AS diskno, 0::bigint AS part_begin,
        pg_stand_in.capacity() * 1048576 AS part_end, pg_stand_in.blocks()::int AS used, 0 AS tossed,
        pg_stand_in.capacity()::int AS capacity, 0::bigint AS reads, 0::bigint AS writes,
        0 AS seek_forward, 0 AS seek_back, 0 AS is_san, 0 AS failed, 0 AS mbps,
        '/dev/nvme0n1'::char(256) AS mount;
CREATE OR REPLACE VIEW pg_catalog.stv_node_storage_capacity AS
    SELECT 0 AS node, pg_stand_in.blocks()::int AS used, pg_stand_in.capacity()::int AS capacity;
