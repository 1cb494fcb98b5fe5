"""Labelled arrays, for those who ask for them: xarray and pandas take a service longer to load than all else here."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from phasecast.results.rows import Rows

if TYPE_CHECKING:
    import xarray as xr


def dataset(columns: Mapping[str, Any], **settings: Any) -> "xr.Dataset":
    """Return columns as an `xarray.Dataset`."""
    import xarray as xr

    return xr.Dataset(columns, **settings)


def data_array(values: Any, **settings: Any) -> "xr.DataArray":
    """Return values as an `xarray.DataArray`."""
    import xarray as xr

    return xr.DataArray(values, **settings)


def joined(parts: "list[xr.Dataset]", dimension: str) -> "xr.Dataset":
    """Return datasets one after the other."""
    import xarray as xr

    return xr.concat(parts, dim=dimension)


def lazy_array(rows: Rows, dimensions: tuple[str, ...]) -> "xr.Variable":
    """Return the rows as a variable that reads when used."""
    import xarray as xr
    from xarray.backends import BackendArray
    from xarray.core import indexing

    class Backend(BackendArray):
        shape = rows.shape
        dtype = rows.dtype

        def __getitem__(self, key: indexing.ExplicitIndexer) -> Any:
            return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, rows.read)

    return xr.Variable(dimensions, indexing.LazilyIndexedArray(Backend()))
