"""Which features turn on and off, for whom: a plan held against the rules, before anything is sent.

outcomes     what a filter may come to where not all is known
definitions  the rules, as GET /features gives them
engine       rules over columns: each combination of values is evaluated once
asked        the fields that rules ask for, and where the records have them
gathered     what streams have delivered and a plan sends, of the subjects that the plan touches
contexts     these, merged as the API merges them, before and after
flips        what differs between the two
impact       all of it for a plan
"""
