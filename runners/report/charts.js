// Learning curves and histograms, drawn from the data block as SVG. Text goes in through textContent only.
"use strict";

const data = JSON.parse(document.getElementById("data").textContent);
const SVG = "http://www.w3.org/2000/svg";

function node(name, attributes = {}, ...children) {
  const svg = ["svg", "g", "path", "line", "rect", "circle", "polygon", "text", "title"].includes(name);
  const made = svg ? document.createElementNS(SVG, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (value !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return String(Number(value.toPrecision(size >= 1000 ? 6 : 4)));
}

function ticks(low, high, count) {
  const rough = (high - low) / count, power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((f) => f * power).find((s) => s >= rough);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + step * 1e-9; k++) found.push(k * step);
  return found;
}

function range(values, around) {
  let low = Infinity, high = -Infinity;
  for (const value of values) if (value !== null) { low = Math.min(low, value); high = Math.max(high, value); }
  if (low > high) return [0, 1];
  if (low === high) { const pad = Math.abs(low) * 0.1 || 1; return [low - pad, high + pad]; }
  const pad = (high - low) * around;
  return [low - pad, high + pad];
}

// Exponential moving average with weight `amount` on the past, corrected for its start; 0 leaves the values as they are.
function smooth(values, amount) {
  if (amount === 0) return values;
  let sum = 0, weight = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = amount * sum + (1 - amount) * value;
    weight = amount * weight + (1 - amount);
    return sum / weight;
  });
}

const shown = { smoothing: 0, axis: "step", hidden: new Set() };

function drawCurve(figure, chart) {
  const svg = figure.querySelector("svg"), readout = figure.querySelector(".readout");
  const width = Math.max(svg.clientWidth, 240), height = 190, left = 48, right = 10, top = 8, bottom = 22;
  const curves = chart.series.filter((s) => !shown.hidden.has(data.runs[s.run].key)).map((s) => ({
    ...s, x: shown.axis === "step" ? s.steps : s.minutes, y: smooth(s.values, shown.smoothing),
  }));
  const [x0, x1] = range(curves.flatMap((c) => c.x), 0), 
    [y0, y1] = chart.share ? [-0.03, 1.03] : range(curves.flatMap((c) => c.values), 0.06);
  const px = (x) => left + ((x - x0) / (x1 - x0)) * (width - left - right);
  const py = (y) => height - bottom - ((y - y0) / (y1 - y0)) * (height - top - bottom);
  svg.replaceChildren();
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  for (const y of ticks(y0, y1, 4)) svg.append(
    node("line", { class: "grid", x1: left, x2: width - right, y1: py(y), y2: py(y) }),
    node("text", { x: left - 5, y: py(y) + 4, "text-anchor": "end" }, number(y)));
  for (const x of ticks(x0, x1, 5)) svg.append(
    node("text", { x: Math.min(px(x), width - right - 8), y: height - 6, "text-anchor": "middle" }, number(x)));
  const keys = [...new Set(curves.map((c) => data.runs[c.run].key))];
  const bundles = keys.map((key) => bundle(curves.filter((c) => data.runs[c.run].key === key)));
  for (const { colour, band } of bundles) if (band) {
    const known = band.filter(([, low]) => low !== null);
    const edge = [...known.map(([x, low]) => [x, low]), ...known.map(([x, , high]) => [x, high]).reverse()];
    const points = edge.map(([x, y]) => `${px(x).toFixed(1)},${py(y).toFixed(1)}`).join(" ");
    svg.append(node("polygon", { points, fill: colour, "fill-opacity": 0.15 / Math.sqrt(bundles.length) + 0.03 }));
  }
  const stroke = (line, colour, wide, opacity) => {
    let path = "", pen = "M";
    line.y.forEach((y, i) => {
      if (y === null) { pen = "M"; return; }
      const lonely = pen === "M" && (line.y[i + 1] ?? null) === null;
      path += `${pen}${px(line.x[i]).toFixed(1)} ${py(y).toFixed(1)}${lonely ? "h0.01" : ""}`;
      pen = "L";
    });
    svg.append(node("path", { d: path, fill: "none", stroke: colour, "stroke-width": wide, "stroke-opacity": opacity, "stroke-linejoin": "round", "stroke-linecap": "round" }));
  };
  for (const { colour, members } of bundles) if (members.length > 1) members.forEach((one) => stroke(one, colour, 1, 0.4));
  for (const { colour, mean } of bundles) stroke(mean, colour, mean.y.length === 1 ? 5 : 2, 1);
  const cursor = node("line", { class: "cursor", y1: top, y2: height - bottom, visibility: "hidden" });
  svg.append(cursor);

  const places = [...new Set(bundles.flatMap((b) => b.mean.x))].sort((a, b) => a - b);
  const rest = () => {
    cursor.setAttribute("visibility", "hidden");
    tell("last", (line) => line.x.length - 1);
  };
  function tell(where, pick) {
    readout.replaceChildren(node("span", { class: "quiet" }, where), ...bundles.map((b) => node("span", {},
      node("i", { class: "key", style: `background:${b.colour}` }), number(b.mean.raw[pick(b.mean)]),
      bundles.length > 1 ? node("span", { class: "quiet" }, ` ${b.name}`) : "")));
  }
  function point(place) {
    cursor.setAttribute("visibility", "visible");
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, px(place));
    tell(shown.axis === "step" ? `step ${number(place)}` : `${number(place)} min`, (line) => nearest(line.x, place));
  }
  svg.onpointermove = (event) => {
    const box = svg.getBoundingClientRect();
    const x = x0 + (((event.clientX - box.left) / box.width) * width - left) / (width - left - right) * (x1 - x0);
    if (places.length) point(places[nearest(places, x)]);
  };
  svg.onpointerleave = rest;
  let at = places.length - 1;
  svg.onkeydown = (event) => {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!move || !places.length) return;
    event.preventDefault();
    at = Math.min(Math.max(at + move, 0), places.length - 1);
    point(places[at]);
  };
  svg.onblur = rest;
  rest();
}

