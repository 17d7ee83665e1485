{{ config(materialized='view', bind=False) }}
select user_id, nvl("identity", 'nobody') as identity from {{ source('loader', 'users') }}
