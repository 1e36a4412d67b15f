"""Embedding spaces side by side: built in the shadow, compared, promoted, rolled back, removed.

Which space is active is one record of the catalogue (`catalogue.spaces`); a candidate is the library
seen through another model (`Toolbox.in_space`), with files, states and rows in the vector store of
its own. Decisions of people are in the journal `spaces`.
"""
