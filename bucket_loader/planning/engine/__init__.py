"""The three functions that make a plan's records, and what runs them: this process, or several.

    stage(slices) -> staged parts      the rows of a slice are mapped, and written as records
    compare(key ranges) -> positions   which of them are sent (`state/snapshots/comparing.py`)
    select(selections) -> parts        those are written as a part of the plan

Each takes items and yields what it makes of them. It pickles, and it shares nothing with another one but files: an
engine may cut the items over as many processes as it likes, in any order. What a reading came to is a sum.
"""
