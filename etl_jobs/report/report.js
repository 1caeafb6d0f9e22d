// The table, the chosen item and its place in the drawings. What the reader sees is kept in the
// address's fragment (#sort=-difficulty&flag=all_wrong&item=q7), so that a view can be sent to a
// colleague.

const wide = matchMedia("(min-width: 68.01rem)");

// What the reader chose, to and from the fragment.
const START = { sort: "-answers", q: "", flag: "", subject: "", page: "1", rows: "25", item: "", theme: "" };
const state = { ...START };
const readFragment = () => {
  const fragment = location.hash.slice(1);
  // A fragment without "=" is the place in the page that a plain link leads to.
  if (!fragment.includes("=")) return false;
  Object.assign(state, START);
  for (const [key, value] of new URLSearchParams(fragment)) if (key in START) state[key] = value;
  return true;
};
const writeFragment = () => {
  const said = Object.entries(state).filter(([key, value]) => value !== START[key]);
  const fragment = new URLSearchParams(said).toString();
  try {
    history.replaceState(null, "", fragment ? "#" + fragment : location.pathname + location.search);
  } catch (error) {
    // A page shown inside another one may not touch its address; the view works without.
    if (error.name !== "SecurityError") throw error;
  }
};
const change = (changes) => {
  Object.assign(state, "page" in changes || "item" in changes || "theme" in changes ? {} : { page: "1" }, changes);
  writeFragment();
  show();
};

// Which items, in which order.
const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
const VALUES = { name: nameOf };
const haystack = items.id.map(() => null);
const textOf = (i) => (haystack[i] ??= `${nameOf(i)}\n${items.id[i]}`.toLowerCase());
const wanted = () => {
  const needle = state.q.trim().toLowerCase();
  const flags = new Set(state.flag ? state.flag.split(",") : []);
  const sets = data.flag_sets.map((set, index) =>
    flags.size === 0 || (flags.has("look") && data.kinds[index] === "look") ||
    set.some((flag) => flags.has(data.flags[flag].name)));
  const subject = data.subjects.indexOf(state.subject);
  const found = [];
  for (let i = 0; i < COUNT; i++) {
    if ((sets[items.flag_set[i]] || (flags.has("anchor") && isAnchor(i))) && (!state.subject || items.subject[i] === subject) &&
        (!needle || textOf(i).includes(needle))) found.push(i);
  }
  return found;
};
const sorted = (found) => {
  const sign = state.sort.startsWith("-") ? -1 : 1;
  const key = state.sort.replace(/^-/, "");
  if (VALUES[key]) {
    const value = VALUES[key];
    return found.sort((i, j) => sign * collator.compare(value(i), value(j)) || i - j);
  }
  const column = items[key] ?? items.answers;
  // What was not estimated comes last either way.
  return found.sort((i, j) => {
    const x = column[i], y = column[j];
    if (x === null || y === null) return (x === null) - (y === null) || i - j;
    return sign * (x - y) || i - j;
  });
};

// The table.
const table = byId("table");
const heads = [...table.tHead.rows[0].cells];
const sparkline = (i) => {
  const points = [];
  for (let k = 0; drawable(i) && k < 25; k++) {
    points.push([1 + (70 * k) / 24, 19 - 18 * probability(i, LOW + ((HIGH - LOW) * k) / 24)]);
  }
  return svg("svg", { viewBox: "0 0 72 20", "aria-hidden": "true" }, svg("path", { d: pathOf(points) }));
};
const ANCHOR = "It keeps its numbers from an earlier run";
const CELLS = {
  answers: (i) => whole(items.answers[i]),
  share: (i) => percent(items.share[i]),
};
const row = (i, chosen) => {
  const open = html("button", { type: "button", class: "open", title: nameOf(i) }, html("bdi", {}, nameOf(i)));
  const first = html("th", { scope: "row", class: "name" }, open,
    below(i) ? html("small", { title: below(i) }, html("bdi", {}, below(i))) : null,
    isAnchor(i) ? html("span", { class: "tag anchor", title: ANCHOR }, "Anchor") : null,
    ...flagsOf(i).map((flag) => html("span", { class: "tag", title: flag.meaning }, flag.label)));
  const cells = heads.slice(1).map((head) => {
    const key = head.dataset.key;
    if (!key) return html("td", { class: "curve" }, sparkline(i));
    const cell = CELLS[key] ? CELLS[key](i) : fixed(items[key][i]);
    return typeof cell === "string" ? html("td", { class: `number ${key}` }, cell) : cell;
  });
  return html("tr", { class: kindOf(i), "data-item": i, "aria-current": chosen ? "true" : null }, first, ...cells);
};

