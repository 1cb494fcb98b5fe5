// Looks at a page from inside: which commit is shown, since when, and what the pixels of a figure are.
window.phasecastProbe = {
  // What `watch` saw lies in the session storage of the tab: a page that reloads itself is watched on.
  get shown() {
    return JSON.parse(sessionStorage.getItem("phasecast-shown") ?? "[]");
  },
  documents() {
    return window.Bokeh === undefined ? [] : Array.from(window.Bokeh.documents);
  },
  model(name) {
    for (const document of this.documents()) {
      for (const model of document.all_models) {
        if (model.name === name) return model;
      }
    }
    return null;
  },
  // The row of the data source "map_clock"; null before the page has one.
  clock() {
    const source = this.model("map_clock");
    if (source === null || source.data.sequence === undefined || source.data.sequence.length === 0) return null;
    const row = {};
    for (const name of ["sequence", "commit_time_s", "points_done"]) row[name] = Number(source.data[name][0]);
    return row;
  },
  view(name) {
    const figure = this.model(name);
    return figure === null ? null : window.Bokeh.index.find_one(figure);
  },
  // FNV-1a over the pixels inside the axes of a figure; null while it has none. The rim of the canvas is left out:
  // Bokeh paints a hairline there that grows darker with every repaint.
  pixels(name) {
    const view = this.view(name), canvas = view?.canvas_view?.primary?.canvas;
    if (canvas === undefined || canvas.width === 0 || canvas.height === 0) return null;
    const scale = window.devicePixelRatio, { left, top, width, height } = view.frame.bbox;
    const box = [left + 1, top + 1, width - 2, height - 2].map((length) => Math.round(length * scale));
    if (box[2] <= 0 || box[3] <= 0) return null;
    const words = new Uint32Array(canvas.getContext("2d").getImageData(...box).data.buffer);
    let hash = 0x811c9dc5;
    for (let k = 0; k < words.length; k++) hash = Math.imul(hash ^ words[k], 0x01000193);
    return hash >>> 0;
  },
  // Where a place of a figure lies on the screen, in pixels of the window.
  place(name, x, y) {
    const view = this.view(name);
    const box = view.canvas_view.el.getBoundingClientRect();
    return { x: box.left + view.frame.x_scale.compute(x), y: box.top + view.frame.y_scale.compute(y) };
  },
  // Note every change of the clock: the commit, and when it was on the screen: two frames later, or when the pixels
  // of the figure had changed, if that was later still.
  watch(figure) {
    sessionStorage.setItem("phasecast-watch", figure);
    let source = null;
    const frame = () => new Promise(requestAnimationFrame);
    const changed = async () => {
      // Heard while the message is worked off: what it changes is painted later. Each commit has its own comparison,
      // for one that changes no pixel may still be waiting when the next one comes.
      const entry = { ...this.clock(), known_ms: Date.now() }, before = this.pixels(figure);
      await frame();
      await frame();
      let after = this.pixels(figure), shown_ms = Date.now();
      for (let k = 0; k < 30 && after === before; k++) {
        await frame();
        after = this.pixels(figure);
        if (after !== before) shown_ms = Date.now();
      }
      const seen = [...this.shown, { ...entry, shown_ms, repainted: after !== before }];
      sessionStorage.setItem("phasecast-shown", JSON.stringify(seen));
    };
    const attach = () => {
      const found = this.model("map_clock");
      if (found === null || found === source) return;
      source = found;
      for (const signal of [source.properties.data.change, source.patching, source.streaming]) signal.connect(changed);
      if (this.clock() !== null) changed();
    };
    attach();
    setInterval(attach, 250);
  },
  // Wait until the pixels of a figure have not changed for a while; give up after the limit.
  async still(figure, { still_ms = 700, limit_ms = 10000 } = {}) {
    const begin_ms = Date.now();
    let hash = this.pixels(figure), since_ms = begin_ms;
    for (let now_ms = begin_ms; now_ms - since_ms < still_ms && now_ms - begin_ms < limit_ms; now_ms = Date.now()) {
      await new Promise(requestAnimationFrame);
      const fresh = this.pixels(figure);
      if (fresh !== hash || fresh === null) { hash = fresh; since_ms = Date.now(); }
    }
    return hash;
  },
  // Time in ms from a moment to the last change of the pixels of a figure, once they have been still for a while and
  // the clock shows as many points as expected (null: any number).
  // With `blank` the figure counts as not there when it begins, as in a page that is just being loaded.
  async settled(figure, begin_ms, { still_ms = 400, limit_ms = 20000, points = null, blank = false } = {}) {
    let hash = blank ? null : this.pixels(figure), last_ms = null;
    for (;;) {
      await new Promise(requestAnimationFrame);
      const now_ms = Date.now(), fresh = this.pixels(figure);
      if (fresh !== hash) { hash = fresh; last_ms = now_ms; }
      const complete = points === null || this.clock()?.points_done === points;
      if (last_ms !== null && hash !== null && complete && now_ms - last_ms > still_ms) return last_ms - begin_ms;
      if (now_ms - begin_ms > limit_ms) return null;
    }
  },
};
if (window === window.top && location.protocol.startsWith("http") && sessionStorage.getItem("phasecast-watch") !== null) {
  window.phasecastProbe.watch(sessionStorage.getItem("phasecast-watch"));
}
