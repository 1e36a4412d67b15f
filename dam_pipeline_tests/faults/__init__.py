"""Trouble caused on purpose, and what the library looks like after it.

    python -m dam_pipeline_tests.faults             all of it, as often as docs/reference/faults.md says
    python -m dam_pipeline_tests.faults --sample    a little of each, as CI does

A scenario (one sibling file a kind of trouble) disturbs work at moments that a seed chooses. After each
disturbance a normal run must complete the library to exactly what an undisturbed run makes: every state,
every result's version, every row of the index, every edge of the graph, every partition in Dagster.
"""
