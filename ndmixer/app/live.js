// Curves that grow while a model trains: one canvas a panel, kept from update to update.
// Payload: 4 bytes header length, JSON header, float32 arrays in the order of header.arrays.
const views = new WeakMap();
const zooms = new Map(); // run -> [first step, last step]; outlives a change of page
let logLoss = false; // likewise

function decode(bytes) {
  const copy = bytes.slice().buffer;
  const length = new DataView(copy).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(copy, 4, length)));
  let offset = 4 + length;
  const arrays = {};
  for (const [name, size] of header.arrays) {
    arrays[name] = new Float32Array(copy.slice(offset, offset + 4 * size));
    offset += 4 * size;
  }
  return { ...header, ...arrays };
}

function ticks(low, high, wanted) {
  const raw = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((k) => k * power).find((s) => s >= raw);
  const out = [];
  for (let v = Math.ceil(low / step - 1e-9) * step; v <= high + step * 1e-9; v += step) out.push(v + 0); // + 0: no -0
  return { values: out, digits: Math.max(0, -Math.floor(Math.log10(step) + 1e-9)) };
}

// 1, 2 and 5 times the powers of ten, of a wide range the powers alone.
function logTicks(low, high, wanted) {
  const decades = [];
  for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k++) decades.push(k);
  const within = (parts) => decades.flatMap((k) => parts.map((p) => p * 10 ** k)).filter((v) => v >= low * 0.999 && v <= high * 1.001);
  let values = [[1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 2, 5], [1]].map(within).find((found) => found.length <= wanted) ?? within([1]);
  const every = Math.ceil(values.length / wanted);
  if (every > 1) values = values.filter((_, i) => i % every === 0);
  return values.length > 1 ? values : ticks(low, high, 4).values;
}

// 0.02, 3.5, 1e-5: as many digits as it has, no more than three.
function short(v) { const a = Math.abs(v); return a && (a < 1e-3 || a >= 1e4) ? Number(v.toPrecision(2)).toExponential().replace("e+", "e") : String(Number(v.toPrecision(3))); }

function range(view, panel) {
  const now = view.data.step.at(-1) ?? 0; // the axis grows with the run; the bar above shows the whole
  const ghost = view.data.ended ? Math.max(view.data.ghost_step?.at(-1) ?? 0, view.data.ghost_val_step?.at(-1) ?? 0) : 0;
  const [first, last] = view.zoom ?? [0, Math.max(Math.min(view.data.total, 1.15 * now), view.data.val_step.at(-1) ?? 0, view.data.diverged ?? 0, ghost, 16)];
  let low = Infinity, high = -Infinity;
  for (const [steps, values] of panel.lines(view.data))
    for (let i = 0; i < steps.length; i++)
      if (steps[i] >= first && steps[i] <= last && Number.isFinite(values[i]) && (!panel.log || values[i] > 0)) {
        low = Math.min(low, values[i]); high = Math.max(high, values[i]);
      }
  if (low > high) [low, high] = panel.log ? [0.1, 1] : [0, 1];
  if (panel.log) { const room = Math.max(high / low, 1.5) ** 0.04; return { first, last, low: low / room, high: high * room }; }
  if (panel.percent) { high = 1; low = Math.max(0, Math.min(low, 0.9)); }
  else if (!view.zoom) { low = Math.min(0, low); high = Math.max(0, high); }
  if (high - low < 1e-6 * Math.max(1, Math.abs(high))) high = low + 1e-3;
  return { first, last, low, high: panel.percent ? high : high + 0.04 * (high - low) };
}

