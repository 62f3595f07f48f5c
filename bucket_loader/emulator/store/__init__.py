"""What was sent: users, companies, events, the journal, and the requests."""