let visible = [];
let order = [];
let chosen = null;
let asked = "";
const show = () => {
  const question = JSON.stringify([state.q, state.flag, state.subject, state.sort]);
  if (question !== asked) {
    order = sorted(wanted());
    asked = question;
  }
  const size = state.rows === "100" ? 100 : 25;
  const pages = Math.max(1, Math.ceil(order.length / size));
  const page = Math.min(pages, Math.max(1, parseInt(state.page, 10) || 1));
  visible = order.slice((page - 1) * size, page * size);
  const named = state.item === "" ? -1 : items.id.indexOf(state.item);
  chosen = named >= 0 ? named : wide.matches && visible.length ? visible[0] : null;

  const nothing = html("tr", {}, html("td", { class: "none", colspan: heads.length }, "No item matches."));
  table.tBodies[0].replaceChildren(...(visible.length ? visible.map((i) => row(i, i === chosen)) : [nothing]));
  for (const head of heads) {
    if (head.dataset.key === state.sort.replace(/^-/, "")) {
      head.setAttribute("aria-sort", state.sort.startsWith("-") ? "descending" : "ascending");
    } else head.removeAttribute("aria-sort");
  }
  byId("found").textContent = order.length === COUNT
    ? counted(COUNT, "item") : `${whole(order.length)} of ${counted(COUNT, "item")}`;
  byId("page").textContent = `${whole(page)} of ${whole(pages)}`;
  byId("before").disabled = page === 1;
  byId("after").disabled = page === pages;
  byId("rows").value = String(size);
  if (byId("search").value !== state.q) byId("search").value = state.q;
  byId("subject").value = state.subject;
  const flags = state.flag.split(",");
  for (const chip of byId("chips").children) chip.setAttribute("aria-pressed", flags.includes(chip.dataset.flag));
  if (state.theme) document.documentElement.dataset.theme = state.theme;
  else delete document.documentElement.dataset.theme;
  byId("theme").textContent = `Theme: ${state.theme || "auto"}`;
  showItem();
};

