"""The cross-media graph: what resembles what, built from derived files, read by `dam related`."""
