"""The demo: simulated visitors of known intent, sent through every API of a real server."""
