"""Digital-asset-management pipeline: one media file is one partition of a chain of assets.

The packages below the Dagster line (`stages` and what it stands on) are plain Python; `assets`,
`jobs`, `definitions` and the top-level packages `resources` and `sensors` declare them to Dagster.
"""

__version__ = "0.1.0"
