"""Streams for Subtext without models: what is seen is what the title of the video says."""
