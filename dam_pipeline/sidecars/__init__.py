"""XMP sidecars: what is known of a media for Lightroom, digiKam, Bridge, and what they wrote there.

An original is never written; neither is anything that another program put into a sidecar lost.
"""
