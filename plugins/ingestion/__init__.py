"""Batches of raw signals: interaction events, facial frames, voice segments."""
