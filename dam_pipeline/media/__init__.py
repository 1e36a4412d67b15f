"""Media in: what a file says of itself (`probing`), and its pictures and sound (`decoder`).

Originals are only read; everything decoded happens in a child process. Nothing here knows the
catalogue, the stores, the models or Dagster.
"""
