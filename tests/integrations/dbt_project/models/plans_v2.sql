select plan, count(*) as accounts from {{ ref('raw_accounts') }} group by plan
