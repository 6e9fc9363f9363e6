// A grid of heat maps on one canvas, kept from update to update: a canvas for each map would cost
// the browser, at every change of the page, more than all the drawing.
// Payload: 4 bytes header length, JSON header, float32 maps column by column.
const views = new WeakMap();

// Blue below zero, orange above, the page's own background at zero; or grey from black to white.
// One number a colour, as it lies in the memory of a picture.
function palette(style, scale) {
  if (scale === "grey") return new Uint32Array(Uint8Array.from({ length: 1024 }, (_, k) => k % 4 === 3 ? 255 : k >> 2).buffer);
  const rgb = (text) => { const m = /^#(..)(..)(..)$/.exec(text.trim()); return m ? m.slice(1).map((h) => parseInt(h, 16)) : (text.match(/[\d.]+/g) || [255, 255, 255]).slice(0, 3).map(Number); };
  const zero = rgb(style.getPropertyValue("--st-secondary-background-color"));
  const dark = zero[0] + zero[1] + zero[2] < 384;
  const ends = dark ? [[96, 165, 250], [251, 146, 60]] : [[29, 78, 216], [194, 65, 12]];
  const table = new Uint8Array(256 * 4);
  for (let i = 0; i < 256; i++) {
    const t = (i - 127.5) / 127.5, end = t < 0 ? ends[0] : ends[1], a = Math.abs(t) ** 0.8;
    for (let k = 0; k < 3; k++) table[4 * i + k] = zero[k] + (end[k] - zero[k]) * a;
    table[4 * i + 3] = 255;
  }
  return new Uint32Array(table.buffer);
}

function decode(bytes) {
  const copy = bytes.slice().buffer, length = new DataView(copy).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(copy, 4, length)));
  let offset = 4 + length;
  for (const column of header.columns) {
    const [height, width] = column.shape, size = height * width;
    column.maps = header.rows.map(() => { const map = new Float32Array(copy.slice(offset, offset + 4 * size)); offset += 4 * size; return map; });
  }
  return header;
}

function number(v) { const a = Math.abs(v); return a && (a < 0.01 || a >= 1000) ? v.toExponential(1) : v.toFixed(a < 10 ? 2 : 1); }

function ratioOf(column) { return Math.min(2.5, Math.max(0.4, column.shape[1] / column.shape[0])); }

// As wide as its maps, or as its heading where that is longer.
function widthOf(column, header) { return Math.max(ratioOf(column) * header.cell, 6.3 * column.title.length, 5.8 * column.note.length); }

// Ten columns stand in two lines where one would be too narrow; a flow takes as many as it needs.
function lines(view, header) {
  if (header.flow) {
    const found = [[]], room = view.root.clientWidth - 10;
    let used = 0;
    header.columns.forEach((column, j) => {
      const width = widthOf(column, header) + 5;
      if (used + width > room && used) { found.push([]); used = 0; }
      found.at(-1).push(j); used += width;
    });
    return found;
  }
  const all = header.columns.map((_, j) => j), half = Math.ceil(all.length / 2);
  return header.wrap && view.root.clientWidth < 480 ? [all.slice(0, half), all.slice(half)] : [all];
}

