"""A reverse-ETL loader for Bucket: exports and warehouses in, users, companies, events and feedback out."""

__version__ = "0.1.0"
