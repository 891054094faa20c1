"""Search sessions, what was clicked in them, and what a search team learns from it."""
