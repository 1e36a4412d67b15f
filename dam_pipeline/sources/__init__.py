"""Where originals live: listing a place, and deciding what has changed there since the last look.

A listing (`folder`) is what a place holds now; `scan` decides from it without touching anything;
`content` and `s3` read what needs reading. Nothing here writes: the catalogue's `registration`
does, and the sensors only call. A new kind of place (S3 …) is a sibling of `folder` that gives the
same `Listing`.
"""