function draw(view, panel) {
  const { canvas } = panel, ratio = view.ratio ?? (devicePixelRatio || 1);
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width) return;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  }
  const g = canvas.getContext("2d"), style = getComputedStyle(canvas);
  const text = style.getPropertyValue("--st-text-color"), line = style.getPropertyValue("--st-border-color");
  const blue = style.getPropertyValue("--train"), orange = style.getPropertyValue("--test");
  g.setTransform(ratio, 0, 0, ratio, 0, 0);
  g.clearRect(0, 0, width, height);
  const box = { left: 46, top: 8, right: width - (panel.gates ? 20 : 10), bottom: height - 22 };
  panel.log = panel.canLog && logLoss;
  const r = range(view, panel), scaled = panel.log ? Math.log : (v) => v;
  const x = (s) => box.left + (s - r.first) / (r.last - r.first) * (box.right - box.left);
  const y = (v) => box.bottom - (scaled(v) - scaled(r.low)) / (scaled(r.high) - scaled(r.low)) * (box.bottom - box.top);
  Object.assign(panel, { box, r });
  g.font = `11px ${style.fontFamily}`; g.fillStyle = text; g.strokeStyle = line; g.lineWidth = 1;
  g.textBaseline = "middle";
  const none = panel.gates && view.data.gates;
  if (none) { g.textAlign = "center"; g.globalAlpha = 0.8; g.fillText(none, width / 2, height / 2); panel.tip.hidden = true; panel.note.textContent = ""; return; }
  g.textAlign = "right";
  const rows = panel.log ? { values: logTicks(r.low, r.high, 6) } : ticks(r.low, r.high, 4), scale = panel.percent ? 100 : 1;
  const label = (v) => panel.log || r.high >= 1e5 ? short(v) : (v * scale).toFixed(Math.max(0, rows.digits - (panel.percent ? 2 : 0)));
  for (const v of rows.values) {
    g.globalAlpha = 0.7; g.beginPath(); g.moveTo(box.left, Math.round(y(v)) + 0.5); g.lineTo(box.right, Math.round(y(v)) + 0.5); g.stroke();
    g.globalAlpha = 0.8;
    g.fillText(label(v) + (panel.percent ? " %" : ""), box.left - 6, y(v));
  }
  g.textBaseline = "top";
  for (const s of ticks(r.first, r.last, Math.max(2, Math.floor(width / 110))).values) {
    g.textAlign = x(s) > box.right - 16 ? "right" : "center";
    g.fillText(Math.round(s).toLocaleString("en-US"), x(s), box.bottom + 6);
  }
  g.globalAlpha = 1; g.save(); g.beginPath(); g.rect(box.left, 0, width - box.left, box.bottom + 5); g.clip();
  const lines = panel.lines(view.data), curve = (steps, values) => {
    let pen = false;
    g.beginPath();
    for (let i = 0; i < steps.length; i++) {
      if (!Number.isFinite(y(values[i]))) { pen = false; continue; }
      pen ? g.lineTo(x(steps[i]), y(values[i])) : g.moveTo(x(steps[i]), y(values[i])); pen = true;
    }
    g.stroke();
    if (steps.length === 1) { g.beginPath(); g.arc(x(steps[0]), y(values[0]), 2, 0, 7); g.fill(); }
  };
  g.lineJoin = "round"; g.lineWidth = 1.4;
  if (panel.gates) {
    lines.forEach(([steps, values], i) => { // first block palest, last block full colour
      g.strokeStyle = g.fillStyle = blue; g.globalAlpha = 0.35 + 0.65 * (i + 1) / lines.length; curve(steps, values);
      if (lines.length <= 8 && steps.length) { g.globalAlpha = 1; g.textAlign = "left"; g.textBaseline = "middle"; g.fillText(i, x(steps.at(-1)) + 3, y(values.at(-1))); }
    });
    g.globalAlpha = 1;
  } else {
    for (let i = lines.length - 2; i >= 0; i -= 2) { // the ghost first, below
      const [[step, train], [val_step, test]] = lines.slice(i, i + 2);
      const tested = [...val_step.keys()].filter((k) => Number.isFinite(y(test[k]))), faint = i ? 0.4 : 1;
      g.globalAlpha = faint;
      g.strokeStyle = g.fillStyle = blue; curve(step, train);
      g.strokeStyle = g.fillStyle = orange; g.setLineDash([3, 3]); g.beginPath();
      tested.forEach((k, j) => j ? g.lineTo(x(val_step[k]), y(test[k])) : g.moveTo(x(val_step[k]), y(test[k]))); g.stroke(); g.setLineDash([]);
      tested.forEach((k) => { g.beginPath(); g.arc(x(val_step[k]), y(test[k]), i ? 2.4 : 3.2, 0, 7); g.fill(); });
    }
    g.globalAlpha = 1;
  }
  if (view.data.diverged != null && !panel.gates) {
    const at = Math.round(x(view.data.diverged)) - 0.5, left = at > (box.left + box.right) / 2;
    g.strokeStyle = g.fillStyle = text; g.setLineDash([5, 3]); g.beginPath(); g.moveTo(at, box.top); g.lineTo(at, box.bottom); g.stroke(); g.setLineDash([]);
    g.textAlign = left ? "right" : "left"; g.textBaseline = "middle";
    g.fillText(`diverged at step ${view.data.diverged.toLocaleString("en-US")}`, at + (left ? -4 : 4), (box.top + box.bottom) / 2);
  }
  g.restore();
  if (view.drag && view.drag.panel === panel) {
    g.fillStyle = blue; g.globalAlpha = 0.15;
    g.fillRect(view.drag.from, box.top, view.drag.to - view.drag.from, box.bottom - box.top); g.globalAlpha = 1;
  }
  hover(view, panel, g, x, y, text);
}

