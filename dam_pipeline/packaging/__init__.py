"""Packages: a folder an agency can take as it is, and the manifest that says what is in it.

Masters are only read. The same selection, records and tools give the same bytes.
"""
