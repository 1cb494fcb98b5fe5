"""What only the browser can do: hear arrow keys, notice that the server is gone and come back with it."""

import param
from panel.custom import JSComponent

_SCRIPT = """
export function render({ model }) {
  const arrows = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];
  let heard = Date.now();
  model.on("beat", () => { heard = Date.now(); });
  const on_key = (event) => {
    const path = event.composedPath();
    const typing = path.some((node) => ["INPUT", "TEXTAREA", "SELECT"].includes(node.tagName) || node.isContentEditable);
    if (arrows.includes(event.key) && !typing) {
      event.preventDefault();
      model.send_msg(event.key);
    }
  };
  document.addEventListener("keydown", on_key);
  const note = document.createElement("div");
  note.className = "pc-lost";
  note.hidden = true;
  note.textContent = model.lost_text;
  const watch = setInterval(async () => {
    const silent = Date.now() - heard > model.patience_s * 1000;
    note.hidden = !silent;
    if (!silent) { return; }
    try {
      // the session died with its server; the address holds what was looked at
      const answer = await fetch(window.location.href, { cache: "no-store" });
      if (answer.ok) { window.location.reload(); }
    } catch (_) { /* not back yet */ }
  }, 1500);
  model.on("remove", () => { document.removeEventListener("keydown", on_key); clearInterval(watch); });
  return note;
}
"""
_STYLE = """
.pc-lost { position: fixed; inset: auto 0 0 0; padding: 10px 16px; background: #CC3311; color: #fff; z-index: 1000;
  font-weight: 600; text-align: center; }
.pc-lost[hidden] { display: none; }
"""


class Keys(JSComponent):
    """Sends arrow keys; shows a line when no beat comes, and reloads the page as soon as the server answers."""

    beat = param.Integer(default=0, doc="Counts the ticks of the session.")
    lost_text = param.String(default="")
    patience_s = param.Number(default=5.0, doc="Seconds without a beat after which the page counts as stale.")

    _esm = _SCRIPT
    _stylesheets = [_STYLE]
