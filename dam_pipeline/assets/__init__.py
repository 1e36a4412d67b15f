"""Declarations to Dagster of what the stages and the graph make; no arithmetic, SQL or ffmpeg."""