// The chosen item, in words and as a curve.
const sentence = (i) => {
  if (!drawable(i)) return "Its parameters could not be estimated.";
  const a = items.discrimination[i];
  // The words for discrimination are Baker's (The Basics of Item Response Theory, 2001).
  const sharp = a < 0 ? "the wrong way round" : a < 0.35 ? "very little" : a < 0.65 ? "a little" :
    a < 1.35 ? "moderately" : a < 1.7 ? "sharply" : "very sharply";
  const average = Math.round(100 * probability(i, data.mean));
  return `Of students with average ability, ${average}% are expected to get it right. ` +
    `It separates weaker from stronger students ${sharp}` +
    (a > 0 ? `, best around ability ${fixed(sharpest(i), 1)}.` : ".") + fitting(i);
};
// Guessing moves the most informative ability above the difficulty.
const sharpest = (i) => {
  if (floorOf(i) === 0 && ceilingOf(i) === 1) return items.difficulty[i];
  return THETAS.reduce((best, theta) => (information(i, theta) > information(i, best) ? theta : best));
};
const fitting = (i) => {
  const p = items.fit_p?.[i] ?? null;
  if (p === null) return "";
  return ` If it followed its curve, answers as far from it as these would come up ${p < 0.001 ? "less than once in 1,000 times" : `${whole(1000 * p)} times in 1,000`}.`;
};
const fact = (label, value, error) => [
  html("dt", {}, label),
  html("dd", {}, value, error === undefined || error === null ? null : html("small", {}, ` ± ${fixed(error)}`)),
];
// What only some calibrations have, in the panel's further rows of three.
const more = (i) => {
  const facts = [
    items.lower && fact("Guess c", fixed(items.lower[i]), items.lower_se?.[i]),
    items.upper && fact("Ceiling u", fixed(items.upper[i]), items.upper_se?.[i]),
    items.infit && fact("Infit", fixed(items.infit[i])),
    items.outfit && fact("Outfit", fixed(items.outfit[i])),
    items.dif && fact(`DIF ${items.dif_group[i]}`.trim(), fixed(items.dif[i]), items.dif_se[i]),
  ].filter(Boolean);
  return [facts.slice(0, 3), facts.slice(3)].filter((row) => row.length).map((row) => html("dl", {}, ...row.flat()));
};
let drawnItem = null;
const showItem = () => {
  const place = byId("item");
  place.hidden = chosen === null;
  mark(chosen);
  if (chosen === drawnItem) return;
  drawnItem = chosen;
  if (chosen === null) return;
  const i = chosen;
  const flags = flagsOf(i);
  const step = (label, by, sign) => html("button", { type: "button", class: "quiet step", "aria-label": label, onclick: () => move(by) }, sign);
  place.replaceChildren(
    html("header", {},
      html("h3", { title: nameOf(i) }, html("bdi", {}, nameOf(i))),
      step("Previous item", -1, "↑"), step("Next item", 1, "↓"),
      html("button", { type: "button", class: "quiet step close", "aria-label": "Close", onclick: () => change({ item: "" }) }, "×")),
    html("p", { class: "which", title: below(i) }, html("bdi", {}, below(i)), isAnchor(i) ? html("span", { class: "tag anchor", title: ANCHOR }, "Anchor") : null),
    ...flags.map((flag) => html("p", { class: `verdict ${kindOf(i)}` }, html("b", {}, flag.label), flag.meaning)),
    html("dl", {},
      ...fact("Answers", whole(items.answers[i])),
      ...fact("Right", percent(items.share[i])),
      ...fact("Difficulty b", fixed(items.difficulty[i]), items.difficulty_se[i]),
      ...fact("Discrim. a", fixed(items.discrimination[i]), items.discrimination_se[i])),
    ...more(i),
    itemCurve(i),
    html("p", { class: "words" }, sentence(i)),
    html("p", { class: "words" }, "Curve: what the model expects. Dots: what students did, larger for more answers, with 95% intervals."));
  place.scrollTop = 0;
};
const move = (by) => {
  const at = order.indexOf(chosen);
  const next = order[Math.min(order.length - 1, Math.max(0, at + by))];
  if (next === undefined) return;
  const size = state.rows === "100" ? 100 : 25;
  change({ item: items.id[next], page: String(Math.floor(order.indexOf(next) / size) + 1) });
};

// The chosen item in the drawings of the whole test.
const scatter = document.querySelector("svg.scatter");
const wright = document.querySelector("svg.wright");
const numbers = (text) => text.split(" ").map(Number);
const [boxLeft, boxRight, boxBottom, boxTop] = numbers(scatter.dataset.box);
const [bLow, bHigh, aLow, aHigh] = numbers(scatter.dataset.domain);
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
const spot = (i) => [
  boxLeft + ((clamp(items.difficulty[i], bLow, bHigh) - bLow) / (bHigh - bLow)) * (boxRight - boxLeft),
  boxBottom + ((clamp(items.discrimination[i], aLow, aHigh) - aLow) / (aHigh - aLow)) * (boxTop - boxBottom),
];
const ring = svg("circle", { r: 7, class: "chosen" });
const level = svg("path", { class: "chosen" });
const tip = svg("text", { class: "tip" });
const hover = svg("circle", { r: 6, class: "chosen", visibility: "hidden" });
scatter.append(ring, hover, tip);
wright.append(level);
const put = (circle, i) => {
  const hidden = i === null || !drawable(i);
  circle.setAttribute("visibility", hidden ? "hidden" : "visible");
  if (hidden) return;
  const [cx, cy] = spot(i);
  circle.setAttribute("cx", cx);
  circle.setAttribute("cy", cy);
};
const mark = (i) => {
  put(ring, i);
  for (const named of document.querySelectorAll("svg g[data-item]")) named.classList.toggle("current", +named.dataset.item === i);
  level.setAttribute("visibility", i === null || !drawable(i) ? "hidden" : "visible");
  if (i === null || !drawable(i)) return;
  const { low, high, start, end } = wright.dataset;
  const y = +start + ((clamp(items.difficulty[i], +low, +high) - low) / (high - low)) * (end - start);
  level.setAttribute("d", `M286 ${y - 5}l6 5l-6 5z`);
};
const nearest = (event) => {
  const frame = scatter.getBoundingClientRect();
  const scale = frame.width / scatter.viewBox.baseVal.width;
  const px = (event.clientX - frame.left) / scale, py = (event.clientY - frame.top) / scale;
  let best = null, least = 18 * 18;
  for (let i = 0; i < COUNT; i++) {
    if (!drawable(i)) continue;
    const [cx, cy] = spot(i);
    const far = (cx - px) ** 2 + (cy - py) ** 2;
    if (far < least) [best, least] = [i, far];
  }
  return best;
};
const point = (i) => {
  put(hover, i);
  tip.textContent = i === null ? "" : nameOf(i).slice(0, 40);
  if (i === null) return;
  const [cx, cy] = spot(i);
  const left = cx > (boxLeft + boxRight) / 2;
  fill(tip, { x: cx + (left ? -11 : 11), y: cy - 8, class: left ? "tip end" : "tip" }, []);
};
scatter.addEventListener("pointermove", (event) => point(nearest(event)));
scatter.addEventListener("pointerleave", () => point(null));
scatter.addEventListener("click", (event) => {
  const i = nearest(event);
  if (i !== null) choose(i);
});
for (const drawing of document.querySelectorAll("svg.wright, svg.curves")) {
  drawing.addEventListener("click", (event) => {
    const named = event.target.closest("[data-item]");
    if (named) choose(+named.dataset.item);
  });
}
const choose = (i) => {
  change({ item: items.id[i] });
  if (wide.matches) byId("item").scrollIntoView({ block: "nearest" });
};

