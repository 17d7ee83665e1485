-- Text functions that count characters: the database itself counts bytes (AWS docs: String functions).
-- ASCII goes the short way, in functions that are not STRICT so that the planner puts them in place.
CREATE OR REPLACE FUNCTION pg_stand_in.chars(text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT coalesce(array_agg(m[1] ORDER BY n), '{}')
    FROM regexp_matches($1, '[\x01-\x7f]|[\xc0-\xff][\x80-\xbf]*', 'g') WITH ORDINALITY r(m, n) $$;
CREATE OR REPLACE FUNCTION pg_stand_in.plain(text) RETURNS boolean
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT octet_length($1) = pg_catalog.len($1) $$;

CREATE OR REPLACE FUNCTION pg_stand_in.substr(text, start int, size int) RETURNS varchar
LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN size < 0 THEN ''
        WHEN pg_stand_in.plain($1) THEN pg_catalog.substr($1, start, size)
        ELSE array_to_string((pg_stand_in.chars($1))[greatest(start, 1):start + size - 1], '') END $$;
CREATE OR REPLACE FUNCTION pg_stand_in.substr(text, start int) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT pg_stand_in.substr($1, start, 2000000000 - abs(start)) $$;
CREATE OR REPLACE FUNCTION pg_stand_in."left"(text, n int) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT pg_stand_in.substr($1, 1, greatest(n, 0)) $$;
CREATE OR REPLACE FUNCTION pg_stand_in."right"(text, n int) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT pg_stand_in.substr($1, greatest(pg_catalog.len($1) - n, 0) + 1, greatest(n, 0)) $$;
CREATE OR REPLACE FUNCTION pg_stand_in.reverse_letters(text) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT AS $$
        SELECT string_agg(c, '' ORDER BY n DESC)
        FROM unnest(pg_stand_in.chars($1)) WITH ORDINALITY u(c, n) $$;
CREATE OR REPLACE FUNCTION pg_stand_in.reverse(text) RETURNS varchar LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN pg_stand_in.plain($1) THEN pg_catalog.reverse($1)
        ELSE pg_stand_in.reverse_letters($1) END $$;
CREATE OR REPLACE FUNCTION pg_stand_in.fill(size int, with_text text) RETURNS text
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT pg_stand_in.substr(repeat(with_text, size), 1, greatest(size, 0)) $$;
CREATE OR REPLACE FUNCTION pg_stand_in.lpad(text, size int, with_text text DEFAULT ' ')
RETURNS varchar LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT pg_stand_in.fill(size - pg_catalog.len($1), with_text) || pg_stand_in.substr($1, 1, size) $$;
CREATE OR REPLACE FUNCTION pg_stand_in.rpad(text, size int, with_text text DEFAULT ' ')
RETURNS varchar LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT pg_stand_in.substr($1, 1, size) || pg_stand_in.fill(size - pg_catalog.len($1), with_text) $$;
CREATE OR REPLACE FUNCTION pg_stand_in.strpos(text, part text) RETURNS int
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT CASE pg_catalog.strpos($1, part) WHEN 0 THEN 0
        ELSE pg_catalog.len(pg_catalog.substr($1, 1, pg_catalog.strpos($1, part) - 1)) + 1 END $$;
CREATE OR REPLACE FUNCTION pg_catalog.charindex(part text, text) RETURNS int
LANGUAGE sql IMMUTABLE STRICT AS $$ SELECT pg_stand_in.strpos($2, part) $$;
CREATE OR REPLACE FUNCTION pg_stand_in.upper_letters(text) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT AS $$
        SELECT string_agg(coalesce(l.big, pg_catalog.upper(c)), '' ORDER BY n)
        FROM unnest(pg_stand_in.chars($1)) WITH ORDINALITY u(c, n)
        LEFT JOIN pg_stand_in.letter l ON l.small = c $$;
CREATE OR REPLACE FUNCTION pg_stand_in.upper(text) RETURNS varchar LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN pg_stand_in.plain($1) THEN pg_catalog.upper($1)
        ELSE pg_stand_in.upper_letters($1) END $$;
CREATE OR REPLACE FUNCTION pg_stand_in.lower_letters(text) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT AS $$
        SELECT string_agg(coalesce(l.small, pg_catalog.lower(c)), '' ORDER BY n)
        FROM unnest(pg_stand_in.chars($1)) WITH ORDINALITY u(c, n)
        LEFT JOIN pg_stand_in.letter l ON l.big = c AND l.back $$;
CREATE OR REPLACE FUNCTION pg_stand_in.lower(text) RETURNS varchar LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN pg_stand_in.plain($1) THEN pg_catalog.lower($1)
        ELSE pg_stand_in.lower_letters($1) END $$;
CREATE OR REPLACE FUNCTION pg_stand_in.initcap_letters(text) RETURNS varchar
LANGUAGE sql IMMUTABLE STRICT AS $$
        SELECT string_agg(CASE WHEN before IS NULL OR before !~ '[A-Za-z0-9\x80-\xff]'
            THEN pg_stand_in.upper(c) ELSE pg_stand_in.lower(c) END, '' ORDER BY n)
        FROM (SELECT c, n, lag(c) OVER (ORDER BY n) AS before
              FROM unnest(pg_stand_in.chars($1)) WITH ORDINALITY u(c, n)) s $$;
CREATE OR REPLACE FUNCTION pg_stand_in.initcap(text) RETURNS varchar LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN pg_stand_in.plain($1) THEN pg_catalog.initcap($1)
        ELSE pg_stand_in.initcap_letters($1) END $$;
GRANT USAGE ON SCHEMA pg_stand_in TO PUBLIC;
GRANT SELECT ON pg_stand_in.letter TO PUBLIC;
