select event_id, user_id, "time", lower(path) as path from {{ source('loader', 'pageviews') }}
