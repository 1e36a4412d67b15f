"""The preview server: pages and pictures of the library for people and for the Dagster UI.

It only reads, binds to loopback unless told otherwise, and loads nothing from elsewhere.
"""
