// What the components save: their picture, and their numbers. Stands before the script of each.
function saveFile(name, type, content) {
  const link = document.createElement("a"), url = URL.createObjectURL(new Blob([content], { type }));
  link.href = url; link.download = name; link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function saveTable(name, rows) {
  const cell = (v) => typeof v === "number" ? (Number.isFinite(v) ? Number(v.toPrecision(7)) : "") : /[",\n]/.test(v) ? `"${v.replaceAll('"', '""')}"` : v;
  saveFile(`${name}.csv`, "text/csv", rows.map((row) => row.map(cell).join(",") + "\n").join(""));
}

// The canvases and the texts within an element, as they stand on the page, twice as large.
function savePicture(name, root) {
  const box = root.getBoundingClientRect(), made = document.createElement("canvas"), g = made.getContext("2d");
  [made.width, made.height] = [2 * root.scrollWidth, 2 * root.scrollHeight];
  g.scale(2, 2); g.imageSmoothingEnabled = false;
  g.fillStyle = getComputedStyle(root).getPropertyValue("--st-background-color"); g.fillRect(0, 0, made.width, made.height);
  g.textBaseline = "middle";
  for (const part of root.querySelectorAll("*")) {
    const at = part.getBoundingClientRect(), style = getComputedStyle(part);
    if (!at.width || !at.height || part.closest(".save, button, [hidden]")) continue;
    const x = at.left - box.left + root.scrollLeft, y = at.top - box.top + root.scrollTop, middle = y + at.height / 2;
    g.globalAlpha = Number(style.opacity);
    if (part.tagName === "CANVAS") { g.drawImage(part, x, y, at.width, at.height); continue; }
    const text = part.children.length ? "" : part.textContent.trim(), mark = getComputedStyle(part, "::before");
    if (!text) continue;
    let used = 0;
    if (mark.content !== "none") { // a sample of the line or the dot that the text explains
      const width = parseFloat(mark.width), height = parseFloat(mark.borderTopWidth) || parseFloat(mark.height);
      g.fillStyle = parseFloat(mark.borderTopWidth) ? mark.borderTopColor : mark.backgroundColor;
      g.globalAlpha = Number(style.opacity) * Number(mark.opacity); g.beginPath(); g.roundRect(x, middle - height / 2, width, height, mark.borderRadius === "50%" ? width / 2 : 0); g.fill(); g.globalAlpha = Number(style.opacity);
      used = width + parseFloat(mark.marginRight);
    }
    const right = style.textAlign === "right";
    g.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`; g.fillStyle = style.color; g.textAlign = right ? "right" : "left";
    g.fillText(text, right ? x + at.width - parseFloat(style.paddingRight) : x + used, middle, at.width - used);
  }
  made.toBlob((blob) => saveFile(`${name}.png`, "image/png", blob));
}

// Small buttons in an element of class `save`: { PNG: what it does, ... }.
function saveButtons(place, actions) {
  place.replaceChildren(...Object.entries(actions).map(([format, action]) => {
    const button = document.createElement("button");
    button.type = "button"; button.textContent = format; button.title = `Save as ${format}`; button.onclick = action;
    return button;
  }));
}