// What the reader does.
for (const head of heads) {
  head.querySelector("button")?.addEventListener("click", () => {
    const key = head.dataset.key;
    // Text starts from A, numbers from the largest; a second click turns it round.
    const first = VALUES[key] ? key : "-" + key;
    const other = VALUES[key] ? "-" + key : key;
    change({ sort: state.sort === first ? other : first });
  });
}
table.tBodies[0].addEventListener("click", (event) => {
  const at = event.target.closest("tr[data-item]");
  if (!at || getSelection().toString()) return;
  change({ item: items.id[+at.dataset.item] });
  table.tBodies[0].querySelector(`tr[data-item="${at.dataset.item}"] .open`).focus({ preventScroll: true });
});
table.addEventListener("keydown", (event) => {
  const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (!by || !event.target.matches(".open")) return;
  event.preventDefault();
  move(by);
  table.tBodies[0].querySelector('tr[aria-current="true"] .open')?.focus();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && state.item) change({ item: "" });
});
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("search").addEventListener("input", (event) => change({ q: event.target.value }));
byId("subject").addEventListener("change", (event) => change({ subject: event.target.value }));
byId("rows").addEventListener("change", (event) => change({ rows: event.target.value }));
byId("before").addEventListener("click", () => change({ page: String((parseInt(state.page, 10) || 1) - 1) }));
byId("after").addEventListener("click", () => change({ page: String((parseInt(state.page, 10) || 1) + 1) }));
byId("theme").addEventListener("click", () => change({ theme: { "": "dark", dark: "light", light: "" }[state.theme] ?? "" }));
wide.addEventListener("change", show);
addEventListener("hashchange", () => {
  if (!readFragment()) return;
  show();
  if (state.flag) byId("items").scrollIntoView();
});

byId("subject").append(...data.subjects.map((name) => html("option", { value: name }, name)));
const tally = (test) => items.flag_set.reduce((sum, set) => sum + test(set), 0);
const chip = (flag, label, count) =>
  html("button", { type: "button", class: "chip", "data-flag": flag, "aria-pressed": "false", onclick: () => {
    const flags = state.flag.split(",").filter(Boolean);
    change({ flag: (flags.includes(flag) ? flags.filter((name) => name !== flag) : [...flags, flag]).join(",") });
  } }, label, html("b", {}, whole(count)));
const looks = tally((set) => data.kinds[set] === "look");
if (data.flags.length > 1 && looks) byId("chips").append(chip("look", "Needs a look", looks));
const anchors = items.id.filter((_, i) => isAnchor(i)).length;
if (anchors) byId("chips").append(chip("anchor", "Anchor", anchors));
byId("chips").append(...data.flags.map((flag, index) =>
  chip(flag.name, flag.label, tally((set) => data.flag_sets[set].includes(index)))));

document.documentElement.dataset.script = "on";
readFragment();
show();
