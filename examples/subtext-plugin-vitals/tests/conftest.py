"""The fixtures of Subtext: an app on an empty database, accounts, and the outbox on demand."""

pytest_plugins = ["core.testing"]
