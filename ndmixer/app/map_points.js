// Shows the image of the point under the pointer, and tells which one was clicked in space.
// Streamlit hears of neither: Plotly alone does, at the element that it drew into.
// Payload: 4 bytes header length, JSON header, the images as bytes: rows, columns, channels.
const LOOK = 300; // milliseconds; Streamlit draws a figure anew into another element
const ZOOM = 3, GAP = 30; // pixels a pixel, and between pointer and image, clear of Plotly's words

function decode(bytes) {
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  return { ...header, pixels: bytes.subarray(4 + length) };
}

function paint(canvas, { shape: [height, width, channels], pixels }, row) {
  [canvas.width, canvas.height] = [width, height];
  [canvas.style.width, canvas.style.height] = [`${ZOOM * width}px`, `${ZOOM * height}px`];
  const context = canvas.getContext("2d"), picture = context.createImageData(width, height);
  const start = row * height * width * channels;
  for (let k = 0; k < height * width; k++) {
    for (let c = 0; c < 3; c++) picture.data[4 * k + c] = pixels[start + k * channels + c % channels];
    picture.data[4 * k + 3] = 255;
  }
  context.putImageData(picture, 0, 0);
}

function place(canvas, { clientX, clientY }) {
  const { width, height } = canvas.getBoundingClientRect();
  const below = clientY + GAP + height < innerHeight;
  canvas.style.left = `${Math.max(0, Math.min(innerWidth - width, clientX - width / 2))}px`;
  canvas.style.top = `${below ? clientY + GAP : clientY - GAP - height}px`;
}

export default function ({ data, parentElement, setTriggerValue }) {
  const canvas = parentElement.querySelector("canvas"), images = decode(data);
  let heard = null, pointer = null;
  const hide = () => { canvas.hidden = true; };
  // A finger hides what lies under it, and what it taps is shown beside the map.
  const move = (event) => { pointer = event.pointerType === "touch" ? null : event; if (pointer && !canvas.hidden) place(canvas, pointer); };
  const show = ({ points }) => {
    const row = points[0].customdata;
    if (!pointer || !Number.isInteger(row)) return;
    paint(canvas, images, row);
    canvas.hidden = false;
    place(canvas, pointer);
  };
  const told = ({ points }) => setTriggerValue("row", points[0].customdata);
  const plotly = { plotly_hover: show, plotly_unhover: hide, ...(images.space && { plotly_click: told }) };
  const browser = { pointermove: move, pointerdown: hide, pointerleave: hide };
  const forget = () => {
    for (const [name, call] of Object.entries(plotly)) heard?.removeListener?.(name, call);
    // Plotly keeps a pressed or a turned figure's events to itself, so they are heard before it.
    for (const [name, call] of Object.entries(browser)) heard?.removeEventListener(name, call, true);
    hide();
  };
  const listen = () => {
    const plot = document.querySelector(`.st-key-${images.figure} .js-plotly-plot`);
    if (plot === heard || !plot?.on) return;
    forget();
    heard = plot;
    for (const [name, call] of Object.entries(plotly)) plot.on(name, call);
    for (const [name, call] of Object.entries(browser)) plot.addEventListener(name, call, true);
  };
  const timer = setInterval(listen, LOOK);
  listen();
  return () => {
    clearInterval(timer);
    forget();
  };
}
