"""Generated searches: few queries and objects, so that they meet."""

from __future__ import annotations

from hypothesis import strategies as st

from plugins.clickstream.searches import Event, Result, Search

QUERIES = ("boots", "Boots", "red dress", "crème", "")
OBJECTS = tuple("abcdefgh")
TYPES = ("click", "click", "click_through", "add_to_cart", "hover")
START = 1_700_000_000_000_000
HOUR = 3_600_000_000

results = st.lists(
    st.builds(Result, st.sampled_from(OBJECTS), st.none() | st.floats(-5, 5)), max_size=8
).map(tuple)

events = st.lists(
    st.builds(
        Event,
        event_id=st.uuids().map(str),
        object_id=st.sampled_from((*OBJECTS, "elsewhere")),
        event_type=st.sampled_from(TYPES),
        at=st.integers(START // 1000, (START + HOUR) // 1000).map(lambda at: at * 1000),
    ),
    max_size=5,
).map(tuple)

searches = st.builds(
    Search,
    session_id=st.uuids().map(str),
    query=st.sampled_from(QUERIES),
    at=st.integers(START // 1000, (START + HOUR) // 1000).map(lambda at: at * 1000),
    results=st.none() | results,
    events=events,
)

logs = st.lists(searches, max_size=25)
