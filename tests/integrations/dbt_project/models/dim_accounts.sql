select account_id, name, seats, plan, signed_up
from {{ ref('picked_accounts') }}