function nearest(steps, target) {
  let best = -1;
  for (let i = 0; i < steps.length; i++) if (best < 0 || Math.abs(steps[i] - target) < Math.abs(steps[best] - target)) best = i;
  return best;
}

function hover(view, panel, g, x, y, text) {
  const shown = (v) => v == null || !Number.isFinite(v) ? "–" : panel.percent ? (100 * v).toFixed(2) + " %" : Number(v.toPrecision(4)).toString();
  const lines = panel.lines(view.data), steps = lines[0]?.[0] ?? [], { tip } = panel;
  const zero = panel.log && lines.some(([, values]) => values.some((v) => v <= 0)) ? "0 is not shown" : "";
  panel.note.textContent = panel.gates ? "one line a block" : zero || (view.zoom && panel !== view.panels[0] ? "double-click: show all" : "");
  tip.hidden = view.hover == null || !steps.length;
  if (tip.hidden) return;
  const i = nearest(steps, view.hover), at = Math.round(x(steps[i])) + 0.5;
  g.strokeStyle = text; g.globalAlpha = 0.4; g.lineWidth = 1; g.beginPath();
  g.moveTo(at, panel.box.top); g.lineTo(at, panel.box.bottom); g.stroke(); g.globalAlpha = 1;
  const near = ([of, values]) => shown(values[nearest(of, view.hover)]);
  const rows = panel.gates
    ? [...lines.slice(0, 8).map(([, values], k) => `gate ${k}  ${shown(values[i])}`), ...(lines.length > 8 ? ["..."] : [])]
    : ["training", "test", "ghost, training", "ghost, test"].slice(0, lines.length).map((name, k) => [name, lines[k]]).filter(([, [of]]) => of.length).map(([name, line]) => `${name}  ${near(line)}`);
  tip.textContent = [`step ${steps[i].toLocaleString("en-US")}`, ...rows].join("\n");
  const width = panel.canvas.clientWidth, side = at > width / 2 ? at - tip.offsetWidth - 8 : at + 8;
  tip.style.left = `${Math.max(0, Math.min(side, width - tip.offsetWidth))}px`;
  tip.style.top = `${panel.canvas.offsetTop + panel.box.top + 6}px`;
}

