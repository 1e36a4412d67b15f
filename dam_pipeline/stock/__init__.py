"""Media as a stock contributor sees them: what is said of each, and whether an agency will take it.

What people typed stands in journals; suggestions are made from what the stages found; the rules hold
an item against an agency's specification. Files are made in `packaging` and sent in `publishing`.
"""
