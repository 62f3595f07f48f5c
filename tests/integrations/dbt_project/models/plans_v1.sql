select distinct plan from {{ ref('raw_accounts') }}
