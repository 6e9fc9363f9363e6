// A pad that is drawn on; its ink, the alpha of the canvas, goes to Python as base64 bytes.
const views = new WeakMap();
const WIDTH = 12, STEP = 5, TELL = 250; // of a line and of a key in pixels; milliseconds between two reports while drawing
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function line(view, from, to) {
  const { pen } = view;
  pen.beginPath(); pen.moveTo(...from); pen.lineTo(to[0] + 0.01, to[1]); pen.stroke();
  view.told || tell(view, TELL);
}

function tell(view, wait) {
  clearTimeout(view.told);
  view.told = setTimeout(() => {
    view.told = 0;
    const { data } = view.pen.getImageData(0, 0, view.canvas.width, view.canvas.height);
    let text = "";
    for (let k = 3; k < data.length; k += 4) text += String.fromCharCode(data[k]);
    const sent = /[^\0]/.test(text) ? btoa(text) : "";
    if (sent !== view.sent) { view.sent = sent; view.send("pixels", sent); }
  }, wait);
}

function clear(view) {
  view.pen.clearRect(0, 0, view.canvas.width, view.canvas.height);
  tell(view, 0);
}

function restore(view, saved) {
  if (!saved) return;
  const bytes = atob(saved), picture = view.pen.getImageData(0, 0, view.canvas.width, view.canvas.height);
  for (let k = 0; k < bytes.length; k++) picture.data[4 * k + 3] = bytes.charCodeAt(k);
  view.pen.putImageData(picture, 0, 0);
  view.sent = saved;
}

function listen(view) {
  const { canvas, cursor } = view, size = canvas.width;
  const place = (e) => [e.offsetX / canvas.clientWidth * size, e.offsetY / canvas.clientHeight * size];
  const mark = () => { cursor.style.left = `${view.at[0] / size * 100}%`; cursor.style.top = `${view.at[1] / size * 100}%`; };
  canvas.onpointerdown = (e) => {
    if (e.button) return;
    canvas.setPointerCapture(e.pointerId); cursor.hidden = true;
    view.last = view.at = place(e); line(view, view.last, view.last);
  };
  canvas.onpointermove = (e) => {
    if (!view.last) return;
    for (const part of e.getCoalescedEvents?.().concat(e) ?? [e]) { const to = place(part); line(view, view.last, to); view.last = view.at = to; }
  };
  canvas.onpointerup = canvas.onpointercancel = () => { if (view.last) { view.last = null; tell(view, 0); } };
  canvas.onkeydown = (e) => {
    const arrow = ARROWS[e.key];
    if (arrow) {
      const to = view.at.map((v, k) => Math.max(0, Math.min(size, v + STEP * arrow[k])));
      if (view.space) line(view, view.at, to);
      view.at = to;
    } else if (e.key === " ") { view.space = true; line(view, view.at, view.at); }
    else if (e.key === "Delete" || e.key === "Backspace") clear(view);
    else return;
    e.preventDefault(); e.stopPropagation(); cursor.hidden = false; mark();
  };
  const lift = () => { if (view.space) { view.space = false; tell(view, 0); } };
  canvas.onkeyup = (e) => { if (e.key === " ") lift(); };
  canvas.onblur = () => { cursor.hidden = true; lift(); };
  view.button.onclick = () => clear(view);
}

export default function ({ data, parentElement, setStateValue }) {
  let view = views.get(parentElement);
  if (!view) {
    const find = (name) => parentElement.querySelector(name), canvas = find("canvas");
    view = { canvas, cursor: find(".cursor"), button: find("button"), pen: canvas.getContext("2d", { willReadFrequently: true }), at: [canvas.width / 2, canvas.height / 2], sent: "" };
    Object.assign(view.pen, { lineWidth: WIDTH, lineCap: "round", lineJoin: "round" });
    views.set(parentElement, view);
    restore(view, data.saved);
    listen(view);
    find("p").textContent = data.hint;
  }
  view.send = setStateValue;
}
