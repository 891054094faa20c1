"""The processes that do background work: `python -m workers [queue …]`."""
