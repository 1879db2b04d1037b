// Lines over a common axis: toggled by the legend, read off under the pointer. No library.
const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f"];
const DASHES = ["", "6 4", "2 3"];
const style = (i) => ({ colour: COLOURS[i % COLOURS.length], dash: DASHES[Math.floor(i / COLOURS.length) % DASHES.length] });

function element(name, attributes = {}, text) {
  const svg = ["svg", "path", "line", "text", "g"].includes(name);
  const made = svg ? document.createElementNS("http://www.w3.org/2000/svg", name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function smoothed(values, half) {
  if (!half) return values;
  return values.map((value, i) => {
    if (value === null) return null;
    const reach = Math.min(half, i, values.length - 1 - i);
    const near = values.slice(i - reach, i + reach + 1).filter((v) => v !== null);
    return near.reduce((a, b) => a + b, 0) / near.length;
  });
}

function ticks(low, high, count) {
  const raw = (high - low) / count || 1, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  const found = [];
  for (let t = Math.ceil(low / step) * step; t <= high + 1e-9; t += step) found.push(Number(t.toPrecision(10)));
  return found;
}

// series: [{name, x, y, colour, dash, hidden}]; y may hold nulls.
function drawChart(box, series, { xlabel = "epoch", height = 320 } = {}) {
  box.replaceChildren();
  const width = Math.max(280, box.clientWidth || 600), left = 48, right = 10, top = 8, bottom = 36;
  const shown = series.filter((s) => !s.hidden && s.y.some((v) => v !== null));
  const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": "curves" });
  box.append(svg);
  if (!shown.length) { svg.append(element("text", { x: left, y: 40 }, "nothing to show")); return; }
  const ys = shown.flatMap((s) => s.y).filter((v) => v !== null).sort((a, b) => a - b);
  let low = ys[Math.floor(ys.length * 0.003)], high = ys[Math.min(ys.length - 1, Math.floor(ys.length * 0.995))];
  const room = 0.06 * Math.max(high - low, 0.02); low -= room; high += room;
  const xs = shown.flatMap((s) => s.x), first = Math.min(...xs), last = Math.max(...xs);
  const X = (x) => left + ((x - first) / (last - first || 1)) * (width - left - right);
  const Y = (y) => height - bottom - ((Math.min(high, Math.max(low, y)) - low) / (high - low)) * (height - top - bottom);
  for (const t of ticks(low, high, 5)) {
    svg.append(element("line", { class: "rule", x1: left, x2: width - right, y1: Y(t), y2: Y(t) }));
    svg.append(element("text", { x: left - 6, y: Y(t) + 4, "text-anchor": "end" }, String(t)));
  }
  for (const t of ticks(first, last, Math.max(2, Math.floor(width / 110))))
    svg.append(element("text", { x: X(t), y: height - bottom + 18, "text-anchor": "middle" }, String(t)));
  svg.append(element("text", { x: width - right, y: height - 4, "text-anchor": "end" }, xlabel));
  for (const s of shown) {
    let path = "", pen = "M";
    s.y.forEach((y, i) => {
      if (y === null) { pen = "M"; return; }
      path += `${pen}${X(s.x[i]).toFixed(1)},${Y(y).toFixed(1)}`; pen = "L";
    });
    svg.append(element("path", { d: path, fill: "none", stroke: s.colour, "stroke-width": 1.8, "stroke-dasharray": s.dash, "stroke-linejoin": "round" }));
  }
  const cross = element("line", { class: "cross", y1: top, y2: height - bottom, visibility: "hidden" });
  const tip = element("div", { class: "tip", hidden: "" });
  svg.append(cross); box.append(tip);
  box.onpointermove = (event) => {
    const area = svg.getBoundingClientRect(), place = ((event.clientX - area.left) / area.width) * width;
    const x = first + ((place - left) / (width - left - right)) * (last - first);
    if (x < first || x > last) { box.onpointerleave(); return; }
    cross.setAttribute("x1", place); cross.setAttribute("x2", place); cross.setAttribute("visibility", "visible");
    tip.replaceChildren(element("div", { class: "quiet" }, `${xlabel} ${x.toPrecision(3)}`));
    for (const s of shown) {
      let i = 0; while (i < s.x.length - 1 && Math.abs(s.x[i + 1] - x) <= Math.abs(s.x[i] - x)) i++;
      if (s.y[i] === null) continue;
      const row = element("div"), mark = element("i", { style: `color:${s.colour}` }, "● ");
      row.append(mark, `${s.name}: ${s.y[i].toPrecision(3)}`); tip.append(row);
    }
    tip.hidden = false;
    const side = place > width / 2 ? { right: `${area.width - (event.clientX - area.left) + 12}px`, left: "auto" } : { left: `${event.clientX - area.left + 12}px`, right: "auto" };
    Object.assign(tip.style, side);
  };
  box.onpointerleave = () => { tip.hidden = true; cross.setAttribute("visibility", "hidden"); };
}

// A button for each series; a press hides or shows it, a double one shows it alone.
function drawLegend(box, series, changed) {
  box.replaceChildren();
  for (const s of series) {
    const button = element("button", { type: "button", "aria-pressed": String(!s.hidden) });
    button.append(element("i", { style: `border-color:${s.colour};border-top-style:${s.dash ? "dashed" : "solid"}` }), s.name);
    button.onclick = () => { s.hidden = !s.hidden; changed(); };
    button.ondblclick = () => { for (const other of series) other.hidden = other !== s; changed(); };
    box.append(button);
  }
}
