"""What was sent, and what it came to; nothing here knows of HTTP.

The types of records and their effects, users and companies, the keys, the journal, and the log of requests.
"""
