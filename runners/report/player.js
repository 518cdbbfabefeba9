// The recorded episodes, frame by frame, with what the agent did drawn on the screenshot it saw.

const SPEED_MS = 900;
const SMALL_SCREEN = 260; // pixels high; below it enlarged pixels are shown as they are

// Marks in fractions of the screen, drawn on a canvas 1000 units wide.
function overlay(marks, frame) {
  const high = (1000 * frame.height) / frame.width;
  const svg = node("svg", { class: "marks", viewBox: `0 0 1000 ${high}`, "aria-hidden": "true" });
  const at = (x, y) => [Math.min(Math.max(x, 0), 1) * 1000, Math.min(Math.max(y, 0), 1) * high];
  const twice = (name, attributes, extra = "") => svg.append(node(name, { ...attributes, class: "halo" }), node(name, { ...attributes, class: `line ${extra}` }));
  let said = 0;
  for (const mark of marks) {
    if (mark.kind === "tap") {
      const [cx, cy] = at(mark.x, mark.y);
      twice("circle", { cx, cy, r: 58 }, "spot");
      svg.append(node("circle", { cx, cy, r: 10, fill: "var(--tap)" }));
    } else if (mark.kind === "swipe") {
      const [ax, ay] = at(mark.x0, mark.y0), [bx, by] = at(mark.x1, mark.y1), angle = Math.atan2(by - ay, bx - ax);
      const wing = (turn) => `${bx - 80 * Math.cos(angle + turn)},${by - 80 * Math.sin(angle + turn)}`;
      twice("path", { d: `M${ax},${ay}L${bx},${by}M${wing(0.5)}L${bx},${by}L${wing(-0.5)}` });
      svg.append(node("circle", { cx: ax, cy: ay, r: 24, fill: "var(--tap)" }));
    } else {
      const words = ({ text: "⌨ ", key: "▢ ", end: "■ " }[mark.kind] ?? "") + mark.text, y = high - 110 * (++said);
      svg.append(node("rect", { class: "band", x: 0, y, width: 1000, height: 110 }),
        node("text", { class: "said", x: 30, y: y + 74, style: `font-size:${Math.min(58, 1600 / words.length)}px` }, words));
    }
  }
  return svg;
}

function describe(marks) {
  return marks.map((m) => m.kind === "tap" ? `tap at ${number(m.x)}, ${number(m.y)}`
    : m.kind === "swipe" ? `swipe from ${number(m.x0)}, ${number(m.y0)} to ${number(m.x1)}, ${number(m.y1)}`
    : `${m.kind} ${m.text}`).join("; ") || "no action";
}

function outcome(episode) {
  if (episode.success) return ["✓ success", "good"];
  const apart = { device_lost: "device lost", error: "task or judge broke", cancelled: "cancelled" }[episode.stop];
  return apart ? [apart, "warn"] : [episode.stop === "gave_up" ? "✗ gave up" : "✗ failure", "bad"];
}

// What models were asked in a step and what they answered.
function transcript(calls, messages) {
  const shown = (part) => typeof part === "string" ? node("div", { class: "said-by mono" }, part)
    : data.frames[part.frame] ? node("img", { src: data.frames[part.frame].uri, alt: "a picture the model was shown" })
    : node("p", { class: "quiet" }, "a picture that was not recorded");
  return calls.map((call) => {
    const about = [call.module, call.model, `${number(call.tokens_in)} tokens in, ${number(call.tokens_out)} out`, call.cached ? "cached" : `${number(call.seconds)} s`,
      call.cost ? `cost ${number(call.cost)}` : null].filter(Boolean).join(" · ");
    const said = call.messages.map((place) => messages[place]);
    return node("section", { class: "call" }, node("h4", {}, about),
      node("details", {}, node("summary", {}, said.length === 1 ? "1 message" : `${said.length} messages`),
        ...said.flatMap((message) => [node("p", { class: "quiet" }, message.role), ...message.parts.map(shown)])),
      node("div", { class: "said-by mono" }, call.reply));
  });
}

function numbers(group) {
  return Object.entries(group ?? {}).map(([name, value]) => `${name} ${number(value)}`).join(", ");
}

