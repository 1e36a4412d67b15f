"""The command `dam`: one file a command, no work of its own beyond asking and showing."""
