"""What starts by itself: each sensor decides which runs are wanted, and does nothing else.

`media_folders` watches the sources, `library_graph` follows finished batches, `resume_blocked`
takes up what waited for its surroundings, `lost_runs` fails runs whose worker is no more,
`unfinished_files` has what is left of a file done, `promoted_space` follows a switch of spaces, and
`events` tells other programs. `nightly` and `weekly` are schedules. Their decisions lie below the
Dagster line or are pure; `requests` turns media into runs.
"""
