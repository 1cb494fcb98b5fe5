// A table whose cells are changed in place, so that scroll position, selection and focus of the reader stay.
// Texts are set as text: what a file is called can never become markup.
export function render({ model }) {
  const table = document.createElement("table");
  const head = table.createTHead();
  const body = table.createTBody();

  const part = ({ text, style, href, target, file, ask, off, share, hook }) => {
    let node;
    if (href !== undefined) {
      node = document.createElement("a");
      node.href = href;
      if (target) { node.target = target; node.rel = "noopener"; }
      if (file !== undefined) { node.download = file; }
    } else if (ask !== undefined) {
      node = document.createElement("button");
      node.type = "button";
      node.disabled = Boolean(off);
    } else {
      node = document.createElement("span");
    }
    if (ask !== undefined) {
      node.addEventListener("click", (event) => {
        if (event.ctrlKey || event.metaKey || event.shiftKey) { return; }
        event.preventDefault();
        model.send_msg(ask);
      });
    }
    if (share !== undefined) {
      const filled = document.createElement("i");
      filled.style.width = `${100 * share}%`;
      node.append(filled);
    }
    if (text !== undefined) { node.append(text); }
    node.className = [style, hook].filter(Boolean).join(" ");
    return node;
  };

  const fill = (row, cells, tag) => {
    cells.forEach((parts, index) => {
      let cell = row.cells[index];
      if (cell === undefined) { cell = row.appendChild(document.createElement(tag)); }
      const now = JSON.stringify(parts);
      if (cell.said !== now) {
        cell.said = now;
        cell.replaceChildren(...parts.map(part));
      }
    });
    while (row.cells.length > cells.length) { row.deleteCell(-1); }
  };

  const draw = () => {
    head.hidden = model.head.length === 0;
    fill(head.rows[0] ?? head.insertRow(), model.head.map((text) => [{ text }]), "th");
    const known = new Map(Array.from(body.rows, (row) => [row.key, row]));
    let previous = null;
    for (const { key, style, cells } of model.rows) {
      const row = known.get(key) ?? document.createElement("tr");
      known.delete(key);
      row.key = key;
      row.className = style ?? "";
      fill(row, cells, "td");
      const next = previous === null ? body.firstChild : previous.nextSibling;
      if (row !== next) { body.insertBefore(row, next); }
      previous = row;
    }
    known.forEach((row) => row.remove());
  };

  const fetch_file = () => {
    if (!model.download.href) { return; }
    const link = document.createElement("a");
    link.href = model.download.href;
    link.download = model.download.file;
    document.body.append(link);
    link.click();
    link.remove();
  };

  model.on(["head", "rows"], draw);
  model.on("download", fetch_file);
  draw();
  return table;
}
