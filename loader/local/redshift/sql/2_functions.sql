-- Redshift's functions that PostgreSQL lacks. GETDATE is the statement's time to the second,
-- SYSDATE the transaction's (AWS docs: GETDATE, SYSDATE).
CREATE OR REPLACE FUNCTION pg_catalog.getdate() RETURNS timestamp LANGUAGE sql STABLE AS $$
    SELECT date_trunc('second', statement_timestamp())::timestamp $$;
CREATE OR REPLACE FUNCTION pg_catalog.sysdate() RETURNS timestamp LANGUAGE sql STABLE AS $$
    SELECT transaction_timestamp()::timestamp $$;

-- Characters, not bytes: the database itself counts bytes.
CREATE OR REPLACE FUNCTION pg_catalog.len(text) RETURNS int LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT length(convert_to($1, 'SQL_ASCII'), 'UTF8') $$;

CREATE OR REPLACE FUNCTION pg_stand_in.part(text) RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE given text := lower($1); unit text;
BEGIN
    unit := CASE
        WHEN given IN ('millennium', 'millennia', 'mil', 'mils') THEN 'millennium'
        WHEN given IN ('century', 'centuries', 'c', 'cent', 'cents') THEN 'century'
        WHEN given IN ('decade', 'decades', 'dec', 'decs') THEN 'decade'
        WHEN given IN ('year', 'years', 'y', 'yr', 'yrs') THEN 'year'
        WHEN given IN ('quarter', 'quarters', 'qtr', 'qtrs') THEN 'quarter'
        WHEN given IN ('month', 'months', 'mon', 'mons') THEN 'month'
        WHEN given IN ('week', 'weeks', 'w') THEN 'week'
        WHEN given IN ('day', 'days', 'd') THEN 'day'
        WHEN given IN ('hour', 'hours', 'h', 'hr', 'hrs') THEN 'hour'
        WHEN given IN ('minute', 'minutes', 'm', 'min', 'mins') THEN 'minute'
        WHEN given IN ('second', 'seconds', 's', 'sec', 'secs') THEN 'second'
        WHEN given IN ('millisecond', 'milliseconds', 'ms', 'msec', 'msecs', 'msecond', 'mseconds')
            THEN 'millisecond'
        WHEN given IN ('microsecond', 'microseconds', 'us', 'usec', 'usecs', 'usecond', 'useconds',
                       'microsec', 'microsecs') THEN 'microsecond'
    END;
    IF unit IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '22023',
            MESSAGE = format('timestamp units "%s" not recognized', $1);
    END IF;
    RETURN unit;
END $$;

-- A month's last day plus months is a last day again (AWS docs: DATEADD).
CREATE OR REPLACE FUNCTION pg_stand_in.months_added(t timestamp, n bigint) RETURNS timestamp
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT CASE WHEN extract(day FROM t + interval '1 day') = 1
        THEN date_trunc('month', t + make_interval(months => n::int))
             + interval '1 month - 1 day' + t::time
        ELSE t + make_interval(months => n::int) END $$;
CREATE OR REPLACE FUNCTION pg_catalog.dateadd(part text, n bigint, t timestamp) RETURNS timestamp
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT CASE pg_stand_in.part(part)
        WHEN 'millennium' THEN pg_stand_in.months_added(t, 12000 * n)
        WHEN 'century' THEN pg_stand_in.months_added(t, 1200 * n)
        WHEN 'decade' THEN pg_stand_in.months_added(t, 120 * n)
        WHEN 'year' THEN pg_stand_in.months_added(t, 12 * n)
        WHEN 'quarter' THEN pg_stand_in.months_added(t, 3 * n)
        WHEN 'month' THEN pg_stand_in.months_added(t, n)
        WHEN 'millisecond' THEN t + n * interval '1 millisecond'
        WHEN 'microsecond' THEN t + n * interval '1 microsecond'
        ELSE t + n * ('1 ' || pg_stand_in.part(part))::interval END $$;

