export function render({ model }) {
  const arrows = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown"];
  let heard = Date.now();
  model.on("beat", () => { heard = Date.now(); });
  const remembered = "phasecast-who";
  try {
    if (!model.who) { model.who = window.localStorage.getItem(remembered) || ""; }
    model.on("who", () => { window.localStorage.setItem(remembered, model.who); });
  } catch (_) { /* a browser that keeps nothing: the name is asked for again */ }
  let sounded = new Set();
  const sound = () => {
    const ids = model.alarms.split(" ").filter((id) => id);
    const is_new = ids.some((id) => !sounded.has(id));
    sounded = new Set(ids);
    if (!is_new || model.muted) { return; }
    try {
      const audio = new AudioContext();
      for (const [start, pitch] of [[0, 880], [0.22, 660], [0.44, 880]]) {
        const tone = audio.createOscillator();
        const volume = audio.createGain();
        volume.gain.value = 0.12;
        tone.frequency.value = pitch;
        tone.connect(volume).connect(audio.destination);
        tone.start(audio.currentTime + start);
        tone.stop(audio.currentTime + start + 0.18);
      }
      setTimeout(() => audio.close(), 1500);
      model.sounds += 1;
    } catch (_) { /* no sound on this machine; the banner is there */ }
  };
  model.on("alarms", sound);
  sound();
  const on_key = (event) => {
    const path = event.composedPath();
    const fields = ["INPUT", "TEXTAREA", "SELECT"];
    const is_slider = (node) => node.getAttribute && node.getAttribute("role") === "slider";
    const typing = path.some((node) => fields.includes(node.tagName) || node.isContentEditable || is_slider(node));
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
      // A busy server is only late. If it no longer knows this session, the address holds what was looked at.
      const answer = await fetch("alive?session=" + encodeURIComponent(model.session), { cache: "no-store" });
      if (answer.ok && !(await answer.json()).alive) { window.location.reload(); }
    } catch (_) { /* not back yet */ }
  }, 1500);
  model.ready = true;
  model.on("remove", () => { document.removeEventListener("keydown", on_key); clearInterval(watch); });
  return note;
}
