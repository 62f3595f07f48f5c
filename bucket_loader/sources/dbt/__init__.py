"""Models of dbt: which relation each is, whether it was built, and how dbt itself connects to its database."""
