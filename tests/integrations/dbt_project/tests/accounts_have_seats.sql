select * from {{ ref('dim_accounts') }} where seats < {{ var('seats_min', 1) }}
