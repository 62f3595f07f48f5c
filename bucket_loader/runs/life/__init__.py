"""The life of one row: what every run knows of a user, a company or a record, from its source to the API's answer.

sought --search--> records of plans --fates, rules, comparing--> Life <--letters, remembered, now
"""
