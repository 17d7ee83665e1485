-- More of Redshift's functions (AWS docs: SQL functions reference).
CREATE OR REPLACE FUNCTION pg_stand_in.version() RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'PostgreSQL 8.0.2 on i686-pc-linux-gnu, compiled by GCC gcc (GCC) 3.4.2 20041017'
        ' (Red Hat 3.4.2-6.fc3), Redshift 1.0.477953'::text $$;

CREATE OR REPLACE FUNCTION pg_catalog.trunc(timestamp) RETURNS date
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT $1::date $$;
CREATE OR REPLACE FUNCTION pg_catalog.last_day(timestamp) RETURNS date
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT (date_trunc('month', $1) + interval '1 month - 1 day')::date $$;
-- A month's last day plus months is a last day again (AWS docs: ADD_MONTHS, DATEADD).
CREATE OR REPLACE FUNCTION pg_catalog.add_months(t timestamp, n bigint) RETURNS timestamp
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT pg_stand_in.months_added(t, n) $$;
CREATE OR REPLACE FUNCTION pg_catalog.next_day(d timestamp, day text) RETURNS date
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT (d::date + 1 + (7 + position(pg_catalog.lower(left(day, 2)) IN 'su mo tu we th fr sa') / 3
            - extract(dow FROM d::date + 1)::int) % 7) $$;
CREATE OR REPLACE FUNCTION pg_catalog.months_between(a timestamp, b timestamp) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT (12 * (extract(year FROM a) - extract(year FROM b))
        + extract(month FROM a) - extract(month FROM b)
        + CASE WHEN extract(day FROM a) = extract(day FROM b)
                 OR (a::date = last_day(a) AND b::date = last_day(b)) THEN 0
          ELSE (extract(epoch FROM a - date_trunc('month', a))
                - extract(epoch FROM b - date_trunc('month', b))) / 86400.0 / 31 END)::float8 $$;
CREATE OR REPLACE FUNCTION pg_catalog.date_part_year(date) RETURNS int
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT extract(year FROM $1)::int $$;
CREATE OR REPLACE FUNCTION pg_catalog.date_cmp(a date, b date) RETURNS int
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT sign(a - b)::int $$;
CREATE OR REPLACE FUNCTION pg_catalog.timestamp_cmp(a timestamp, b timestamp) RETURNS int
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT sign(extract(epoch FROM a - b))::int $$;

-- NULL makes the whole NULL; PostgreSQL's skips it (AWS docs: CONCAT).
CREATE OR REPLACE FUNCTION pg_stand_in.concat(a text, b text) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT a || b $$;
CREATE OR REPLACE FUNCTION pg_stand_in.concat(a anynonarray, b text) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT a::text || b $$;
CREATE OR REPLACE FUNCTION pg_stand_in.concat(a text, b anynonarray) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT a || b::text $$;
-- All of them, not the first (AWS docs: REGEXP_REPLACE).
CREATE OR REPLACE FUNCTION pg_stand_in.regexp_replace(
    source text, pattern text, by text DEFAULT '', place int DEFAULT 1)
RETURNS varchar LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT pg_catalog.regexp_replace(source, pattern,
        pg_catalog.regexp_replace(by, '\$([0-9])', '\\\1', 'g'), place, 0) $$;
CREATE OR REPLACE FUNCTION pg_catalog.sha1(text) RETURNS varchar
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
-- SHA-1 of RFC 3174: PostgreSQL brings no digest of this name. 32-bit words in bigint.
DECLARE
    m bytea := $1::bytea; bits bigint := 8 * octet_length($1); mask bigint := 4294967295;
    h0 bigint := 1732584193; h1 bigint := 4023233417; h2 bigint := 2562383102;
    h3 bigint := 271733878; h4 bigint := 3285377520;
    a bigint; b bigint; c bigint; d bigint; e bigint; f bigint; k bigint; t bigint;
    w bigint[]; x bigint; at int := 0;
