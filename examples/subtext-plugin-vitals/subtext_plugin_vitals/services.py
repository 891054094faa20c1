"""What the plugin does: store reports, tell poor ones as evidence, and sum pages up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core import (
    Evidence,
    TimelineEntry,
    fetch_all,
    now,
    record_evidence,
    setting,
    touch_session,
    transaction,
)
from subtext_plugin_vitals.metrics import METRICS, rate, strength
from subtext_plugin_vitals.models import Measurement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from core import Session

#: A day in microseconds, the unit of time inside.
DAY = 86_400_000_000
#: Days that a report may cover.
MAX_DAYS = 366
#: Rows that one statement removes, so that requests get their turn in between.
ROWS_PER_PRUNE = 5_000


def store_report(
    account_id: int, session_id: str, page: str, metrics: Sequence[dict[str, Any]]
) -> tuple[Session, int]:
    """Store the metrics of a page view; return the session and how many were new or worse than before.

    `metrics` have `id`, `name` and `value`. A metric only ever gets worse while a page is open, so the largest value
    stands, in whatever order reports arrive. Call inside a transaction. Raises SessionErased.
    """
    session = touch_session(account_id, session_id)
    at = now()
    evidence = []
    stored = 0
    for metric in metrics:
        name, value = metric["name"], float(metric["value"])
        rows = fetch_all(
            "INSERT INTO vitals_measurement (account_id, session_key, metric_id, metric, page, value, at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (session_key, metric, metric_id) DO UPDATE SET value = excluded.value"
            " WHERE excluded.value > vitals_measurement.value"
            " RETURNING id, at",
            (account_id, session.key, metric["id"], name, path_of(page), value, at),
        )
        if not rows:
            continue
        stored += 1
        kind = METRICS[name].evidence
        if kind and rate(name, value) == "poor":
            key, first_seen = rows[0]
            evidence.append(Evidence(first_seen, "vitals", kind, strength(name, value), f"m:{key}"))
    record_evidence(session, "vitals", evidence)
    return session, stored


def path_of(page: str) -> str:
    """Return a page without query and fragment, which hold what visitors typed and make every page a new one."""
    return page.partition("#")[0].partition("?")[0] or "/"


def summarise_pages(account_id: int, days: int) -> list[dict[str, Any]]:
    """Return each page's metrics of the last days at the 75th percentile, farthest above `poor` first.

    The percentile that Core Web Vitals are judged by (web.dev/articles/vitals), by nearest rank.
    """
    rows = fetch_all(
        "SELECT page, metric, value, views FROM ("
        " SELECT page, metric, value,"
        " ROW_NUMBER() OVER (PARTITION BY page, metric ORDER BY value) AS place,"
        " COUNT(*) OVER (PARTITION BY page, metric) AS views"
        " FROM vitals_measurement WHERE account_id = ? AND at >= ?) AS ranked"
        " WHERE place = (3 * views + 3) / 4",
        (account_id, now() - days * DAY),
    )
    rows.sort(key=lambda row: (-row[2] / METRICS[row[1]].poor, row[0], row[1]))
    return [
        {
            "page": page,
            "metric": metric,
            "p75": value,
            "unit": METRICS[metric].unit,
            "rating": rate(metric, value),
            "views": views,
        }
        for page, metric, value, views in rows
    ]


def list_entries(session: Session, after: int, limit: int) -> list[TimelineEntry]:
    """Return what the timeline of a session shows of its pages."""
    rows = (
        Measurement.select()
        .where(Measurement.session_key == session.key, Measurement.at > after)
        .order_by(Measurement.at, Measurement.id)
        .limit(limit)
    )
    return [
        TimelineEntry(
            row.at,
            "vitals",
            row.metric,
            {"page": row.page, "value": row.value, "rating": rate(row.metric, row.value)},
        )
        for row in rows
    ]


def erase(session: Session) -> int:
    """Remove a session's measurements and return how many there were; call inside a transaction."""
    return int(Measurement.delete().where(Measurement.session_key == session.key).execute())


def prune() -> int:
    """Remove measurements that are older than SUBTEXT_VITALS_KEEP_DAYS; return how many."""
    removed = 0
    while True:
        with transaction():
            rows = fetch_all(
                "DELETE FROM vitals_measurement WHERE id IN"
                " (SELECT id FROM vitals_measurement WHERE at < ? LIMIT ?) RETURNING id",
                (_keep_from(), ROWS_PER_PRUNE),
            )
        removed += len(rows)
        if len(rows) < ROWS_PER_PRUNE:
            return removed


def is_pruned() -> bool:
    """Say whether nothing is stored that should have gone a day ago."""
    return not fetch_all(
        "SELECT 1 FROM vitals_measurement WHERE at < ? LIMIT 1", (_keep_from() - DAY,)
    )


def _keep_from() -> int:
    days: int = setting("SUBTEXT_VITALS_KEEP_DAYS")
    return now() - days * DAY
