"use strict";
// Everything the page knows of the items, and how it is put into words and elements.

const byId = (id) => document.getElementById(id);
const data = JSON.parse(byId("data").textContent);
const { items, axis: [LOW, HIGH] } = data;
const COUNT = items.id.length;

const nameOf = (i) => items.name[i] ?? items.id[i];
const subjectOf = (i) => data.subjects[items.subject[i]] ?? "";
const below = (i) => [items.name[i] === null ? "" : items.id[i], subjectOf(i)].filter(Boolean).join(" · ");
// What a flag says of this item in particular takes the place of what it says of any.
const flagsOf = (i) => data.flag_sets[items.flag_set[i]].map((index) => {
  const [label, meaning] = data.said[i]?.[index] ?? [data.flags[index].label, data.flags[index].meaning];
  return { ...data.flags[index], label, meaning };
});
const kindOf = (i) => data.kinds[items.flag_set[i]];
const floorOf = (i) => items.lower?.[i] ?? 0;
const ceilingOf = (i) => items.upper?.[i] ?? 1;
const probability = (i, theta) =>
  floorOf(i) + (ceilingOf(i) - floorOf(i)) / (1 + Math.exp(-items.discrimination[i] * (theta - items.difficulty[i])));
// Lord's formula: the squared slope of the curve over the variance of an answer.
const information = (i, theta) => {
  const p = probability(i, theta), low = floorOf(i), high = ceilingOf(i);
  const slope = items.discrimination[i] * (p - low) * (high - p) / (high - low);
  return p > 0 && p < 1 && high > low ? (slope * slope) / (p * (1 - p)) : 0;
};
const isAnchor = (i) => Boolean(items.anchor?.[i]);
const drawable = (i) => items.discrimination[i] !== null && items.difficulty[i] !== null;

// Numbers, as numerals.py prints them.
const grouped = (digits) => digits.replace(/\B(?=(\d{3})+(?!\d))/g, ",");
const fixed = (value, decimals = 2) => {
  if (value === null || !Number.isFinite(value)) return "\u2013";
  const [whole, rest] = Math.abs(value).toFixed(decimals).split(".");
  const zero = !/[1-9]/.test(whole + (rest ?? ""));
  return (value < 0 && !zero ? "\u2212" : "") + grouped(whole) + (rest ? "." + rest : "");
};
const whole = (value) => fixed(value, 0);
const percent = (share) => (share === null ? "\u2013" : whole(100 * share) + "%");
const counted = (count, noun) => `${whole(count)} ${noun}${count === 1 ? "" : "s"}`;

// Elements. Text only ever becomes text.
const fill = (node, attributes, children) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
};
const html = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
const svg = (name, attributes = {}, ...children) =>
  fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
const pathOf = (points) => points.map(([x, y], k) => `${k ? "L" : "M"}${x.toFixed(1)} ${y.toFixed(1)}`).join("");
