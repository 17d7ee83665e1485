-- Who may read what. The side tables are the proxy's, in the session of any user.
GRANT USAGE ON SCHEMA pg_stand_in, pg_redshift TO PUBLIC;
GRANT SELECT ON pg_stand_in.relation, pg_stand_in.encoding, pg_stand_in.informational_key,
    pg_stand_in.late_view, pg_stand_in.long_name, pg_stand_in.user_option, pg_stand_in.assume_role,
    pg_stand_in.attributes, pg_stand_in.key, pg_stand_in.membership, pg_stand_in.known_grants TO PUBLIC;
GRANT INSERT ON pg_stand_in.long_name, pg_stand_in.late_view TO PUBLIC;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA pg_stand_in TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA pg_redshift TO PUBLIC;
-- Everybody may read a system view, except those named below.
DO $$
DECLARE v record;
BEGIN
    FOR v IN SELECT c.relname FROM pg_class c WHERE c.relnamespace = 'pg_catalog'::regnamespace
             AND c.relkind = 'v' AND c.relname ~ '^(stl|stv|svl|svv|svcs|sys|pg_table_def|pg_user_info)'
    LOOP
        EXECUTE format('GRANT SELECT ON pg_catalog.%I TO PUBLIC', v.relname);
    END LOOP;
END $$;
-- Visible to superusers only (AWS docs: the page of each view). GRANT SELECT by a superuser opens them.
REVOKE SELECT ON pg_catalog.svv_table_info, pg_catalog.svl_user_info, pg_catalog.stl_commit_stats,
    pg_catalog.stl_tr_conflict, pg_catalog.stl_connection_log, pg_catalog.sys_transaction_history,
    pg_catalog.stv_slices, pg_catalog.stv_partitions, pg_catalog.stv_node_storage_capacity FROM PUBLIC;

-- On Redshift every user may use and create in the schema public (AWS docs: Schemas).
GRANT USAGE, CREATE ON SCHEMA public TO PUBLIC;
ALTER SCHEMA public OWNER TO CURRENT_USER;
