-- What Redshift keeps in its catalog and PostgreSQL has no place for. Keyed by relation oid and
-- attribute number, so that a rename follows, and written in the client's own transaction.
CREATE SCHEMA IF NOT EXISTS pg_stand_in;

CREATE TABLE IF NOT EXISTS pg_stand_in.relation (
    relid oid PRIMARY KEY,
    diststyle text NOT NULL DEFAULT 'AUTO',      -- AUTO, EVEN, KEY, ALL
    distkey int2,
    sortstyle text NOT NULL DEFAULT 'AUTO',      -- AUTO, COMPOUND, INTERLEAVED, NONE
    sortkeys int2[] NOT NULL DEFAULT '{}',
    backup boolean NOT NULL DEFAULT true,
    created timestamp NOT NULL
);
CREATE TABLE IF NOT EXISTS pg_stand_in.encoding (
    relid oid, attnum int2, encoding text NOT NULL, PRIMARY KEY (relid, attnum)
);
CREATE TABLE IF NOT EXISTS pg_stand_in.informational_key (
    relid oid NOT NULL, kind text NOT NULL, attnums int2[] NOT NULL
);
ALTER TABLE pg_stand_in.informational_key ADD COLUMN IF NOT EXISTS named text;
CREATE TABLE IF NOT EXISTS pg_stand_in.late_view (relid oid PRIMARY KEY, body text NOT NULL);
-- Repeats do no harm: each session adds what it meets, in and beside its transaction.
CREATE TABLE IF NOT EXISTS pg_stand_in.long_name (short text NOT NULL, long text NOT NULL);
ALTER TABLE pg_stand_in.long_name DROP CONSTRAINT IF EXISTS long_name_pkey;
CREATE INDEX IF NOT EXISTS long_name_short ON pg_stand_in.long_name (short);

CREATE OR REPLACE FUNCTION pg_stand_in.forget_dropped() RETURNS event_trigger
LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    DELETE FROM pg_stand_in.relation WHERE relid IN (
        SELECT objid FROM pg_event_trigger_dropped_objects()
        WHERE classid = 'pg_class'::regclass AND objsubid = 0);
    DELETE FROM pg_stand_in.encoding e USING pg_event_trigger_dropped_objects() d
        WHERE d.classid = 'pg_class'::regclass AND e.relid = d.objid
          AND (d.objsubid = 0 OR d.objsubid = e.attnum);
    DELETE FROM pg_stand_in.informational_key WHERE relid IN (
        SELECT objid FROM pg_event_trigger_dropped_objects()
        WHERE classid = 'pg_class'::regclass AND objsubid = 0);
    DELETE FROM pg_stand_in.late_view WHERE relid IN (
        SELECT objid FROM pg_event_trigger_dropped_objects() WHERE classid = 'pg_class'::regclass
        AND objsubid = 0);
END $$;
DROP EVENT TRIGGER IF EXISTS stand_in_forget_dropped;
CREATE EVENT TRIGGER stand_in_forget_dropped ON sql_drop
    EXECUTE FUNCTION pg_stand_in.forget_dropped();

CREATE OR REPLACE FUNCTION pg_stand_in.fail(code text, message text) RETURNS void
LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION USING ERRCODE = code, MESSAGE = message; END $$;

CREATE OR REPLACE FUNCTION pg_stand_in.full_name(short text) RETURNS text
LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT coalesce((SELECT l.long FROM pg_stand_in.long_name l WHERE l.short = $1 LIMIT 1), $1) $$;

-- The relation a CREATE has just made: unqualified names land in the first schema of the path.
CREATE OR REPLACE FUNCTION pg_stand_in.created(schema_name text, rel_name text, temp boolean)
RETURNS oid LANGUAGE sql STABLE AS $$
    SELECT c.oid FROM pg_class c WHERE c.relname = rel_name AND c.relnamespace = CASE
        WHEN temp THEN pg_my_temp_schema()
        ELSE (SELECT oid FROM pg_namespace WHERE nspname = coalesce(schema_name, current_schema()))
    END $$;

