-- SUPER is text here: its JSON goes in and out unchanged. VARBYTE is bytea.
DO $$ BEGIN
    IF to_regtype('pg_catalog.super') IS NULL THEN CREATE DOMAIN pg_catalog.super AS text; END IF;
    IF to_regtype('pg_catalog.varbyte') IS NULL THEN CREATE DOMAIN pg_catalog.varbyte AS bytea; END IF;
END $$;