function listen(view, panel) {
  const { canvas } = panel;
  const at = (event) => event.clientX - canvas.getBoundingClientRect().left;
  const toStep = (px) => panel.r.first + (px - panel.box.left) / (panel.box.right - panel.box.left) * (panel.r.last - panel.r.first);
  const all = () => view.panels.forEach((p) => draw(view, p));
  canvas.onpointermove = (event) => { view.hover = toStep(at(event)); if (view.drag) view.drag.to = at(event); all(); };
  canvas.onpointerleave = () => { view.hover = null; all(); };
  canvas.onpointerdown = (event) => { if (event.pointerType === "mouse") { canvas.setPointerCapture(event.pointerId); view.drag = { panel, from: at(event), to: at(event) }; } };
  canvas.onpointerup = (event) => {
    const drag = view.drag; view.drag = null;
    if (drag && Math.abs(at(event) - drag.from) > 8) {
      view.zoom = [toStep(drag.from), toStep(at(event))].sort((a, b) => a - b).map((s) => Math.max(0, s));
      zooms.set(view.data.run, view.zoom);
    }
    all();
  };
  canvas.ondblclick = () => { view.zoom = null; zooms.delete(view.data.run); all(); };
}

// A line for each point of each curve; a long run's neighbours are averaged, as they are drawn.
function points(data) {
  const found = [["curve", "step", "value"]];
  for (const [name, values] of Object.entries(data)) {
    if (!(values instanceof Float32Array) || name.endsWith("step")) continue;
    const steps = data[name.startsWith("gate_") ? "gate_step" : name.replace(/^(ghost_)?(val_)?.*/, "$1$2step")];
    values.forEach((value, i) => found.push([name, steps[i], value]));
  }
  return found;
}

// Drawn anew for it, as sharp as the picture is.
function saveCurves(view) {
  const all = () => view.panels.forEach((panel) => draw(view, panel));
  view.ratio = 2; all();
  savePicture("curves", view.root);
  view.ratio = null; all();
}

// The browser asks by itself what is new; each part of the answer goes to the component of its
// name. Streamlit is asked only if what it draws is no longer so.
const SOON = 120, AGAIN = 1500, SETTLED = 500; // milliseconds: to the first question, between two of the same to Streamlit, after a choice
async function ask(view) {
  clearTimeout(view.timer);
  if (document.hidden) return; // it asks again as soon as it is seen
  if (!view.root.isConnected) { view.timer = setTimeout(() => ask(view), AGAIN); return; } // being moved; if it is gone, its end stops this
  const { drawn } = view, start = performance.now();
  let wait = AGAIN;
  try {
    const response = await fetch(new URL(`${drawn.feed}&have=${encodeURIComponent(view.have)}`, document.baseURI));
    const bytes = response.ok ? new Uint8Array(await response.arrayBuffer()) : null;
    if (drawn !== view.drawn) return; // another question was begun meanwhile
    if (bytes) wait = hand(view, bytes);
    else redraw(view);
  } catch { /* the app is away; Streamlit says so */ }
  clearTimeout(view.timer);
  view.timer = setTimeout(() => ask(view), Math.max(20, wait - (performance.now() - start)));
}

