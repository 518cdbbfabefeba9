// Draws the Pareto front and, for the chosen point, the additions and what becomes of every value. Text nodes only.
"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";

function make(tag, text, name) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (name) node.className = name;
  return node;
}

function draw(tag, attributes, parent) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  parent.append(node);
  return node;
}

// The additions of every point, from the differences to the point before.
const added = [];
for (const point of data.points) {
  const now = new Set(added.at(-1));
  for (const one of point.minus) now.delete(one);
  for (const one of point.plus) now.add(one);
  added.push(now);
}

let at = data.taken;
const svg = byId("front");
const left = 60, right = 700, upper = 15, lower = 225;
const most = Math.max(1, ...data.points.map((p) => p.changes));
const first = data.points[0].additions, last = Math.max(first + 1, data.points.at(-1).additions);
const x = (p) => left + (right - left) * (p.additions - first) / (last - first);
const y = (p) => lower - (lower - upper) * p.changes / most;
draw("line", { x1: left, x2: right, y1: lower, y2: lower, class: "grid" }, svg);
draw("line", { x1: left, x2: left, y1: upper, y2: lower, class: "grid" }, svg);
for (const [text, px, py, anchor] of [[String(most), left - 6, upper + 8, "end"], ["0", left - 6, lower, "end"],
  [String(first), left, lower + 16, "middle"], [String(data.points.at(-1).additions), right, lower + 16, "end"],
  ["additions", (left + right) / 2, lower + 30, "middle"], ["changed cells", left + 6, upper + 8, "start"]]) {
  draw("text", { x: px, y: py, "text-anchor": anchor }, svg).textContent = text;
}
draw("path", { d: data.points.map((p, i) => (i ? "L" : "M") + x(p) + " " + y(p)).join(" ") }, svg);
const dots = data.points.map((p, i) => {
  const dot = draw("circle", { cx: x(p), cy: y(p), r: 4 }, svg);
  draw("title", {}, dot).textContent = `${p.additions} additions, ${p.changes} changes`;
  dot.addEventListener("click", () => show(i));
  return dot;
});

function additions() {
  byId("added").replaceChildren(...[...added[at]].sort((a, b) => a - b).map((one) => {
    const candidate = data.candidates[one], row = make("tr");
    row.append(make("td", candidate.column), make("td", candidate.value, "wrap"), make("td", candidate.name),
      make("td", String(candidate.tuples), "number"), make("td", candidate.supported ? "yes" : "no: errors may repeat as often"));
    return row;
  }));
}

function classes() {
  const which = byId("which").value, text = byId("text").value.toLowerCase();
  const shown = data.classes.filter((c) => (!which || c.ofd === which) &&
    (!text || c.key.toLowerCase().includes(text) || c.values.some((v) => v[0].toLowerCase().includes(text))));
  const readings = data.points[at].readings;
  byId("count").textContent = `${shown.length} of ${data.total} classes`;
  byId("list").replaceChildren(...shown.map((c) => {
    const reading = c.readings[readings[c.id] ?? 0];
    const box = make("details", undefined, "class"), head = make("summary"), list = make("ul", undefined, "values");
    let changed = 0, kept = 0;
    c.values.forEach(([value, count], i) => {
      const how = reading.covered[i] ? "" : added[at].has(reading.candidates[i]) ? "added" : "changed";
      if (how === "changed") changed += count;
      if (how === "added") kept += count;
      const item = make("li", value + " ", how);
      item.append(make("small", `× ${count}`));
      list.append(item);
    });
    if (c.more) list.append(make("li", `and ${c.more} rarer values`, "quiet"));
    head.append(make("strong", c.key), ` means `, make("strong", reading.name),
      make("span", ` · ${c.size} rows, ${changed} outside` + (kept ? `, ${kept} kept by additions` : ""), "quiet"));
    box.append(head, list, make("p", "Also possible: " + (c.alternatives.map(([name, n]) => `${name} (${n} rows)`).join(", ") || "nothing"), "quiet"),
      make("p", c.ofd, "quiet mono"));
    box.open = shown.length <= 3;
    return box;
  }));
}

function show(point) {
  at = Math.max(0, Math.min(data.points.length - 1, point));
  const p = data.points[at];
  dots.forEach((dot, i) => dot.classList.toggle("on", i === at));
  byId("at").value = at;
  byId("said").textContent = `${p.additions} additions, ${p.changes} changed cells` + (at !== data.taken ? "" : data.left ? ` (taken, ${data.left} of them left as they are)` : " (taken)");
  additions();
  classes();
}

byId("at").max = data.points.length - 1;
byId("at").addEventListener("input", (event) => show(Number(event.target.value)));
byId("back").addEventListener("click", () => show(at - 1));
byId("forth").addEventListener("click", () => show(at + 1));
byId("taken").addEventListener("click", () => show(data.taken));
byId("which").addEventListener("change", classes);
byId("text").addEventListener("input", classes);
show(at);
