"""Nested values: JSON text, structs, lists and maps, flattened to dotted names, as finished text for the SELECT.

There are two ways to the same bytes. Python spells a value row by row, and says what is wrong with it. DuckDB spells a
batch at a time, and says of which rows it is sure.

    spelling     the form of a value that holds no others, in Python; JSON text and Arrow's values as Python ones
    lists        lists as values of their own, and what Bucket stores of them
    fragments    all values of a row as members of an object, in Python
    local_times  times without a zone in them
    leaves       the members of a row in SQL, and the statement over a batch
    typed        those of structs, lists and maps, by their types
    shapes       those of JSON text, as far as it was seen
    bulk         a column's way: what DuckDB is sure of, and the rest in Python
"""
