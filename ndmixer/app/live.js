// Curves that grow while a model trains: one canvas a panel, kept from update to update.
// Payload: 4 bytes header length, JSON header, float32 arrays in the order of header.arrays.
const views = new WeakMap();
const zooms = new Map(); // run -> [first step, last step]; outlives a change of page

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

function range(view, panel) {
  const now = view.data.step.at(-1) ?? 0; // the axis grows with the run; the bar above shows the whole
  const [first, last] = view.zoom ?? [0, Math.max(Math.min(view.data.total, 1.15 * now), view.data.val_step.at(-1) ?? 0, 16)];
  let low = Infinity, high = -Infinity;
  for (const [steps, values] of panel.lines(view.data))
    for (let i = 0; i < steps.length; i++)
      if (steps[i] >= first && steps[i] <= last && Number.isFinite(values[i])) {
        low = Math.min(low, values[i]); high = Math.max(high, values[i]);
      }
  if (low > high) [low, high] = [0, 1];
  if (panel.percent) { high = 1; low = Math.max(0, Math.min(low, 0.9)); }
  else if (!view.zoom) { low = Math.min(0, low); high = Math.max(0, high); }
  if (high - low < 1e-6 * Math.max(1, Math.abs(high))) high = low + 1e-3;
  return { first, last, low, high: panel.percent ? high : high + 0.04 * (high - low) };
}

function draw(view, panel) {
  const { canvas } = panel, ratio = devicePixelRatio || 1;
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
  const r = range(view, panel);
  const x = (s) => box.left + (s - r.first) / (r.last - r.first) * (box.right - box.left);
  const y = (v) => box.bottom - (v - r.low) / (r.high - r.low) * (box.bottom - box.top);
  Object.assign(panel, { box, r });
  g.font = `11px ${style.fontFamily}`; g.fillStyle = text; g.strokeStyle = line; g.lineWidth = 1;
  g.textAlign = "right"; g.textBaseline = "middle";
  const rows = ticks(r.low, r.high, 4), scale = panel.percent ? 100 : 1;
  for (const v of rows.values) {
    g.globalAlpha = 0.7; g.beginPath(); g.moveTo(box.left, Math.round(y(v)) + 0.5); g.lineTo(box.right, Math.round(y(v)) + 0.5); g.stroke();
    g.globalAlpha = 0.8;
    g.fillText((v * scale).toFixed(Math.max(0, rows.digits - (panel.percent ? 2 : 0))) + (panel.percent ? " %" : ""), box.left - 6, y(v));
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
      if (!Number.isFinite(values[i])) { pen = false; continue; }
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
    const [[step, train], [val_step, test]] = lines;
    g.strokeStyle = g.fillStyle = blue; curve(step, train);
    g.strokeStyle = g.fillStyle = orange; g.setLineDash([3, 3]); g.beginPath();
    val_step.forEach((s, i) => i ? g.lineTo(x(s), y(test[i])) : g.moveTo(x(s), y(test[i]))); g.stroke(); g.setLineDash([]);
    val_step.forEach((s, i) => { g.beginPath(); g.arc(x(s), y(test[i]), 3.2, 0, 7); g.fill(); });
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
  const shown = (v) => panel.percent ? (100 * v).toFixed(2) + " %" : v.toPrecision(3);
  const lines = panel.lines(view.data), steps = lines[0]?.[0] ?? [];
  if (view.hover == null || !steps.length) { panel.note.textContent = panel.gates ? view.data.gates || "one line a block" : view.zoom ? "double-click: show all" : ""; return; }
  const i = nearest(steps, view.hover);
  g.strokeStyle = text; g.globalAlpha = 0.4; g.lineWidth = 1; g.beginPath();
  g.moveTo(Math.round(x(steps[i])) + 0.5, panel.box.top); g.lineTo(Math.round(x(steps[i])) + 0.5, panel.box.bottom); g.stroke(); g.globalAlpha = 1;
  if (panel.gates) { panel.note.textContent = lines.slice(0, 6).map(([, values]) => shown(values[i])).join(" · ") + (lines.length > 6 ? " ..." : ""); return; }
  const [val_step, test] = lines[1], j = nearest(val_step, view.hover);
  panel.note.textContent = `step ${steps[i].toLocaleString("en-US")}: ${shown(lines[0][1][i])}` + (j < 0 ? "" : ` · test ${shown(test[j])}`);
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

export default function ({ data, parentElement }) {
  if (!data) return;
  let view = views.get(parentElement);
  if (!view) {
    const find = (name) => parentElement.querySelector(name);
    view = { find, panels: ["loss", "score", "gates"].map((id) => ({ canvas: find(`#${id} canvas`), note: find(`#${id} .note`), title: find(`#${id} .title`) })) };
    view.panels.forEach((panel) => listen(view, panel));
    view.observer = new ResizeObserver(() => view.panels.forEach((panel) => view.data && draw(view, panel)));
    view.panels.forEach((panel) => view.observer.observe(panel.canvas));
    views.set(parentElement, view);
  }
  const colors = getComputedStyle(view.panels[0].canvas).getPropertyValue("--st-chart-categorical-colors").split(",");
  const root = view.find(".live");
  root.style.setProperty("--train", colors[0]); root.style.setProperty("--test", colors[1]);
  view.data = decode(data);
  view.zoom = zooms.get(view.data.run) ?? null;
  const score = view.data.score;
  view.panels[0].lines = (d) => [[d.step, d.loss], [d.val_step, d.val_loss]];
  view.panels[1].lines = (d) => [[d.step, d[score]], [d.val_step, d[`val_${score}`]]];
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
  view.find(".empty").hidden = view.data.step.length > 0;
  view.find(".empty span").textContent = view.data.hint;
  view.panels.forEach((panel) => draw(view, panel));
  return () => setTimeout(() => { if (!view.panels[0].canvas.isConnected) view.observer.disconnect(); }, 0);
}