function build(view, header) {
  const { root } = view;
  root.replaceChildren();
  view.note = document.createElement("p"); view.note.className = "note"; root.append(view.note);
  root.classList.toggle("bare", !header.rows.some(Boolean));
  root.setAttribute("aria-label", header.label); root.setAttribute("role", "group");
  const ratios = header.columns.map(ratioOf);
  view.heads = []; view.ranges = []; view.layers = [];
  for (const line of lines(view, header)) {
    const grid = document.createElement("div");
    const add = (tag, name, text = "") => { const made = document.createElement(tag); made.className = name; made.textContent = text; grid.append(made); return made; };
    grid.className = "grid"; root.append(grid);
    const layer = { canvas: document.createElement("canvas"), cells: [] };
    grid.append(layer.canvas); view.layers.push(layer);
    grid.style.gridTemplateColumns = `max-content ${line.map((j) => `minmax(${header.wrap ? 0 : 14}px, ${widthOf(header.columns[j], header).toFixed(1)}px)`).join(" ")}`;
    add("span", "");
    for (const j of line) {
      const c = header.columns[j], head = add("div", "head");
      head.innerHTML = "<b></b><small></small>"; head.title = [c.title, c.note].filter(Boolean).join(", ");
      head.firstChild.textContent = c.title; head.lastChild.textContent = c.note; view.heads[j] = head;
    }
    header.rows.forEach((name, i) => {
      add("span", "row", name);
      for (const j of line) {
        const c = header.columns[j], map = add("div", "map");
        map.style.aspectRatio = `${ratios[j]}`; map.style.maxWidth = `${(ratios[j] * header.cell).toFixed(1)}px`;
        map.setAttribute("role", "img"); map.setAttribute("aria-label", [c.title, name].filter(Boolean).join(" of "));
        if (header.choose) {
          map.setAttribute("role", "button"); map.tabIndex = 0;
          map.onclick = () => view.send("column", j);
          map.onkeydown = (e) => { if (e.key === "Enter" || e.key === " ") { e.preventDefault(); view.send("column", j); } };
        }
        map.onpointermove = (e) => { view.at = { i, j, x: e.offsetX / map.clientWidth, y: e.offsetY / map.clientHeight }; tell(view); };
        map.onpointerleave = () => { view.at = null; tell(view); };
        layer.cells.push({ i, j, map });
      }
    });
    add("span", "");
    for (const j of line) view.ranges[j] = add("small", "range");
  }
  view.legend = document.createElement("div"); view.legend.className = "legend"; root.append(view.legend);
  view.legend.innerHTML = '<canvas width="256" height="1"></canvas><span class="scale"></span><span class="value"></span><span class="save"></span>';
  saveButtons(view.legend.querySelector(".save"), { PNG: () => savePicture(header.key, root), CSV: () => saveTable(header.key, numbers(view.header)) });
}

// A line for each number of each map.
function numbers({ columns, rows }) {
  const found = [["map", "strip", "row", "column", "value"]];
  for (const { title, maps, shape } of columns)
    maps.forEach((map, i) => map.forEach((value, k) => found.push([title, rows[i], Math.floor(k / shape[1]), k % shape[1], value])));
  return found;
}

// Where each map lies on its canvas, in the screen's own pixels; asked only when that may have changed.
function place(view) {
  const scale = window.devicePixelRatio || 1;
  for (const { canvas, cells } of view.layers) {
    const grid = canvas.parentElement;
    [canvas.width, canvas.height] = [grid.scrollWidth, grid.scrollHeight].map((size) => Math.round(size * scale));
    canvas.style.width = `${grid.scrollWidth}px`; canvas.style.height = `${grid.scrollHeight}px`;
    for (const cell of cells) {
      const { offsetLeft: x, offsetTop: y, offsetWidth: w, offsetHeight: h } = cell.map;
      const [left, top, right, bottom] = [x, y, x + w, y + h].map((edge) => Math.round(edge * scale));
      cell.at = [left, top, right - left, bottom - top];
    }
  }
}

function paint(view, table) {
  const { header, buffer } = view, grey = header.scale === "grey";
  const pictures = header.columns.map(({ shape: [height, width], range, maps }) => {
    const [zero, factor] = grey ? [0, 255] : [127.5, range ? 127.5 / range : 0];
    return maps.map((map) => {
      const picture = new ImageData(width, height), pixels = new Uint32Array(picture.data.buffer);
      for (let k = 0; k < map.length; k++)
        if (Number.isFinite(map[k])) pixels[k] = table[Math.max(0, Math.min(255, Math.round(zero + map[k] * factor)))];
      return picture;
    });
  });
  const source = buffer.getContext("2d", { willReadFrequently: true });
  for (const { canvas, cells } of view.layers) {
    const target = canvas.getContext("2d");
    target.clearRect(0, 0, canvas.width, canvas.height);
    target.imageSmoothingEnabled = false;
    for (const { i, j, at } of cells) {
      const picture = pictures[j][i];
      if (buffer.width !== picture.width || buffer.height !== picture.height) [buffer.width, buffer.height] = [picture.width, picture.height];
      source.putImageData(picture, 0, 0);
      target.drawImage(buffer, ...at);
    }
  }
}

