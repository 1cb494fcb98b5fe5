// Keeps a micrometre as long upwards as sideways: of the box that is wanted, the range that has room to spare grows.
// `plot` is the figure; `leader` is the figure whose box is wanted, `plot` itself if nobody leads.
const { x_range: x, y_range: y } = plot;
const lead = { x: leader.x_range, y: leader.y_range };
plot.pcAspect ??= { wanted: null, own: false, waiting: false };
const state = plot.pcAspect;
if (state.own) return;
if (cb_obj === lead.x || cb_obj === lead.y || state.wanted === null) state.wanted = "leader";
if (state.waiting) return;
state.waiting = true;
// One message changes start and end of both ranges one after the other.
requestAnimationFrame(() => {
  state.waiting = false;
  const [width, height] = [plot.inner_width, plot.inner_height];
  if (state.wanted === "leader") {
    // What was asked of the leader, not what it had to grow to.
    const asked = leader === plot ? null : leader.pcAspect?.wanted;
    state.wanted = Array.isArray(asked) ? asked : [lead.x.start, lead.x.end, lead.y.start, lead.y.end];
  }
  const [left, right, low, high] = state.wanted;
  const per_pixel = [(right - left) / width, (high - low) / height];
  const coarse = Math.max(...per_pixel), fine = Math.min(...per_pixel);
  // A single row of very many points would be thinner than a pixel.
  if (!(width > 0 && height > 0 && fine > 0) || coarse > most_unequal * fine) return;
  const box = (from, to, pixels) => {
    const middle = (from + to) / 2, half = (coarse * pixels) / 2;
    return { start: middle - half, end: middle + half };
  };
  state.own = true;
  x.setv(box(left, right, width));
  y.setv(box(low, high, height));
  state.own = false;
});
