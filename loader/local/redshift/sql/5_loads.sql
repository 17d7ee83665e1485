-- What COPY and UNLOAD leave behind. Rows are written beside the client's transaction, so a rollback
-- keeps them (AWS docs: STL_LOAD_ERRORS, STL_LOAD_COMMITS, STL_UNLOAD_LOG, SYS_LOAD_HISTORY).
CREATE SEQUENCE IF NOT EXISTS pg_stand_in.query_id;
CREATE TABLE IF NOT EXISTS pg_stand_in.load_error (
    userid int, slice int, tbl int, starttime timestamp, session int, query int,
    filename char(256), line_number bigint, colname char(127), type char(10), col_length char(10),
    "position" int, raw_line char(1024), raw_field_value char(1024), err_code int,
    err_reason char(100), is_partial int, start_offset bigint, copy_job_id bigint,
    transaction_id bigint, database_name char(64), error_message char(512)
);
CREATE TABLE IF NOT EXISTS pg_stand_in.load_error_detail (
    userid int, slice int, session int, query int, filename char(256), line_number bigint,
    field int, colname char(1024), value char(1024), is_null int, type char(10),
    col_length char(10)
);
CREATE TABLE IF NOT EXISTS pg_stand_in.load_history (
    user_id int, query_id bigint, transaction_id bigint, session_id int, database_name text,
    status text, table_name text, start_time timestamp, end_time timestamp, duration bigint,
    data_source text, file_format text, loaded_rows bigint, loaded_bytes bigint,
    source_file_count int, source_file_bytes bigint, file_count_scanned int,
    file_bytes_scanned bigint, error_count bigint, copy_job_id bigint
);
CREATE TABLE IF NOT EXISTS pg_stand_in.load_commit (
    userid int, query int, slice int, name char(256), filename char(256), byte_offset int,
    lines_scanned int, errors int, curtime timestamp, status int, file_format char(16),
    is_partial int, start_offset bigint, copy_job_id bigint
);
CREATE TABLE IF NOT EXISTS pg_stand_in.unload_log (
    userid int, query int, slice int, pid int, path char(1280), start_time timestamp,
    end_time timestamp, line_count bigint, transfer_size bigint, file_format char(10)
);
CREATE TABLE IF NOT EXISTS pg_stand_in.unload_history (
    user_id int, query_id bigint, transaction_id bigint, session_id int, database_name text,
    status text, start_time timestamp, end_time timestamp, duration bigint, file_format text,
    compression_type text, unloaded_location text, unloaded_rows bigint,
    unloaded_files_count bigint, unloaded_files_size bigint, error_message text
);

CREATE OR REPLACE FUNCTION pg_catalog.pg_last_unload_count() RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('stand_in.last_unload_count', true), ''), '0')::bigint $$;
CREATE OR REPLACE FUNCTION pg_catalog.pg_last_unload_id() RETURNS int
LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('stand_in.last_unload_id', true), ''), '-1')::int $$;

-- A superuser sees all rows, others their own (AWS docs: Visibility of data in system tables).
CREATE OR REPLACE FUNCTION pg_stand_in.sees(row_user int) RETURNS boolean
LANGUAGE sql STABLE AS $$
    SELECT pg_stand_in.sees_all() OR row_user = pg_stand_in.my_id() $$;

CREATE OR REPLACE VIEW pg_catalog.stl_load_errors AS
    SELECT userid, slice, tbl, starttime, session, query, filename, line_number, colname, type,
        col_length, "position", raw_line, raw_field_value, err_code, err_reason, is_partial,
        start_offset, copy_job_id FROM pg_stand_in.load_error WHERE pg_stand_in.sees(userid);
CREATE OR REPLACE VIEW pg_catalog.stl_loaderror_detail AS
    SELECT * FROM pg_stand_in.load_error_detail WHERE pg_stand_in.sees(userid);
CREATE OR REPLACE VIEW pg_catalog.sys_load_error_detail AS
    SELECT userid AS user_id, query::bigint AS query_id, transaction_id, session AS session_id,
        database_name, tbl AS table_id, starttime AS start_time, filename AS file_name,
        line_number, colname AS column_name, type AS column_type, col_length AS column_length,
        "position", err_code AS error_code, error_message
        FROM pg_stand_in.load_error WHERE pg_stand_in.sees(userid);
CREATE OR REPLACE VIEW pg_catalog.sys_load_history AS
    SELECT * FROM pg_stand_in.load_history WHERE pg_stand_in.sees(user_id);
CREATE OR REPLACE VIEW pg_catalog.stl_load_commits AS
    SELECT * FROM pg_stand_in.load_commit WHERE pg_stand_in.sees(userid);
CREATE OR REPLACE VIEW pg_catalog.stl_unload_log AS
    SELECT * FROM pg_stand_in.unload_log WHERE pg_stand_in.sees(userid);
CREATE OR REPLACE VIEW pg_catalog.sys_unload_history AS
    SELECT * FROM pg_stand_in.unload_history WHERE pg_stand_in.sees(user_id);
GRANT USAGE ON SCHEMA pg_stand_in TO PUBLIC;
GRANT EXECUTE ON FUNCTION pg_stand_in.sees(int) TO PUBLIC;
GRANT USAGE ON SEQUENCE pg_stand_in.query_id TO PUBLIC;
GRANT SELECT ON pg_catalog.stl_load_errors, pg_catalog.stl_loaderror_detail,
    pg_catalog.sys_load_error_detail, pg_catalog.sys_load_history, pg_catalog.stl_load_commits,
    pg_catalog.stl_unload_log, pg_catalog.sys_unload_history
    TO PUBLIC;
