"""What requests cost: `python -m benchmarks` starts real servers, measures them and writes the figures down.

Every API is asked in turns, on each kind of database that can be run, and so are two handlers in the same server that
say what the figures are worth: one that only reads the body (nothing can be cheaper), and one as a straightforward
Flask app would have it (marshmallow for each item, peewee's `insert_many`). Then the same is asked of servers with
few and with many rows stored, moods of short and of long sessions, and live video is streamed to a server with
workers.
"""