-- Counts the boundaries crossed from a to b, not elapsed units (AWS docs: DATEDIFF).
CREATE OR REPLACE FUNCTION pg_catalog.datediff(part text, a timestamp, b timestamp) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT CASE pg_stand_in.part(part)
        WHEN 'millennium' THEN floor((extract(year FROM b) - 1) / 1000)
                             - floor((extract(year FROM a) - 1) / 1000)
        WHEN 'century' THEN floor((extract(year FROM b) - 1) / 100)
                          - floor((extract(year FROM a) - 1) / 100)
        WHEN 'decade' THEN floor(extract(year FROM b) / 10) - floor(extract(year FROM a) / 10)
        WHEN 'year' THEN extract(year FROM b) - extract(year FROM a)
        WHEN 'quarter' THEN 4 * (extract(year FROM b) - extract(year FROM a))
                          + extract(quarter FROM b) - extract(quarter FROM a)
        WHEN 'month' THEN 12 * (extract(year FROM b) - extract(year FROM a))
                        + extract(month FROM b) - extract(month FROM a)
        -- weeks turn on Sunday: 4 January 1970 was one
        WHEN 'week' THEN floor((b::date - date '1970-01-04') / 7.0)
                       - floor((a::date - date '1970-01-04') / 7.0)
        WHEN 'day' THEN b::date - a::date
        WHEN 'hour' THEN floor(extract(epoch FROM b) / 3600) - floor(extract(epoch FROM a) / 3600)
        WHEN 'minute' THEN floor(extract(epoch FROM b) / 60) - floor(extract(epoch FROM a) / 60)
        WHEN 'second' THEN floor(extract(epoch FROM b)) - floor(extract(epoch FROM a))
        WHEN 'millisecond' THEN floor(extract(epoch FROM b) * 1000)
                              - floor(extract(epoch FROM a) * 1000)
        ELSE extract(epoch FROM b) * 1000000 - extract(epoch FROM a) * 1000000
    END::bigint $$;

CREATE OR REPLACE FUNCTION pg_catalog.convert_timezone(source text, target text, t timestamp)
RETURNS timestamp LANGUAGE sql STABLE STRICT AS $$
    SELECT (t AT TIME ZONE source) AT TIME ZONE target $$;
CREATE OR REPLACE FUNCTION pg_catalog.convert_timezone(target text, t timestamp)
RETURNS timestamp LANGUAGE sql STABLE STRICT AS $$
    SELECT (t AT TIME ZONE 'UTC') AT TIME ZONE target $$;

CREATE OR REPLACE FUNCTION pg_catalog.is_valid_json(text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT $1 IS JSON OBJECT $$;
CREATE OR REPLACE FUNCTION pg_catalog.can_json_parse(text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT $1 IS JSON $$;
CREATE OR REPLACE FUNCTION pg_catalog.json_parse(text) RETURNS super
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    IF NOT ($1 IS JSON) THEN
        RAISE EXCEPTION USING ERRCODE = 'XX000', MESSAGE = 'JSON_PARSE() error: invalid JSON';
    END IF;
    RETURN $1;
END $$;
CREATE OR REPLACE FUNCTION pg_catalog.json_serialize(super) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT $1::text::varchar $$;
CREATE OR REPLACE FUNCTION pg_catalog.json_extract_path_text(document text, VARIADIC path text[])
RETURNS varchar LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    IF NOT (document IS JSON) THEN
        RAISE EXCEPTION USING ERRCODE = 'XX000', MESSAGE = 'JSON parsing error';
    END IF;
    RETURN pg_catalog.json_extract_path_text(document::json, VARIADIC path);
END $$;
CREATE OR REPLACE FUNCTION pg_stand_in.json_path_or_null(document text, VARIADIC path text[])
RETURNS varchar LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    IF NOT (document IS JSON) THEN RETURN NULL; END IF;
    RETURN pg_catalog.json_extract_path_text(document::json, VARIADIC path);
END $$;

CREATE OR REPLACE FUNCTION pg_catalog.pg_last_copy_count() RETURNS bigint
LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('stand_in.last_copy_count', true), ''), '0')::bigint $$;
CREATE OR REPLACE FUNCTION pg_catalog.pg_last_copy_id() RETURNS int
LANGUAGE sql STABLE AS $$
    SELECT coalesce(nullif(current_setting('stand_in.last_copy_id', true), ''), '-1')::int $$;
