"""From the bytes of a segment to observations, and from observations to signals, engagement and quality."""
