"""What is known of a run, as one value: from the ledger, the plan and the dead letters that are still there."""
