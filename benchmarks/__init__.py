"""What a request costs: `python -m benchmarks` starts a real server, measures it and writes the figures down.

Three handlers take the same batches in the same server with the same authentication: the ingestion API, one that
only reads the body (nothing can be cheaper), and one as a straightforward Flask app would have it (marshmallow for
each item, peewee's `insert_many`). They take turns, so that whatever else the machine does hits all of them.

Moods are asked for in long and short sessions, and live video is streamed to a server with workers.
"""
