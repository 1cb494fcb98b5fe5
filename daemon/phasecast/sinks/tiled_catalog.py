"""A Tiled catalog of bluesky runs: embedded in a data directory, or a facility's server.

Everything here imports tiled inside functions: it takes seconds and 200 MB, which neither daemon nor page may pay.
"""

import logging
import os
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from phasecast.core.data_directory import DataDirectory
from phasecast.core.errors import CatalogError
from phasecast.core.protocols import Document
from phasecast.sinks.embedded_catalog import embedded_client

_LOUD = ("httpx", "tiled", "bluesky_tiled_plugins", "alembic", "stamina")
_KEY = re.compile(r"(api_key=)[^&\s'\"]+")
_NAMES_ERROR = re.compile(r"\w*(?:Error|Exception): ")
_RETRIES = {"TILED_RETRY_ATTEMPTS": "3", "TILED_RETRY_TIMEOUT": "10"}
"""A run that waits in JSON lines is no loss, so that nobody has to wait 45 s for a server that is down."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogRun:
    """One run as a catalog has it.

    Parameters
    ----------
    uid
        Its uid.
    start
        Its start document.
    stop
        Its stop document; None for a run that was not written to its end.
    """

    uid: str
    start: Mapping[str, Any]
    stop: Mapping[str, Any] | None


def is_installed() -> bool:
    """Tell whether the extra is installed, without importing it."""
    return all(find_spec(name) is not None for name in ("tiled", "bluesky_tiled_plugins"))


def require_installed() -> None:
    """Raise `CatalogError` where the extra is missing."""
    if not is_installed():
        raise CatalogError(
            "tiled and bluesky-tiled-plugins are not installed",
            where="catalog",
            remedy="pip install 'phasecast[catalog]'",
        )


def name_of(directory: DataDirectory, uri: str) -> str:
    """Return what a catalog is called in messages and journals; never a key."""
    return _KEY.sub(r"\1...", uri) if uri else str(directory.catalog)


class TiledCatalog:
    """An open catalog.

    Parameters
    ----------
    client
        Tiled's client of the container that the runs lie in.
    name
        For messages.
    """

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name

    def find(self, uid: str) -> CatalogRun | None:
        """Return a run by its whole uid; None if the catalog does not have it.

        Raises
        ------
        CatalogError
            If the catalog cannot be read.
        """
        try:
            metadata = dict(self._node(uid).metadata)
        except KeyError:
            return None
        except Exception as error:
            raise self._error("cannot be read", error) from error
        return CatalogRun(uid=uid, start=metadata.get("start", {}), stop=metadata.get("stop"))

    def runs(self) -> Iterator[CatalogRun]:
        """Yield all runs, oldest first.

        Raises
        ------
        CatalogError
            If the catalog cannot be read.
        """
        try:
            for uid, node in self.client.items():
                metadata = dict(node.metadata)
                if "start" in metadata:
                    yield CatalogRun(uid=uid, start=metadata["start"], stop=metadata.get("stop"))
        except Exception as error:
            raise self._error("cannot be read", error) from error

    def arrays(self, uid: str) -> dict[str, dict[str, tuple[int, ...]]]:
        """Return stream to name and shape of its arrays.

        Raises
        ------
        CatalogError
            If the catalog cannot be read.
        """
        try:
            run = self._node(uid)
            return {name: {key: tuple(node.shape) for key, node in run[name].items()} for name in run}
        except Exception as error:
            raise self._error("cannot be read", error) from error

    def write(self, uid: str, run: Iterable[tuple[str, Document]]) -> None:
        """Write a run that the catalog has not, or not to its end. What an earlier attempt left is removed first.

        Parameters
        ----------
        uid
            Its uid.
        run
            Its documents, start to stop.

        Raises
        ------
        CatalogError
            If the catalog does not take it; nothing of it is left then, if the catalog lets us remove it.
        """
        from bluesky_tiled_plugins import TiledWriter

        try:
            self._remove(uid)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                writer = TiledWriter(self.client)
                for name, doc in run:
                    writer(name, doc)
        except CatalogError:
            raise
        except Exception as error:
            failure = self._error("does not take the run", error)
            try:
                self._remove(uid)
            except Exception as second:
                logging.getLogger(__name__).info("%s: %s of it is left: %s", self.name, uid, second)
            raise failure from error

    def documents(self, uid: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the documents of a run in an order in which they can be replayed.

        They are Tiled's account of the run and not what came over the wire: events have other uids, and all
        references to files are joined to one a key.

        Raises
        ------
        CatalogError
            If the catalog has no such run, or cannot say it in documents.
        """
        try:
            node = self._node(uid)
        except KeyError as error:
            raise CatalogError(
                f"no run {uid}", where=self.name, remedy="`phasecast catalog list` names those that are there"
            ) from error
        try:
            found = [(name, dict(doc)) for name, doc in node.documents()]
        except Exception as error:
            raise self._error("cannot give the documents of the run", error) from error
        rank = {
            "start": 0,
            "descriptor": 1,
            "resource": 2,
            "stream_resource": 2,
            "datum": 3,
            "datum_page": 3,
            "stop": 9,
        }
        yield from sorted(found, key=lambda named: rank.get(named[0], 5))

    def _node(self, uid: str) -> Any:
        """Return the node of this uid; a bluesky catalog's own brackets also take the beginning of another one."""
        from tiled.client.container import Container

        return Container.__getitem__(self.client, uid)

    def _remove(self, uid: str) -> None:
        with suppress(KeyError):
            self._node(uid)
            # of files that documents name only the entries go: Tiled deletes what it wrote itself
            self.client.delete_contents(uid, recursive=True, external_only=False)

    def _error(self, what: str, error: Exception) -> CatalogError:
        return CatalogError(
            f"{what} ({_one_line(error)})", where=self.name, remedy="see to it, then run `phasecast catalog sync`"
        )


@contextmanager
def open_catalog(directory: DataDirectory, uri: str = "") -> Iterator[TiledCatalog]:
    """Open the embedded catalog of a data directory, made if missing, or a server's; for one thread at a time.

    Parameters
    ----------
    directory
        The data directory.
    uri
        Address of a Tiled server, with the path of the container if it is not the root; empty for the embedded one.
        Its key is taken from ``TILED_API_KEY``, or from a login with ``tiled login``.

    Raises
    ------
    CatalogError
        If the extra is missing, or the catalog cannot be opened.
    """
    require_installed()
    name = name_of(directory, uri)
    with ExitStack() as stack:
        try:
            for variable, value in _RETRIES.items():
                os.environ.setdefault(variable, value)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                client = _connect(uri) if uri else embedded_client(stack, directory)
                for logger in _LOUD:
                    logging.getLogger(logger).setLevel(logging.CRITICAL)
        except CatalogError:
            raise
        except Exception as error:
            raise CatalogError(
                f"cannot be opened ({_one_line(error)})",
                where=name,
                remedy="see to it, then run `phasecast catalog sync`",
            ) from error
        yield TiledCatalog(client, name)


def _connect(uri: str) -> Any:
    from tiled.client import from_uri

    return from_uri(uri)


def _one_line(error: BaseException) -> str:
    """Return the reason of an error in one line, without keys: the last one that names an error, else the first."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
    naming = [line for line in lines if _NAMES_ERROR.match(line)]
    return _KEY.sub(r"\1...", (naming or lines)[-1 if naming else 0])[:240]
