"""Speaking to a Dagster webserver over GraphQL, for commands that work on a remote library.

Plain HTTP and JSON; nothing here knows Dagster's own code, a home or the catalogue.
"""
