"""Maps in which a micrometre is as long upwards as sideways, whatever the shape of their figure.

Bokeh's ``match_aspect`` does this for ranges that it chooses itself; ours are set, to keep a person's zoom.
"""

from pathlib import Path
from typing import Any

from bokeh.models import CustomJS

_CODE = Path(__file__).with_name("equal_aspect.js").read_text(encoding="utf-8")
_MOST_UNEQUAL = 20.0


def keep_equal_aspect(plot: Any, *, leader: Any = None) -> None:
    """Let the browser widen one range of a figure so that both axes have one scale.

    A map that is more than twenty times as long as wide keeps its shape, or nobody would see it.

    Parameters
    ----------
    plot
        Bokeh plot with ranges that nothing else sets in the browser.
    leader
        Plot whose part of the sample is to be seen; None for its own.
    """
    leader = leader or plot
    callback = CustomJS(args={"plot": plot, "leader": leader, "most_unequal": _MOST_UNEQUAL}, code=_CODE)
    for bounds in (leader.x_range, leader.y_range):
        bounds.js_on_change("start", callback)
        bounds.js_on_change("end", callback)
    plot.js_on_change("inner_width", callback)
    plot.js_on_change("inner_height", callback)
