"""The one table: a row for each metric of each page view."""

from __future__ import annotations

import peewee

from core import Model


class Measurement(Model):
    """The worst value that one metric of one page view has had so far."""

    id = peewee.BigAutoField()
    account_id = peewee.BigIntegerField()
    session_key = peewee.BigIntegerField()
    #: The `web-vitals` library's id: the same for every report of one metric of one page view.
    metric_id = peewee.TextField()
    metric = peewee.TextField()
    page = peewee.TextField()
    value = peewee.DoubleField()
    at = peewee.BigIntegerField(index=True)

    class Meta:
        """Name the table, and what is looked up in it."""

        table_name = "vitals_measurement"
        indexes = ((("session_key", "metric", "metric_id"), True), (("account_id", "at"), False))
