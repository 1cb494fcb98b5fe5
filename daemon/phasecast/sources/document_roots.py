"""Where files that documents name may be read, and where those places lie on this machine."""

import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Self
from urllib.parse import unquote, urlsplit

from phasecast.core.errors import FrameError, SourceError


class OutsideRootsError(FrameError):
    """A document names a file that lies in no folder it may be read from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentRoot:
    """A folder that files may be read from.

    Parameters
    ----------
    stated
        How documents call it.
    local
        Where it lies here.
    """

    stated: PurePosixPath
    local: Path

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``/folder``, or ``/as/documents/say=/folder/here``.

        Raises
        ------
        SourceError
            If a folder is not absolute.
        """
        stated, _, local = text.partition("=")
        here = Path(local or stated).expanduser()
        there = _posix(stated) if local else PurePosixPath(here)
        if not here.is_absolute() or not there.is_absolute() or ".." in (*here.parts, *there.parts):
            raise SourceError(
                f"{text!r} is no absolute folder",
                where="document root",
                remedy="write /folder, or /as/documents/say=/folder/here",
            )
        return cls(stated=there, local=here)


class DocumentRoots:
    """Finds files that documents name, below the allowed folders only.

    Parameters
    ----------
    roots
        The allowed folders; none allows nothing.
    """

    def __init__(self, roots: Sequence[DocumentRoot]) -> None:
        self._roots = tuple(roots)

    def __bool__(self) -> bool:
        return bool(self._roots)

    def find(self, stated: str) -> Path:
        """Return where a file that a document names lies here; it need not be there yet.

        Parameters
        ----------
        stated
            Its path as the document has it, or as a ``file:`` URI.

        Raises
        ------
        OutsideRootsError
            If it lies, after all links are followed, in none of the folders, or is no regular file.
        """
        path = _posix(stated)
        if path.is_absolute() and ".." not in path.parts and "\0" not in stated:
            for root in self._roots:
                if path.is_relative_to(root.stated):
                    return _inside(root.local / path.relative_to(root.stated), root.local)
        raise OutsideRootsError(
            "lies in no folder that documents may name files in",
            where=stated[:200],
            remedy="allow its folder with --document-root or documents.roots of the profile",
        )


def moved_roots(stated: Iterable[str], folder: Path) -> tuple[DocumentRoot, ...]:
    """Return under which names a folder holds files that may have been moved there: it keeps the end of their path.

    Parameters
    ----------
    stated
        Paths of the files as documents have them.
    folder
        Where they lie now, absolute. A file that lies below it by its stated path is not looked for elsewhere.
    """
    roots = {PurePosixPath(folder): None}
    for path in map(_posix, stated):
        if not path.is_absolute() or ".." in path.parts or any(path.is_relative_to(root) for root in roots):
            continue
        # the longest end that is there tells most surely that it is this file
        above = next((root for root in reversed(path.parents) if (folder / path.relative_to(root)).is_file()), None)
        if above is not None:
            roots[above] = None
    # of two names of one folder the longer one is the more precise
    ordered = sorted(roots, key=lambda root: -len(root.parts))
    return tuple(DocumentRoot(stated=root, local=folder) for root in ordered)


def _inside(path: Path, root: Path) -> Path:
    try:
        real = path.resolve()
        if real.is_relative_to(root.resolve()):
            # opening a pipe would wait for ever
            if real.exists() and not stat.S_ISREG(real.stat().st_mode):
                raise OutsideRootsError("is no regular file", where=str(path))
            return real
    except (OSError, RuntimeError) as error:
        raise OutsideRootsError(f"cannot be looked at ({error})", where=str(path)) from error
    raise OutsideRootsError("a link leads out of the allowed folder", where=str(path))


def _posix(stated: str) -> PurePosixPath:
    """Return a path of a document with forward slashes; drives of Windows become its first folder."""
    if stated.startswith("file:"):
        try:
            stated = unquote(urlsplit(stated).path)
        except ValueError:
            return PurePosixPath()
    if "\\" in stated or stated[1:3] == ":/":
        windows = PureWindowsPath(stated)
        return PurePosixPath("/", windows.drive.rstrip(":"), *windows.parts[1:])
    return PurePosixPath(stated)