BEGIN
    m := m || '\x80'::bytea;
    m := m || decode(repeat('00', (120 - octet_length(m) % 64) % 64), 'hex') || int8send(bits);
    WHILE at < octet_length(m) LOOP
        FOR i IN 0..15 LOOP
            w[i] := (get_byte(m, at + 4*i)::bigint << 24) | (get_byte(m, at + 4*i + 1) << 16)
                  | (get_byte(m, at + 4*i + 2) << 8) | get_byte(m, at + 4*i + 3);
        END LOOP;
        FOR i IN 16..79 LOOP
            x := w[i-3] # w[i-8] # w[i-14] # w[i-16];
            w[i] := ((x << 1) | (x >> 31)) & mask;
        END LOOP;
        a := h0; b := h1; c := h2; d := h3; e := h4;
        FOR i IN 0..79 LOOP
            IF i < 20 THEN f := (b & c) | ((mask - b) & d); k := 1518500249;
            ELSIF i < 40 THEN f := b # c # d; k := 1859775393;
            ELSIF i < 60 THEN f := (b & c) | (b & d) | (c & d); k := 2400959708;
            ELSE f := b # c # d; k := 3395469782; END IF;
            t := ((((a << 5) | (a >> 27)) & mask) + f + e + k + w[i]) & mask;
            e := d; d := c; c := ((b << 30) | (b >> 2)) & mask; b := a; a := t;
        END LOOP;
        h0 := (h0 + a) & mask; h1 := (h1 + b) & mask; h2 := (h2 + c) & mask;
        h3 := (h3 + d) & mask; h4 := (h4 + e) & mask; at := at + 64;
    END LOOP;
    RETURN lpad(to_hex(h0), 8, '0') || lpad(to_hex(h1), 8, '0') || lpad(to_hex(h2), 8, '0')
        || lpad(to_hex(h3), 8, '0') || lpad(to_hex(h4), 8, '0');
END $$;
CREATE OR REPLACE FUNCTION pg_catalog.sha(text) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT pg_catalog.sha1($1) $$;
CREATE OR REPLACE FUNCTION pg_catalog.func_sha1(text) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT pg_catalog.sha1($1) $$;
CREATE OR REPLACE FUNCTION pg_catalog.sha2(text, bits int) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT encode(CASE bits WHEN 0 THEN sha256($1::bytea) WHEN 256 THEN sha256($1::bytea)
        WHEN 224 THEN sha224($1::bytea) WHEN 384 THEN sha384($1::bytea)
        WHEN 512 THEN sha512($1::bytea) END, 'hex') $$;
CREATE OR REPLACE FUNCTION pg_stand_in.crc32(text) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT to_hex(pg_catalog.crc32($1::bytea)) $$;
-- FNV-1a of 64 bits (AWS docs: FNV_HASH): of the bytes of a text, of the eight bytes of an integer.
CREATE OR REPLACE FUNCTION pg_catalog.fnv_hash(text, seed bigint DEFAULT -3750763034362895579)
RETURNS bigint LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE h numeric := CASE WHEN seed < 0 THEN seed + 18446744073709551616 ELSE seed END;
    low int;
