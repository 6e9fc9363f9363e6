// A table of shares: name, note, percentage, bar.
export default function ({ data, parentElement }) {
  const table = parentElement.querySelector("table"), body = table.tBodies[0];
  const cell = (tag, text) => { const made = document.createElement(tag); made.textContent = text; return made; };
  table.setAttribute("aria-label", data.label);
  const head = document.createElement("tr");
  head.append(...data.heads.map((text) => { const th = cell("th", text); th.scope = "col"; return th; }), cell("td", ""));
  table.tHead.replaceChildren(head);
  body.replaceChildren(...data.bars.map(({ name, note, text, width, strong }) => {
    const row = document.createElement("tr"), place = cell("td", "");
    if (strong) row.className = "strong";
    place.innerHTML = '<div class="track"><div></div></div>';
    place.querySelector(".track div").style.width = `${width}%`;
    row.append(cell("td", name), cell("td", note), cell("td", text), place);
    return row;
  }));
}
