"""What only the browser can do: hear keys, make a sound, keep a name, and come back when the server does."""

from pathlib import Path

import param
from panel.custom import JSComponent

_SCRIPT = Path(__file__).with_name("keys.js").read_text(encoding="utf-8")
_STYLE = """
.pc-lost { position: fixed; inset: auto 0 0 0; padding: 10px 16px; background: #CC3311; color: #fff; z-index: 1000;
  font-weight: 600; text-align: center; }
.pc-lost[hidden] { display: none; }
"""


class Keys(JSComponent):
    """Sends arrow keys; shows a line when no beat comes, and reloads the page when its session is gone for good."""

    beat = param.Integer(default=0, doc="Counts the ticks of the session.")
    ready = param.Boolean(default=False, doc="Whether the browser has drawn the page.")
    who = param.String(default="", doc="Name of the person, kept by the browser.")
    alarms = param.String(default="", doc="Ids of the alarms that nobody has seen; a new one makes a sound.")
    muted = param.Boolean(default=False, doc="Whether alarms make no sound here.")
    sounds = param.Integer(default=0, doc="Sounds made so far.")
    session = param.String(default="", doc="Id of the session, to ask the server whether it still knows it.")
    lost_text = param.String(default="")
    patience_s = param.Number(default=5.0, doc="Seconds without a beat after which the page counts as stale.")

    _esm = _SCRIPT
    _stylesheets = [_STYLE]