function player() {
  const part = (name) => document.getElementById(`player-${name}`);
  const list = part("list"), image = part("image"), stage = part("stage"), slider = part("slider"), film = part("film");
  let visible = [], episode = null, step = 0, timer = null;

  const wanted = ["run", "set", "outcome", "task"].map((name) => part(`filter-${name}`)).filter(Boolean);
  const fits = (one) => wanted.every((select) => {
    const name = select.id.replace("player-filter-", "");
    const value = { run: String(one.run), set: one.set, task: one.task, outcome: one.success ? "success" : "failure" }[name];
    return select.value === "" || select.value === value;
  });

  function filter() {
    visible = data.episodes.filter(fits);
    part("count").textContent = `${visible.length} of ${data.episodes.length} episodes`;
    list.replaceChildren(...visible.map((one) => {
      const [word, tone] = outcome(one);
      return node("li", {}, node("button", { type: "button", onclick: () => open(one) },
        node("span", { class: tone }, word), ` · ${one.task || "episode"}`,
        node("small", {}, one.goal || one.title),
        node("small", {}, [data.runs.length > 1 ? data.runs[one.run].name : null, one.set, one.steps.length === 1 ? "1 step" : `${one.steps.length} steps`].filter(Boolean).join(" · "))));
    }));
    if (visible.length && !visible.includes(episode)) open(visible[0]);
    else current();
  }

  function current() {
    visible.forEach((one, i) => list.children[i].firstChild.setAttribute("aria-current", String(one === episode)));
  }

  function open(one) {
    stop();
    episode = one;
    slider.max = one.frames.length - 1;
    film.replaceChildren(...one.frames.map((index, i) => {
      const frame = data.frames[index], turn = () => { stop(); show(i); }, label = i < one.steps.length ? `step ${i + 1}` : "end";
      if (!frame) return node("button", { type: "button", onclick: turn }, label);
      return node("button", { type: "button", "aria-label": label, onclick: turn },
        node("img", { src: frame.uri, alt: "", loading: "lazy" }), overlay(one.steps[i]?.marks ?? [], frame));
    }));
    const [word, tone] = outcome(one);
    part("outcome").textContent = word;
    part("outcome").className = `badge ${tone}`;
    part("goal").textContent = one.goal || one.title;
    part("about").textContent = [data.runs[one.run].name, one.set, one.task, `seed ${one.seed}`, `ended by ${one.stop}`, numbers(one.measures)]
      .filter(Boolean).join(" · ");
    show(0);
    current();
  }

  function show(next) {
    step = Math.min(Math.max(next, 0), episode.frames.length - 1);
    const frame = data.frames[episode.frames[step]], taken = episode.steps[step];
    stage.hidden = !frame;
    stage.querySelector("svg")?.remove();
    if (frame) {
      image.src = frame.uri;
      image.alt = taken ? `screen before step ${step + 1}; the agent's action: ${describe(taken.marks)}` : "screen after the last action";
      image.style.imageRendering = frame.height < SMALL_SCREEN ? "pixelated" : "auto";
      if (taken && part("draw").checked) stage.append(overlay(taken.marks, frame));
    }
    slider.value = step;
    slider.setAttribute("aria-valuetext", `step ${step + 1} of ${episode.frames.length}`);
    part("where").textContent = taken ? `step ${step + 1} of ${episode.steps.length}` : `after step ${episode.steps.length}`;
    part("said").textContent = taken ? taken.said : `The episode ended: ${episode.stop}.${episode.reason ? " " + episode.reason : ""}`;
    part("parsed").textContent = taken ? taken.parsed ?? "could not be parsed" : "–";
    part("parsed").className = taken && taken.parsed === null ? "bad" : "mono wrap";
    part("reward").textContent = taken ? number(taken.reward) : `${number(episode.reward)} in all`;
    part("calls").replaceChildren(...transcript(taken?.calls ?? [], episode.messages));
    const beside = { scores: numbers(taken?.scores), record: taken?.record ?? "" };
    part("outcomes").replaceChildren(...(taken?.outcomes ?? []).map((one) => node("div", { class: one.fault ? "bad" : "" },
      node("code", {}, one.primitive), one.fault ? `: ${one.fault}` : "")));
    part("outcomes").hidden = part("outcomes-name").hidden = !taken?.outcomes;
    for (const [name, text] of Object.entries(beside)) {
      part(name).textContent = text;
      part(name).hidden = part(`${name}-name`).hidden = !text;
    }
    part("prompt").textContent = episode.prompts[step];
    [...film.children].forEach((button, i) => button.setAttribute("aria-current", String(i === step)));
    const chosen = film.children[step];
    film.scrollLeft = chosen.offsetLeft - film.offsetLeft - film.clientWidth / 2 + chosen.clientWidth / 2;
  }

  function stop() {
    clearInterval(timer);
    timer = null;
    part("play").textContent = "▶ play";
  }

  function play() {
    if (timer) return stop();
    if (step === episode.frames.length - 1) show(0);
    part("play").textContent = "❚❚ pause";
    timer = setInterval(() => { if (step === episode.frames.length - 1) stop(); else show(step + 1); }, SPEED_MS);
  }

  function neighbour(by) {
    const found = visible[visible.indexOf(episode) + by];
    if (found) { open(found); list.children[visible.indexOf(found)].scrollIntoView({ block: "nearest" }); }
  }

  slider.addEventListener("input", () => { stop(); show(Number(slider.value)); });
  part("previous").addEventListener("click", () => { stop(); show(step - 1); });
  part("next").addEventListener("click", () => { stop(); show(step + 1); });
  part("play").addEventListener("click", play);
  part("draw").addEventListener("change", () => show(step));
  wanted.forEach((select) => select.addEventListener("change", filter));
  document.addEventListener("keydown", (event) => {
    if (event.target.matches("select, input, textarea, summary, #curve-groups svg") || event.ctrlKey || event.metaKey || event.altKey) return;
    const box = document.getElementById("episodes").getBoundingClientRect();
    if (box.bottom < 0 || box.top > window.innerHeight) return;
    const act = { ArrowLeft: () => show(step - 1), ArrowRight: () => show(step + 1), "[": () => neighbour(-1), "]": () => neighbour(1) }[event.key];
    if (!act) return;
    event.preventDefault();
    stop();
    act();
  });
  filter();
}

if (document.getElementById("player-list")) player();
