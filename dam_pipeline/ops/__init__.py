"""Work that a person or a script asks for by name: each op is a job in the launchpad.

Thin as the assets are: configuration in, a function below the Dagster line, events and runs out.
"""
