"""What starts by itself: each sensor decides which runs are wanted, and does nothing else.

`media_folders` watches the sources, `library_graph` follows finished batches, `resume_blocked`
takes up what waited for its surroundings, `lost_runs` fails runs whose worker is no more, and
`unfinished_files` has what is left of a file done. Their decisions lie below the Dagster line or are pure;
`promoted_space` follows a switch of spaces; `requests` turns media into ranged runs.
"""
