"""A seeded generator of UBI logs, shaped like the sample of OpenSearch's demo shop.

Two applications: one that logs impressions from ordinal 0 and no hits, one that logs facet requests
of size 0 beside the real one, impressions from ordinal 1, a cart event beside every click, and
events without a query record. What the users really saw and clicked is returned with the log.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

WORDS = ("laptop", "boots", "lamp", "red dress", "tv", "case")
PRODUCTS = [f"B{number:03d}" for number in range(40)]
START = datetime(2025, 1, 22, 14, tzinfo=UTC)


@dataclass
class Truth:
    """What one search really was."""

    query_id: str
    query: str
    shown: list[str] | None
    clicked: list[str] = field(default_factory=list)
    carted: bool = False


@dataclass
class Log:
    """The lines and the truth behind them."""

    bulk: list[str]
    plain: list[str]
    searches: list[Truth]


def generate(seed: int, size: int = 60) -> Log:
    random = Random(seed)  # noqa: S311 - reproducible, not secret
    records: list[tuple[str, dict[str, Any]]] = []
    searches = [_search(random, number, records) for number in range(size)]
    order = random.sample(range(len(records)), len(records))
    bulk, plain = [], []
    for number in order:
        index, record = records[number]
        bulk.append(json.dumps({"index": {"_index": index, "_id": f"doc-{number}"}}))
        bulk.append(json.dumps(record))
        plain.append(json.dumps(record))
    return Log(bulk, plain, searches)


def _search(random: Random, number: int, records: list[tuple[str, dict[str, Any]]]) -> Truth:
    query_id = str(random.getrandbits(64))
    text = random.choice(WORDS)
    at = START + timedelta(minutes=number)
    kind = random.choice(("plain", "plain", "shop", "shop", "empty", "typed"))
    base = {"query_id": query_id, "client_id": f"client-{number % 7}", "application": kind}

    def query(hits: list[str] | None, size: int) -> None:
        record = base | {"user_query": text, "timestamp": at.isoformat(), "query_attributes": {}}
        if hits is not None:
            record |= {"query_response_hit_ids": hits, "query": json.dumps({"size": size})}
        records.append(("ubi_queries", record))

    def event(name: str, after: float, product: str | None, ordinal: int | None) -> None:
        moment = at + timedelta(seconds=after)
        record: dict[str, Any] = base | {
            "action_name": name,
            "timestamp": moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z",
            "user_query": text if random.random() < 0.7 else None,
            "event_attributes": None,
        }
        if product is not None:
            record["event_attributes"] = {
                "object": {"object_id": product, "object_id_field": "asin"},
                "position": {"ordinal": ordinal},
            }
        else:
            record |= {"message_type": "QUERY", "message": text}
        records.append(("ubi_events", record))

    if kind == "typed":
        event("search", 0, None, None)
        return Truth(query_id, text, None)
    shown = random.sample(PRODUCTS, random.randint(2, 12)) if kind != "empty" else []
    base_ordinal = 0 if kind == "plain" else 1
    query(None if kind == "plain" else shown, 20)
    if kind != "plain":
        query([], 0)
        event("search", -0.5, None, None)
    for ordinal, product in enumerate(shown, start=base_ordinal):
        event("impression", 0.1 + ordinal / 1000, product, ordinal)
    truth = Truth(query_id, text, shown)
    for click in range(random.choice((0, 0, 1, 1, 2)) if shown else 0):
        place = min(int(random.expovariate(0.4)), len(shown) - 1)
        product = shown[place]
        event("click", 5 + click, product, place + base_ordinal)
        truth.clicked.append(product)
        if kind == "shop":
            event("add_to_cart", 5.001 + click, product, place + base_ordinal)
            truth.carted = True
    return truth
