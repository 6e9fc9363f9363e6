// The flow of a model: an SVG made by the server, in which a person chooses a stage.
const views = new WeakMap();

function mark(view, name, focus) {
  const stages = [...view.box.querySelectorAll(".stage")];
  const now = stages.find((stage) => stage.dataset.stage === name);
  for (const stage of stages) {
    stage === now ? stage.setAttribute("aria-current", "true") : stage.removeAttribute("aria-current");
    stage.setAttribute("tabindex", stage === (now ?? stages[0]) ? "0" : "-1");
  }
  if (!now) return;
  if (focus) now.focus({ preventScroll: true });
  const [a, b] = [now.getBoundingClientRect(), view.box.getBoundingClientRect()];
  if (a.left < b.left || a.right > b.right) view.box.scrollLeft += (a.left + a.right - b.left - b.right) / 2;
}

function choose(view, stage) {
  if (!stage) return;
  mark(view, stage.dataset.stage, true);
  view.send("stage", stage.dataset.stage);
}

function listen(view) {
  const keys = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };
  view.box.onclick = (event) => choose(view, event.target.closest(".stage"));
  view.box.onkeydown = (event) => {
    const stages = [...view.box.querySelectorAll(".stage")], at = stages.indexOf(event.target.closest(".stage"));
    if (at < 0) return;
    const to = { Home: 0, End: stages.length - 1, Enter: at, " ": at }[event.key] ?? at + keys[event.key];
    if (Number.isNaN(to)) return;
    event.preventDefault();
    choose(view, stages[to]);
  };
}

// The SVG as it stands on the page: a file has no page to take its colours and fonts from.
function saveDrawing(svg) {
  const copy = svg.cloneNode(true), all = [...svg.querySelectorAll("*")];
  copy.querySelectorAll("*").forEach((part, i) => {
    const style = getComputedStyle(all[i]);
    for (const name of ["fill", "stroke", "stroke-width", "opacity", "font-family", "font-size", "font-weight", "text-anchor"]) part.style.setProperty(name, style.getPropertyValue(name));
  });
  copy.style.background = getComputedStyle(svg).getPropertyValue("--st-background-color");
  saveFile("flow.svg", "image/svg+xml", new XMLSerializer().serializeToString(copy));
}

export default function ({ data, parentElement, setStateValue }) {
  if (!data) return;
  let view = views.get(parentElement);
  if (!view) {
    view = { box: parentElement.querySelector(".scroll"), caption: parentElement.querySelector("figcaption span") };
    views.set(parentElement, view);
    listen(view);
    saveButtons(parentElement.querySelector(".save"), { SVG: () => saveDrawing(view.box.querySelector("svg")) });
  }
  view.send = setStateValue;
  const redrawn = view.svg !== data.svg;
  if (redrawn) { view.box.innerHTML = data.svg; view.svg = data.svg; }
  view.caption.textContent = data.total;
  if (redrawn || view.chosen !== data.chosen) { view.chosen = data.chosen; mark(view, data.chosen, false); }
}
