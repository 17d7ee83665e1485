{{ config(materialized='incremental', unique_key='event_id', incremental_strategy='delete+insert',
          dist='even', sort='time') }}
select event_id, user_id, "time", path from {{ ref('stg_pageviews') }}
{% if is_incremental() %} where "time" > (select max("time") from {{ this }}) {% endif %}