// The runs that share a colour: one run as it is, or the seeds of an arm with their mean where all of them have a value.
function bundle(members) {
  const [first] = members, { colour, key, name } = data.runs[first.run];
  if (members.length === 1) return { colour, name, members, mean: { x: first.x, y: first.y, raw: first.values }, band: first.band?.map(([low, high], i) => [first.x[i], low, high]) };
  const mean = { x: [], y: [], raw: [] };
  first.steps.forEach((step, i) => {
    const at = members.map((one) => one.steps.indexOf(step));
    if (at.some((k, m) => k < 0 || members[m].values[k] === null)) return;
    const over = (pick) => members.reduce((sum, one, m) => sum + pick(one, at[m]), 0) / members.length;
    mean.x.push(over((one, k) => one.x[k]));
    mean.y.push(over((one, k) => one.y[k]));
    mean.raw.push(over((one, k) => one.values[k]));
  });
  return { colour, name: `${key} (mean of ${members.length})`, members, mean, band: null };
}

function nearest(sorted, value) {
  let best = 0;
  sorted.forEach((x, i) => { if (Math.abs(x - value) < Math.abs(sorted[best] - value)) best = i; });
  return best;
}

function curves() {
  const room = document.getElementById("curve-groups");
  const drawn = [];
  let group = null, grid = null;
  for (const chart of data.charts) {
    if (chart.group !== group) {
      group = chart.group;
      grid = node("div", { class: "charts" });
      room.append(chart.folded ? node("details", { ontoggle: () => redraw() }, node("summary", {}, group), grid) : node("h3", {}, group));
      if (!chart.folded) room.append(grid);
    }
    const label = `${chart.name} by step, ${chart.series.length} run(s); arrow keys move the cursor`;
    const figure = node("figure", {}, node("figcaption", {}, chart.name),
      node("svg", { role: "img", "aria-label": label, tabindex: 0, height: 190 }), node("div", { class: "readout", "aria-live": "polite" }));
    grid.append(figure);
    drawn.push([figure, chart]);
  }
  const redraw = () => drawn.forEach(([figure, chart]) => drawCurve(figure, chart));
  const smoothing = document.getElementById("smoothing");
  smoothing.addEventListener("input", () => {
    shown.smoothing = Number(smoothing.value);
    document.getElementById("smoothing-value").textContent = shown.smoothing ? shown.smoothing.toFixed(2) : "off";
    redraw();
  });
  document.getElementById("axis").addEventListener("change", (event) => { shown.axis = event.target.value; redraw(); });
  for (const button of document.querySelectorAll("[data-legend]")) button.addEventListener("click", () => {
    const key = button.dataset.legend, hide = !shown.hidden.has(key);
    if (hide) shown.hidden.add(key); else shown.hidden.delete(key);
    button.setAttribute("aria-pressed", String(!hide));
    redraw();
  });
  let pending = 0;
  window.addEventListener("resize", () => { clearTimeout(pending); pending = setTimeout(redraw, 100); });
  redraw();
}