CREATE OR REPLACE FUNCTION pg_stand_in.attribute(rel oid, col text) RETURNS int2
LANGUAGE plpgsql STABLE AS $$
DECLARE found_number int2;
BEGIN
    SELECT attnum INTO found_number FROM pg_attribute
        WHERE attrelid = rel AND attname = col AND attnum > 0 AND NOT attisdropped;
    IF found_number IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = '42703', MESSAGE = format(
            'column "%s" of relation "%s" does not exist', col,
            (SELECT relname FROM pg_class WHERE oid = rel));
    END IF;
    RETURN found_number;
END $$;

-- attrs: like (relation name), diststyle, distkey, sortstyle, sortkeys [], backup, encodings {},
-- keys [[kind, [columns], name]]. Absent keys keep what stands, or the default.
CREATE OR REPLACE FUNCTION pg_stand_in.record(rel oid, attrs jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE source oid; entry record;
BEGIN
    INSERT INTO pg_stand_in.relation (relid, created)
        VALUES (rel, clock_timestamp() AT TIME ZONE 'UTC') ON CONFLICT DO NOTHING;
    IF attrs ? 'like' THEN
        source := (attrs->>'like')::regclass;
        UPDATE pg_stand_in.relation r SET diststyle = s.diststyle, sortstyle = s.sortstyle,
                backup = s.backup,
                distkey = (SELECT n.attnum FROM pg_attribute o JOIN pg_attribute n
                    ON n.attrelid = rel AND n.attname = o.attname
                    WHERE o.attrelid = source AND o.attnum = s.distkey),
                sortkeys = coalesce((SELECT array_agg(n.attnum ORDER BY k.place)
                    FROM unnest(s.sortkeys) WITH ORDINALITY k(attnum, place)
                    JOIN pg_attribute o ON o.attrelid = source AND o.attnum = k.attnum
                    JOIN pg_attribute n ON n.attrelid = rel AND n.attname = o.attname), '{}')
            FROM pg_stand_in.relation s WHERE s.relid = source AND r.relid = rel;
        INSERT INTO pg_stand_in.encoding
            SELECT rel, n.attnum, e.encoding FROM pg_stand_in.encoding e
            JOIN pg_attribute o ON o.attrelid = source AND o.attnum = e.attnum
            JOIN pg_attribute n ON n.attrelid = rel AND n.attname = o.attname
            WHERE e.relid = source;
    END IF;
    UPDATE pg_stand_in.relation SET
        diststyle = coalesce(attrs->>'diststyle', diststyle),
        distkey = CASE
            WHEN attrs ? 'distkey' THEN pg_stand_in.attribute(rel, attrs->>'distkey')
            WHEN attrs ? 'diststyle' THEN NULL ELSE distkey END,
        sortstyle = coalesce(attrs->>'sortstyle', sortstyle),
        sortkeys = CASE WHEN attrs ? 'sortkeys' THEN coalesce((
            SELECT array_agg(pg_stand_in.attribute(rel, k.col) ORDER BY k.place)
            FROM jsonb_array_elements_text(attrs->'sortkeys') WITH ORDINALITY k(col, place)), '{}')
            ELSE sortkeys END,
        backup = coalesce((attrs->>'backup')::boolean, backup)
        WHERE relid = rel;
    INSERT INTO pg_stand_in.encoding
        SELECT rel, pg_stand_in.attribute(rel, key), value
        FROM jsonb_each_text(coalesce(attrs->'encodings', '{}'))
        ON CONFLICT (relid, attnum) DO UPDATE SET encoding = excluded.encoding;
    FOR entry IN SELECT value FROM jsonb_array_elements(coalesce(attrs->'keys', '[]')) LOOP
        INSERT INTO pg_stand_in.informational_key
            (relid, kind, attnums, named)
            SELECT rel, entry.value->>0, array_agg(pg_stand_in.attribute(rel, col)),
                nullif(entry.value->>2, '')
            FROM jsonb_array_elements_text(entry.value->1) col;
    END LOOP;
END $$;

-- ALTER COLUMN TYPE: only another VARCHAR size (AWS docs: ALTER TABLE).
CREATE OR REPLACE FUNCTION pg_stand_in.check_resize(rel oid, col text, new_size int) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE a record; longest int;
BEGIN
    SELECT * INTO a FROM pg_attribute
        WHERE attrelid = rel AND attnum = pg_stand_in.attribute(rel, col);
    IF a.atttypid <> 'varchar'::regtype THEN
        PERFORM pg_stand_in.fail('0A000',
            format('ALTER COLUMN TYPE of column "%s" is not supported: not a VARCHAR', col));
    END IF;
    IF EXISTS (SELECT 1 FROM pg_stand_in.encoding e WHERE e.relid = rel AND e.attnum = a.attnum
               AND e.encoding IN ('bytedict', 'runlength', 'text255', 'text32k')) THEN
        PERFORM pg_stand_in.fail('0A000', format(
            'ALTER COLUMN TYPE of column "%s" is not supported with its encoding', col));
    END IF;
    IF EXISTS (SELECT 1 FROM pg_stand_in.informational_key k
               WHERE k.relid = rel AND a.attnum = ANY (k.attnums)) THEN
        PERFORM pg_stand_in.fail('0A000', format(
            'ALTER COLUMN TYPE of column "%s" is not supported with a constraint', col));
    END IF;
    IF new_size + 4 < a.atttypmod THEN
        IF a.atthasdef THEN
            PERFORM pg_stand_in.fail('0A000',
                'cannot decrease a VARCHAR column size with default value');
        END IF;
        EXECUTE format('SELECT max(octet_length(%I)) FROM %s', col, rel::regclass) INTO longest;
        IF longest > new_size THEN
            PERFORM pg_stand_in.fail('0A000', format(
                'target column size %s should be larger or equal to current maximum column size %s',
                new_size, longest));
        END IF;
    END IF;
    IF EXISTS (SELECT 1 FROM pg_depend d JOIN pg_rewrite r ON d.objid = r.oid
               WHERE d.classid = 'pg_rewrite'::regclass AND d.refobjid = rel
                 AND d.refobjsubid = a.attnum) THEN
        PERFORM pg_stand_in.fail('0A000',
            'cannot alter type of a column used by a view or rule');
    END IF;
END $$;

-- Reading the relation itself would give no rows of the view's, so it fails instead.
CREATE OR REPLACE FUNCTION pg_stand_in.not_expanded() RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM pg_stand_in.fail('0A000',
        'stand-in: a late-binding view can only be read through the stand-in that created it');
    RETURN false;
END $$;

-- A late-binding view is kept as text and expanded by the proxy where a statement names it. The
-- relation made here carries its name, owner, grants and, where the text resolves now, its columns.
CREATE OR REPLACE FUNCTION pg_stand_in.create_late_view(
    schema_name text, view_name text, replace_it boolean, body text, executable text)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    target text := format('%I.%I', coalesce(schema_name, current_schema()), view_name);
    old oid := to_regclass(target);
    columns text; old_acl aclitem[]; old_owner name;
BEGIN
    IF old IS NOT NULL THEN
        IF NOT replace_it THEN
            PERFORM pg_stand_in.fail('42P07', format('relation "%s" already exists', view_name));
        END IF;
        SELECT relacl, pg_get_userbyid(relowner) INTO old_acl, old_owner
            FROM pg_class WHERE oid = old AND relkind = 'v';
        IF NOT FOUND THEN
            PERFORM pg_stand_in.fail('42809', format('"%s" is not a view', view_name));
        END IF;
        EXECUTE 'DROP VIEW ' || target;
    END IF;
    BEGIN
        EXECUTE format('CREATE VIEW %s AS %s', target, executable);
        SELECT string_agg(format('NULL::%s AS %I', format_type(atttypid, atttypmod), attname), ', '
                          ORDER BY attnum)
            INTO columns FROM pg_attribute
            WHERE attrelid = target::regclass AND attnum > 0;
        EXECUTE 'DROP VIEW ' || target;
    EXCEPTION WHEN undefined_table OR undefined_column OR undefined_function
              OR invalid_schema_name THEN
        columns := '';
    END;
    EXECUTE format('CREATE VIEW %s AS SELECT %s WHERE pg_stand_in.not_expanded()', target,
                   coalesce(columns, ''));
    IF old_owner IS NOT NULL THEN
        EXECUTE format('ALTER VIEW %s OWNER TO %I', target, old_owner);
        UPDATE pg_class SET relacl = old_acl WHERE oid = target::regclass;
    END IF;
    INSERT INTO pg_stand_in.late_view VALUES (target::regclass, body);
END $$;
