"""User studies: people judge pictures of a finished run.

`design` draws who judges what in which order, `files` keeps it, `pictures` makes what is shown, `make` does all three.
The page that people open, and the scoring of their votes, are of `reports.study`.
"""