BEGIN
    FOR i IN 0..octet_length($1) - 1 LOOP
        low := (h % 256)::int;
        h := (h - low + (low # get_byte($1::bytea, i))) * 1099511628211 % 18446744073709551616;
    END LOOP;
    RETURN CASE WHEN h >= 9223372036854775808 THEN h - 18446744073709551616 ELSE h END;
END $$;
CREATE OR REPLACE FUNCTION pg_catalog.strtol(digits text, base int) RETURNS bigint
LANGUAGE plpgsql IMMUTABLE STRICT AS $$
DECLARE n bigint := 0; s text := pg_catalog.lower(pg_catalog.btrim(digits)); digit int;
    minus boolean := left(s, 1) = '-';
BEGIN
    s := pg_catalog.ltrim(s, '+-');
    IF base = 16 AND left(s, 2) = '0x' THEN s := substr(s, 3); END IF;
    FOR i IN 1..octet_length(s) LOOP
        digit := position(substr(s, i, 1) IN '0123456789abcdefghijklmnopqrstuvwxyz') - 1;
        IF digit < 0 OR digit >= base THEN
            RAISE EXCEPTION USING ERRCODE = '22P02',
                MESSAGE = format('The input %s is not valid to be converted to base %s',
                                 digits, base);
        END IF;
        n := n * base + digit;
    END LOOP;
    RETURN CASE WHEN minus THEN -n ELSE n END;
END $$;
CREATE OR REPLACE FUNCTION pg_catalog.dexp(float8) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT exp($1) $$;
CREATE OR REPLACE FUNCTION pg_catalog.dlog1(float8) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT ln($1) $$;
CREATE OR REPLACE FUNCTION pg_catalog.dlog10(float8) RETURNS float8
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT log($1) $$;
CREATE OR REPLACE FUNCTION pg_catalog.textlen(text) RETURNS int
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT pg_catalog.len($1) $$;

-- JSON as text, and SUPER
CREATE OR REPLACE FUNCTION pg_catalog.json_extract_array_element_text(
    document text, place int, null_if_invalid boolean DEFAULT false)
RETURNS varchar LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    IF document IS JSON ARRAY THEN
        RETURN CASE WHEN place < 0 THEN NULL ELSE document::json ->> place END;
    ELSIF null_if_invalid THEN RETURN NULL;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'XX000', MESSAGE = 'JSON parsing error';
END $$;
CREATE OR REPLACE FUNCTION pg_stand_in.json_array_length(
    document text, null_if_invalid boolean DEFAULT false)
RETURNS int LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    IF document IS JSON ARRAY THEN RETURN pg_catalog.json_array_length(document::json);
    ELSIF null_if_invalid THEN RETURN NULL;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'XX000', MESSAGE = 'JSON parsing error';
END $$;
CREATE OR REPLACE FUNCTION pg_catalog.is_valid_json_array(text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT $1 IS JSON ARRAY $$;
CREATE OR REPLACE FUNCTION pg_stand_in.json_typeof(super) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT json_typeof($1::text::json) $$;
CREATE OR REPLACE FUNCTION pg_catalog.json_size(super) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT octet_length($1::text)::bigint $$;
CREATE OR REPLACE FUNCTION pg_catalog.is_array(super) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT $1::text IS JSON ARRAY $$;
CREATE OR REPLACE FUNCTION pg_catalog.is_object(super) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT $1::text IS JSON OBJECT $$;
CREATE OR REPLACE FUNCTION pg_catalog.is_scalar(super) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT $1::text IS JSON SCALAR $$;
CREATE OR REPLACE FUNCTION pg_catalog.is_varchar(super) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT json_typeof($1::text::json) = 'string' $$;
CREATE OR REPLACE FUNCTION pg_catalog.is_boolean(super) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT json_typeof($1::text::json) = 'boolean' $$;
CREATE OR REPLACE FUNCTION pg_catalog.is_valid_json(super) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    PERFORM pg_stand_in.fail('42883', 'function is_valid_json(super) does not exist');
END $$;
CREATE OR REPLACE FUNCTION pg_catalog.get_array_length(super) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT CASE WHEN $1::text IS JSON ARRAY THEN json_array_length($1::text::json)::bigint END $$;

CREATE OR REPLACE FUNCTION pg_catalog.current_user_id() RETURNS int LANGUAGE sql STABLE AS $$
    SELECT oid::int FROM pg_roles WHERE rolname = current_user $$;

-- Checks that the proxy asks for before a statement
CREATE OR REPLACE FUNCTION pg_stand_in.merge_source(source text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_class WHERE oid = to_regclass(source) AND relkind <> 'r') THEN
        PERFORM pg_stand_in.fail('0A000', 'MERGE source must be a table');
    END IF;
END $$;
CREATE OR REPLACE FUNCTION pg_stand_in.not_a_view(target text, what text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF EXISTS (SELECT 1 FROM pg_class WHERE oid = to_regclass(target) AND relkind = 'v') THEN
        PERFORM pg_stand_in.fail('0A000', format('cannot %s a view', what));
    END IF;
END $$;
CREATE OR REPLACE FUNCTION pg_stand_in.same_columns(a oid, b oid) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF (SELECT count(*) FROM pg_attribute WHERE attrelid = a AND attnum > 0 AND NOT attisdropped)
       <> (SELECT count(*) FROM pg_attribute WHERE attrelid = b AND attnum > 0 AND NOT attisdropped)
    THEN
        PERFORM pg_stand_in.fail('0A000',
            'MERGE REMOVE DUPLICATES needs the same number of columns in source and target');
    END IF;
END $$;

CREATE OR REPLACE FUNCTION pg_stand_in.drop_key(rel oid, called text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM pg_stand_in.informational_key i USING pg_stand_in.key k
        WHERE k.id = i.id AND k.relid = rel AND k.conname = called;
    IF NOT FOUND THEN
        PERFORM pg_stand_in.fail('42704', format('constraint "%s" of relation "%s" does not exist',
            called, (SELECT relname FROM pg_class WHERE oid = rel)));
    END IF;
END $$;

-- ALTER TABLE APPEND: what source and target must have in common, then the rows move.
CREATE OR REPLACE FUNCTION pg_stand_in.append(target oid, source oid, mode text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE pair record; shared text; wrong text; moved bigint;
BEGIN
    IF target = source OR EXISTS (SELECT 1 FROM pg_class WHERE oid IN (target, source)
            AND (relkind <> 'r' OR relpersistence = 't')) THEN
        PERFORM pg_stand_in.fail('0A000',
            'ALTER TABLE APPEND needs two different permanent tables');
    END IF;
    FOR pair IN
        SELECT coalesce(t.attname, s.attname) AS name, t.attnum AS t, s.attnum AS s,
            (t.atttypid, t.atttypmod) IS DISTINCT FROM (s.atttypid, s.atttypmod) AS typed,
            t.attnotnull IS DISTINCT FROM s.attnotnull AS nulls,
            t.attidentity <> '' AND s.attidentity <> '' AS identity,
            pg_stand_in.encoding_of(target, t.attnum, t.atttypid, false)
                IS DISTINCT FROM pg_stand_in.encoding_of(source, s.attnum, s.atttypid, false) AS coded,
            (SELECT t.attnum = distkey FROM pg_stand_in.relation WHERE relid = target)
                IS DISTINCT FROM
            (SELECT s.attnum = distkey FROM pg_stand_in.relation WHERE relid = source) AS dist,
            (SELECT array_position(sortkeys, t.attnum) FROM pg_stand_in.relation WHERE relid = target)
                IS DISTINCT FROM
            (SELECT array_position(sortkeys, s.attnum) FROM pg_stand_in.relation WHERE relid = source)
                AS sort
        FROM (SELECT * FROM pg_attribute WHERE attrelid = target AND attnum > 0
              AND NOT attisdropped) t
        FULL JOIN (SELECT * FROM pg_attribute WHERE attrelid = source AND attnum > 0
              AND NOT attisdropped) s USING (attname)
    LOOP
        wrong := CASE
            WHEN pair.t IS NULL AND mode <> 'ignoreextra' THEN 'is not in the target table'
            WHEN pair.s IS NULL AND mode <> 'filltarget' THEN 'is not in the source table'
            WHEN pair.t IS NULL OR pair.s IS NULL THEN NULL
            WHEN pair.typed THEN 'has another type or size'
            WHEN pair.nulls THEN 'differs in NOT NULL'
            WHEN pair.identity THEN 'is an identity column'
            WHEN pair.dist THEN 'differs in the distribution key'
            WHEN pair.sort THEN 'differs in the sort key'
            WHEN pair.coded THEN 'has another encoding' END;
        IF wrong IS NOT NULL THEN
            PERFORM pg_stand_in.fail('0A000',
                format('ALTER TABLE APPEND: column "%s" %s', pair.name, wrong));
        END IF;
        IF pair.t IS NOT NULL AND pair.s IS NOT NULL THEN
            shared := concat_ws(', ', shared, quote_ident(pair.name));
        END IF;
    END LOOP;
    EXECUTE format('INSERT INTO %s (%s) SELECT %s FROM %s', target::regclass, shared, shared,
                   source::regclass);
    EXECUTE format('DELETE FROM %s', source::regclass);
    GET DIAGNOSTICS moved = ROW_COUNT;
    -- Blocks come as they are; the source's room comes back with VACUUM DELETE ONLY.
    PERFORM pg_stand_in.note_write(target, false, moved, 0, 0);
    PERFORM pg_stand_in.note_write(source, false, 0, 0, moved);
END $$;

-- The average of integers is an integer (AWS docs: AVG).
CREATE OR REPLACE FUNCTION pg_stand_in.whole_average(int8[]) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT $1[2] / nullif($1[1], 0) $$;
CREATE OR REPLACE FUNCTION pg_stand_in.add_big(numeric[], bigint) RETURNS numeric[]
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT ARRAY[$1[1] + 1, $1[2] + $2] $$;
CREATE OR REPLACE FUNCTION pg_stand_in.whole_average_big(numeric[]) RETURNS bigint
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT pg_catalog.trunc($1[2] / nullif($1[1], 0))::bigint $$;
CREATE OR REPLACE AGGREGATE pg_stand_in.avg(int2) (
    sfunc = int2_avg_accum, stype = int8[], initcond = '{0,0}',
    finalfunc = pg_stand_in.whole_average);
CREATE OR REPLACE AGGREGATE pg_stand_in.avg(int4) (
    sfunc = int4_avg_accum, stype = int8[], initcond = '{0,0}',
    finalfunc = pg_stand_in.whole_average);
CREATE OR REPLACE AGGREGATE pg_stand_in.avg(int8) (
    sfunc = pg_stand_in.add_big, stype = numeric[], initcond = '{0,0}',
    finalfunc = pg_stand_in.whole_average_big);
CREATE OR REPLACE AGGREGATE pg_stand_in.avg(numeric) (
    sfunc = numeric_avg_accum, stype = internal, finalfunc = numeric_avg);
CREATE OR REPLACE AGGREGATE pg_stand_in.avg(float8) (
    sfunc = float8_accum, stype = float8[], initcond = '{0,0,0}', finalfunc = float8_avg);
CREATE OR REPLACE AGGREGATE pg_stand_in.avg(interval) (
    sfunc = interval_avg_accum, stype = internal, finalfunc = interval_avg);