function histogram(figure, record) {
  const [map, bars] = figure.querySelectorAll("svg"), slider = figure.querySelector("input"), readout = figure.querySelector(".readout");
  const edges = record.edges.flat(), low = Math.min(...edges), high = Math.max(...edges), colour = data.runs[record.run].colour;
  const width = 360, height = 150, left = 40, bottom = 18, count = record.steps.length;
  const py = (value) => 6 + (1 - (value - low) / (high - low || 1)) * (height - bottom - 6);
  const column = (width - left - 4) / count;
  map.setAttribute("viewBox", `0 0 ${width} ${height}`);
  record.counts.forEach((counts, i) => {
    const most = Math.max(...counts, 1);
    counts.forEach((n, k) => {
      if (n) map.append(node("rect", {
        x: left + i * column, width: column + 0.3, y: py(record.edges[i][k + 1]), height: py(record.edges[i][k]) - py(record.edges[i][k + 1]) + 0.3,
        fill: colour, "fill-opacity": Math.sqrt(n / most).toFixed(3) }));
    });
  });
  for (const value of ticks(low, high, 4)) map.append(node("text", { x: left - 5, y: py(value) + 4, "text-anchor": "end" }, number(value)));
  map.append(node("text", { x: left, y: height - 4 }, `step ${record.steps[0]}`),
    node("text", { x: width - 4, y: height - 4, "text-anchor": "end" }, `step ${record.steps[count - 1]}`));
  const cursor = node("line", { class: "cursor", y1: 4, y2: height - bottom });
  map.append(cursor);
  const draw = () => {
    const i = Number(slider.value), counts = record.counts[i], total = counts.reduce((a, b) => a + b, 0), most = Math.max(...counts, 1);
    const px = (value) => left + ((value - low) / (high - low || 1)) * (width - left - 4);
    bars.replaceChildren();
    bars.setAttribute("viewBox", `0 0 ${width} ${height}`);
    counts.forEach((n, k) => bars.append(node("rect", {
      x: px(record.edges[i][k]) + 0.5, width: Math.max(px(record.edges[i][k + 1]) - px(record.edges[i][k]) - 1, 0.5),
      y: 6 + (1 - n / most) * (height - bottom - 6), height: (n / most) * (height - bottom - 6), fill: colour },
      node("title", {}, `${number(record.edges[i][k])} to ${number(record.edges[i][k + 1])}: ${n}`))));
    for (const value of ticks(low, high, 5)) bars.append(node("text", { x: px(value), y: height - 4, "text-anchor": "middle" }, number(value)));
    bars.append(node("text", { x: left - 5, y: 14, "text-anchor": "end" }, total ? `${Math.round((100 * most) / total)} %` : "0 %"));
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, left + (i + 0.5) * column);
    readout.textContent = `step ${record.steps[i]}, ${total} values`;
  };
  slider.addEventListener("input", draw);
  draw();
}

function histograms() {
  const room = document.getElementById("histogram-room");
  for (const record of data.histograms) {
    const last = record.steps.length - 1;
    const label = data.runs.length > 1 ? `${record.name} · ${data.runs[record.run].name}` : record.name;
    const figure = node("figure", {}, node("figcaption", {}, label),
      node("svg", { role: "img", "aria-label": `${label} over time: share of values, darker is more` }),
      node("svg", { role: "img", "aria-label": `${label} at the chosen step` }),
      node("label", { class: "controls" }, "step", node("input", { type: "range", min: 0, max: last, value: last, "aria-label": `step of ${label}` }),
        node("span", { class: "readout" })));
    room.append(figure);
    histogram(figure, record);
  }
}

// Lines over an axis of their own, as they were logged last.
function series() {
  const room = document.getElementById("series-room"), width = 420, height = 190, left = 48, right = 10, top = 8, bottom = 22;
  const palette = ["#1f83c9", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f"];
  for (const one of data.series) {
    const label = `${one.name}${data.runs.length > 1 ? ` · ${data.runs[one.run].name}` : ""}, step ${one.step}`;
    const [x0, x1] = range(one.x, 0), [y0, y1] = range(Object.values(one.lines).flat(), 0.06);
    const px = (x) => left + ((x - x0) / (x1 - x0)) * (width - left - right), py = (y) => height - bottom - ((y - y0) / (y1 - y0)) * (height - top - bottom);
    const svg = node("svg", { role: "img", "aria-label": label, viewBox: `0 0 ${width} ${height}` });
    for (const y of ticks(y0, y1, 4)) svg.append(node("line", { class: "grid", x1: left, x2: width - right, y1: py(y), y2: py(y) }),
      node("text", { x: left - 5, y: py(y) + 4, "text-anchor": "end" }, number(y)));
    for (const x of ticks(x0, x1, 5)) svg.append(node("text", { x: Math.min(px(x), width - right - 8), y: height - 6, "text-anchor": "middle" }, number(x)));
    const names = Object.keys(one.lines);
    names.forEach((name, k) => {
      let path = "", pen = "M";
      one.lines[name].forEach((y, i) => {
        if (y === null || one.x[i] === null) { pen = "M"; return; }
        path += `${pen}${px(one.x[i]).toFixed(1)} ${py(y).toFixed(1)}`;
        pen = "L";
      });
      svg.append(node("path", { d: path, fill: "none", stroke: palette[k % palette.length], "stroke-width": 2 }));
    });
    room.append(node("figure", {}, node("figcaption", {}, label), svg, node("div", { class: "readout" },
      ...names.map((name, k) => node("span", {}, node("i", { class: "key", style: `background:${palette[k % palette.length]}` }), name)),
      one.x_label ? node("span", { class: "quiet" }, `over ${one.x_label}`) : null)));
  }
}

function pictures() {
  for (const figure of document.querySelectorAll("[data-pictures]")) {
    const all = JSON.parse(figure.dataset.pictures), slider = figure.querySelector("input"), image = figure.querySelector("img");
    if (slider) slider.addEventListener("input", () => {
      const [step, frame, caption] = all[Number(slider.value)];
      image.src = data.frames[frame].uri;
      image.alt = caption;
      figure.querySelector(".readout").textContent = `step ${step}: ${caption}`;
    });
  }
}

if (document.getElementById("curve-groups")) curves();
if (document.getElementById("histogram-room")) histograms();
if (document.getElementById("series-room")) series();
pictures();
