"""What a plan changes, in the forms that `plan --diff` prints.

values    what there is to print            showing   a value in few signs, none of which does anything
text      for a terminal                    markdown  for a comment on a pull request
members   JSON, for programs                page      HTML, one file
"""
