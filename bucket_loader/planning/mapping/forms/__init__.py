"""The forms of values on the wire, as SQL: each type of a source, each type that a person may ask for.

A value passes three levels of the SELECT, each named by a letter and the value's number: `n` is the column with its
null values made null, `p` is that parsed to a type, `v` is the value sent. A `Form` says what `p` and `v` are, when a
row is wrong, and how `v` is spelt in JSON. The same value has the same spelling from every source: numbers in their
shortest form, whole ones without a point, those beyond a double's certainty as exact text.

    form      what a form is
    numbers   of numbers and truth values
    scales    of scores on a scale of their own
    times     of moments, dates and durations
    natural   of a value for which no type is asked
    texts     of texts, ids and hashes
    typed     of a value for which a type is asked
"""
