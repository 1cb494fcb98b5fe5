"""Resources that name no run, as plans of old wrote them, until a document of a run names them."""

from collections.abc import Iterator, Mapping
from typing import Any

Named = tuple[str, Mapping[str, Any]]
"""Name of a document, and the document."""

_MAX_RESOURCES = 1000
_MAX_DOCUMENTS = 10_000
"""Of one resource."""


class LooseDocuments:
    """Keeps resources without a run, and what belongs to them, aside; nothing of it is guessed to be a run's."""

    def __init__(self) -> None:
        self._of_resource: dict[str, list[Named]] = {}
        self._resource_of: dict[str, str] = {}

    def take(self, name: str, doc: Mapping[str, Any]) -> list[Named] | None:
        """Keep a document aside if it is such a one.

        Parameters
        ----------
        name, doc
            A document whose run is not known.

        Returns
        -------
        list or None
            What there is no more room for, mostly nothing; None if the document is of another kind.
        """
        if name in ("resource", "stream_resource") and "run_start" not in doc and isinstance(doc.get("uid"), str):
            given_up = self._forget(doc["uid"])
            if len(self._of_resource) >= _MAX_RESOURCES:
                given_up += self._forget(next(iter(self._of_resource)))
            self._of_resource[doc["uid"]] = [(name, doc)]
            return given_up
        resource = doc.get("resource")
        if name not in ("datum", "datum_page") or not isinstance(resource, str) or resource not in self._of_resource:
            return None
        if len(self._of_resource[resource]) >= _MAX_DOCUMENTS:
            return [*self._forget(resource), (name, doc)]
        self._of_resource[resource].append((name, doc))
        ids = doc.get("datum_id")
        for datum_id in ids if isinstance(ids, list) else [ids]:
            if isinstance(datum_id, str):
                self._resource_of[datum_id] = resource
        return []

    def named_by(self, doc: Mapping[str, Any]) -> Iterator[Named]:
        """Yield what a document of a known run names, and forget it: it is of that run."""
        if not self._of_resource:
            return
        data = doc.get("data")
        values = [doc.get("stream_resource")]
        for value in data.values() if isinstance(data, dict) else ():
            values.extend(value if isinstance(value, list) else [value])
        for value in values:
            if isinstance(value, str):
                yield from self._forget(self._resource_of.get(value, value))

    def drain(self) -> Iterator[Named]:
        """Yield everything that no run has named, and forget it."""
        for resource in list(self._of_resource):
            yield from self._forget(resource)

    def _forget(self, resource: str) -> list[Named]:
        found = self._of_resource.pop(resource, [])
        if found:
            self._resource_of = {key: uid for key, uid in self._resource_of.items() if uid != resource}
        return found
