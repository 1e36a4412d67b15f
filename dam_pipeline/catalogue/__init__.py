"""The catalogue: which media exist, where they were seen, and how far each stage has come.

An index in SQL (SQLite by default): `dam rebuild` makes it again from the derived files.
"""
