"""Dagster's event log, written in batches: its own storages, with many events a transaction.

A media file has a dozen results, and Dagster writes each event by itself: a transaction or three
for every one, which costs more than looking at a photograph does. Dagster's instance has a way to
hand over events in batches, and these storages use it. What is written is the same.
"""
