"""Bad input and trouble through the real pipeline: one bad thing never costs another its place."""
