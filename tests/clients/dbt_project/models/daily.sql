{{ config(materialized='table', dist='user_id', sort=['day', 'user_id'], grants={'select': [env_var('READER')]}) }}
select u.user_id, u.identity, date_trunc('day', p."time") as day, count(*) as views
from {{ ref('stg_pageviews') }} p join {{ ref('stg_users') }} u on u.user_id = p.user_id
group by 1, 2, 3