function tell(view) {
  const value = view.legend.querySelector(".value"), at = view.at;
  if (!at) { value.textContent = ""; return; }
  const column = view.header.columns[at.j], [height, width] = column.shape;
  const row = Math.min(height - 1, Math.floor(at.y * height)), col = Math.min(width - 1, Math.floor(at.x * width));
  const v = column.maps[at.i][row * width + col];
  const where = [column.title, view.header.rows[at.i], `row ${row}, column ${col}`].filter(Boolean).join(", ");
  value.textContent = Number.isFinite(v) ? `${where}: ${Number(v.toPrecision(7))}` : "";
}

function draw(view) {
  const { header } = view, table = palette(getComputedStyle(view.root), header.scale);
  const shape = JSON.stringify([header.rows, header.cell, lines(view, header), header.columns.map((c) => [c.title, c.note, c.shape])]);
  if (view.shape !== shape) { build(view, header); view.shape = shape; place(view); }
  paint(view, table);
  view.note.textContent = header.note; view.note.hidden = !header.note;
  header.columns.forEach((column, j) => {
    view.heads[j].classList.toggle("marked", column.title === header.marked);
    view.ranges[j].textContent = header.scale === "own" ? `±${number(column.range)}` : "";
  });
  const bar = view.legend.querySelector("canvas").getContext("2d"), strip = bar.createImageData(256, 1);
  const half = header.positive && header.scale === "shared";
  new Uint32Array(strip.data.buffer).set(half ? table.map((_, i) => table[128 + (i >> 1)]) : table);
  bar.putImageData(strip, 0, 0);
  const range = number(header.columns[0]?.range ?? 0);
  view.legend.querySelector(".scale").textContent = {
    own: `each ${header.rows.length > 1 ? "column" : "map"} its own scale, printed below it`, grey: "0 to 1; what lies beyond is cut", shared: `${half ? "0" : `−${range}`} to +${range}, one scale for all`,
  }[header.scale];
  tell(view);
}

function same(a, b) { return a.length === b.length && a.every((byte, k) => byte === b[k]); }

function take(view, bytes) {
  view.late = null;
  const colours = getComputedStyle(view.root).getPropertyValue("--st-secondary-background-color");
  // Drawing costs a training on the same machine more than looking whether there is news.
  if (view.colours === colours && same(view.data, bytes)) return;
  view.colours = colours; view.data = bytes.slice(); view.header = decode(bytes);
  draw(view);
}

export default function ({ data, parentElement, setTriggerValue }) {
  if (!data) return;
  let view = views.get(parentElement);
  if (!view) {
    view = { root: parentElement.querySelector(".maps"), buffer: document.createElement("canvas"), data: [], sent: [] }; views.set(parentElement, view);
    view.observer = new ResizeObserver(() => { if (view.header) { view.shape && place(view); draw(view); } });
    view.observer.observe(view.root);
    // What the browser asked for by itself, see live.js; where nobody sees it, it is drawn later.
    view.sight = new IntersectionObserver((entries) => { view.away = !entries.at(-1).isIntersecting; if (!view.away && view.late) take(view, view.late); });
    view.sight.observe(view.root);
    view.feed = ({ detail }) => { const bytes = detail.get(view.header?.key); if (bytes) view.away ? (view.late = bytes) : take(view, bytes); };
    document.addEventListener("ndmixer-feed", view.feed);
  }
  view.send = setTriggerValue;
  // Drawn anew with what was sent before, in other colours say, it keeps what came since.
  const fresh = !same(view.sent, data);
  if (fresh) view.sent = data.slice();
  take(view, fresh ? data : view.late ?? view.data);
  return () => setTimeout(() => {
    if (view.root.isConnected) return;
    view.observer.disconnect(); view.sight.disconnect();
    document.removeEventListener("ndmixer-feed", view.feed);
  }, 0);
}
