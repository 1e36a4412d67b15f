"""Configuration in, open domain objects out: what assets and sensors are handed by Dagster."""
