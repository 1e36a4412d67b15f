"""What starts by itself: each sensor decides which runs are wanted, and does nothing else.

`media_folders` watches the sources, `library_graph` follows finished batches, `resume_blocked`
takes up what waited for its surroundings. Their decisions lie below the Dagster line or are pure;
`requests` turns media into ranged runs.
"""
