// Looks at a page from inside: which commit is shown, since when, and what the pixels of a figure are.
window.phasecastProbe = {
  shown: [],
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
  canvas(name) {
    const figure = this.model(name);
    const view = figure === null ? null : window.Bokeh.index.find_one(figure);
    return view?.canvas_view?.primary?.canvas ?? view?.canvas?.primary?.canvas ?? null;
  },
  // FNV-1a over all pixels of a figure; null while it has none.
  pixels(name) {
    const canvas = this.canvas(name);
    if (canvas === null || canvas.width === 0 || canvas.height === 0) return null;
    const words = new Uint32Array(canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    let hash = 0x811c9dc5;
    for (let k = 0; k < words.length; k++) hash = Math.imul(hash ^ words[k], 0x01000193);
    return hash >>> 0;
  },
  // Every change of the clock: the commit, and when it was on the screen (two frames later).
  watch(figure) {
    const source = this.model("map_clock");
    let before = this.pixels(figure);
    const changed = () => {
      const commit = this.clock();
      const known_ms = Date.now();
      requestAnimationFrame(() => requestAnimationFrame(() => {
        const shown_ms = Date.now();
        const after = this.pixels(figure);
        this.shown.push({ ...commit, known_ms, shown_ms, repainted: after !== before });
        before = after;
      }));
    };
    for (const signal of [source.properties.data.change, source.patching, source.streaming]) signal.connect(changed);
  },
  // Time in ms from now to the last change of the pixels of a figure, once they have been still for a while.
  async settled(figure, begin_ms, still_ms, limit_ms) {
    let hash = this.pixels(figure), last_ms = null;
    const first = hash;
    for (;;) {
      await new Promise(requestAnimationFrame);
      const now_ms = Date.now(), fresh = this.pixels(figure);
      if (fresh !== hash) { hash = fresh; last_ms = now_ms; }
      const since = now_ms - (last_ms ?? begin_ms);
      if ((last_ms !== null && since > still_ms) || now_ms - begin_ms > limit_ms) break;
    }
    return { painted_ms: last_ms === null ? null : last_ms - begin_ms, changed: hash !== first };
  },
};