function hand(view, bytes) {
  const length = new DataView(bytes.buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  let offset = 4 + length;
  const parts = new Map(header.parts.map(([name, size]) => [name, bytes.subarray(offset, offset += size)]));
  view.have = header.have;
  if (parts.has("live")) take(view, parts.get("live"));
  if (parts.size) document.dispatchEvent(new CustomEvent("ndmixer-feed", { detail: parts }));
  // Again until it is drawn: a request that meets another one may be passed over.
  if (header.state !== view.drawn.state) redraw(view);
  return header.wait;
}

// A request sends what all controls hold. Until the answer to a choice is there, such as a preset
// that sets many of them, these are the old values, which would undo it: it waits for the answer.
let chosen = -Infinity; // when a control was last touched
const touched = (event) => { if (!event.target.closest?.(".st-key-watch")) chosen = performance.now(); };
for (const kind of ["pointerup", "keyup"]) document.addEventListener(kind, touched, true);

function choosing(at) {
  const app = document.querySelector("[data-test-script-state]");
  return at - chosen < SETTLED || app?.dataset.testScriptState === "running";
}

function redraw(view, at = performance.now()) {
  if (choosing(at) || at - (view.asked ?? -AGAIN) < AGAIN) return;
  view.asked = at;
  view.send("changed", at);
}

function take(view, bytes) {
  view.data = decode(bytes);
  view.zoom = zooms.get(view.data.run) ?? null;
  const score = view.data.score;
  const curves = (name) => (d) => ["", ...(d.ghost ? ["ghost_"] : [])].flatMap((of) => [[d[`${of}step`], d[`${of}${name}`]], [d[`${of}val_step`], d[`${of}val_${name}`]]]);
  view.panels[0].lines = curves("loss");
  view.panels[0].canLog = true;
  view.panels[1].lines = curves(score);
  view.panels[1].percent = score === "accuracy";
  view.panels[2].gates = true;
  view.panels[2].lines = (d) => Object.keys(d).filter((k) => /^gate_\d+$/.test(k)).map((k) => [d.gate_step, d[k]]);
  view.panels[0].title.textContent = view.data.loss_name;
  view.panels[1].title.textContent = score === "accuracy" ? "Accuracy" : "RMSE";
  for (const [name, value] of Object.entries(view.data.readouts)) {
    const cell = view.find(`[data-name="${name}"]`);
    if (cell.textContent !== value) cell.textContent = value;
  }
  view.find(".bar > div").style.width = `${(100 * view.data.progress).toFixed(2)}%`;
  view.find(".bar").setAttribute("aria-valuenow", Math.round(100 * view.data.progress));
  view.find(".log").setAttribute("aria-pressed", logLoss);
  view.find(".ghost").hidden = !view.data.ghost;
  view.find(".ghost").textContent = `ghost, paler: ${view.data.ghost}`;
  view.find(".empty").hidden = view.data.step.length > 0;
  view.find(".empty span").textContent = view.data.hint;
  view.panels.forEach((panel) => draw(view, panel));
}

function same(a, b) { return a?.length === b.length && a.every((byte, k) => byte === b[k]); }

export default function ({ data, parentElement, setTriggerValue }) {
  if (!data) return;
  let view = views.get(parentElement);
  if (!view) {
    const find = (name) => parentElement.querySelector(name);
    view = { find, root: find(".live"), panels: ["loss", "score", "gates"].map((id) => ({ canvas: find(`#${id} canvas`), note: find(`#${id} .note`), tip: find(`#${id} .tip`), title: find(`#${id} .title`) })) };
    view.panels.forEach((panel) => listen(view, panel));
    find(".log").onclick = () => { logLoss = !logLoss; find(".log").setAttribute("aria-pressed", logLoss); draw(view, view.panels[0]); };
    saveButtons(find(".save"), { PNG: () => saveCurves(view), CSV: () => saveTable("curves", points(view.data)) });
    view.observer = new ResizeObserver(() => view.panels.forEach((panel) => view.data && draw(view, panel)));
    view.seen = () => document.hidden || ask(view);
    views.set(parentElement, view);
  }
  view.send = setTriggerValue;
  const colors = getComputedStyle(view.panels[0].canvas).getPropertyValue("--st-chart-categorical-colors").split(",");
  view.root.style.setProperty("--train", colors[0]); view.root.style.setProperty("--test", colors[1]);
  // Drawn anew with what was sent before, in other colours say, it keeps what it has asked for since.
  if (same(view.sent, data)) view.panels.forEach((panel) => draw(view, panel));
  else {
    view.sent = data.slice();
    take(view, data);
    view.drawn = view.data; view.have = view.drawn.have; view.asked = undefined;
  }
  clearTimeout(view.timer); // also where nothing is new: it may have been taken away and put back
  view.timer = setTimeout(() => ask(view), SOON);
  view.panels.forEach((panel) => view.observer.observe(panel.canvas));
  document.addEventListener("visibilitychange", view.seen);
  return () => setTimeout(() => {
    if (view.root.isConnected) return;
    view.observer.disconnect(); clearTimeout(view.timer);
    document.removeEventListener("visibilitychange", view.seen);
  }, 0);
}
