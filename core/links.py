"""Links of the OpenAPI document: which call an answer leads to."""

from __future__ import annotations

from typing import Any

from apispec import BasePlugin

#: Where a view notes the runtime expression of the session in its request or answer; not in the document.
SESSION_MARK = "x-session"
#: What a parameter of a session's id is called, in a path and in a query.
SESSION_NAME = "session_id"


class SessionLinks(BasePlugin):
    """Lead from every answer about a session to every operation that takes one.

    A plugin says where its answers have a session's id, and knows none of the operations of other plugins.
    """

    def __init__(self) -> None:
        self._sources: list[tuple[str, dict[str, Any]]] = []
        self._targets: list[str] = []

    def operation_helper(
        self, path: str | None = None, operations: dict[str, Any] | None = None, **_: Any
    ) -> None:
        """Link the operations of one address with those of the addresses before."""
        for operation in (operations or {}).values():
            if f"{{{SESSION_NAME}}}" in str(path) or any(
                parameter.get("name") == SESSION_NAME
                for parameter in operation.get("parameters", ())
            ):
                self._targets.append(operation["operationId"])
                for source in self._sources:
                    _connect(source, self._targets[-1:])
            if (mark := operation.pop(SESSION_MARK, None)) is not None:
                status, expression = mark
                links = operation["responses"][status].setdefault("links", {})
                self._sources.append((expression, links))
                _connect(self._sources[-1], self._targets)


def _connect(source: tuple[str, dict[str, Any]], targets: list[str]) -> None:
    expression, links = source
    for target in targets:
        links.setdefault(target, link_to(target, {SESSION_NAME: expression}))


def link_to(
    operation: str, parameters: dict[str, str] | None = None, body: Any = None
) -> dict[str, Any]:
    """Return a link to an operation, by its id (OpenAPI 3.1.1, 4.8.20)."""
    link: dict[str, Any] = {"operationId": operation}
    if parameters:
        link["parameters"] = parameters
    if body is not None:
        link["requestBody"] = body
    return link
