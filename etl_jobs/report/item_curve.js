// One item's characteristic curve with what was observed, above its information.

const WIDTH = 380, LEFT = 44, RIGHT = 372;
const x = (theta) => LEFT + ((theta - LOW) / (HIGH - LOW)) * (RIGHT - LEFT);
const within = (theta) => Math.min(HIGH, Math.max(LOW, theta));
const panel = (title, top, bottom, most, ticks) => {
  const y = (value) => bottom - (value / most) * (bottom - top);
  const drawn = [svg("text", { x: LEFT, y: top - 12, class: "title" }, title)];
  for (const [value, label] of ticks) {
    drawn.push(svg("line", { x1: LEFT, x2: RIGHT, y1: y(value), y2: y(value), class: value ? "grid" : "axis" }));
    drawn.push(svg("text", { x: LEFT - 8, y: y(value), class: "tick end centred" }, label));
  }
  return [y, drawn];
};
const THETAS = Array.from({ length: 121 }, (_, k) => LOW + ((HIGH - LOW) * k) / 120);
const observed = (i, y) => {
  const packed = items.observed[i];
  const bands = (packed.length - 1) / 2;
  const counts = packed.slice(1, 1 + bands);
  const most = Math.max(...counts);
  return counts.flatMap((count, k) => {
    const share = packed[1 + bands + k] / 1000;
    const at = x(data.bands[packed[0] + k]);
    // Wilson's interval stays between 0 and 1 however few the answers are.
    const z = 1.96, centre = (share + (z * z) / (2 * count)) / (1 + (z * z) / count);
    const reach = (z / (1 + (z * z) / count)) * Math.sqrt((share * (1 - share)) / count + (z * z) / (4 * count * count));
    const told = `${percent(share)} right of about ${counted(Math.round(count), "answer")} at ability ${fixed(data.bands[packed[0] + k], 1)}`;
    return [
      svg("line", { x1: at, x2: at, y1: y(centre - reach), y2: y(centre + reach), class: "whisker" }),
      svg("circle", { cx: at, cy: y(share), r: Math.max(1.5, 8 * Math.sqrt(count / most)), class: "seen" },
        svg("title", {}, told)),
    ];
  });
};
const axisTicks = (bottom, title) => {
  const drawn = [svg("text", { x: (LEFT + RIGHT) / 2, y: bottom + 38, class: "label middle" }, title)];
  for (let theta = Math.ceil(LOW); theta <= HIGH; theta++) {
    drawn.push(svg("line", { x1: x(theta), x2: x(theta), y1: bottom, y2: bottom + 4, class: "axis" }));
    drawn.push(svg("text", { x: x(theta), y: bottom + 18, class: "tick middle" }, whole(theta)));
  }
  return drawn;
};
const itemCurve = (i) => {
  const drawn = [];
  const b = items.difficulty[i], se = items.difficulty_se[i];
  const [share, grid] = panel("Share right", 28, 228, 1, [[0, "0%"], [0.25, "25%"], [0.5, "50%"], [0.75, "75%"], [1, "100%"]]);
  const bits = drawable(i) ? THETAS.map((theta) => information(i, theta)) : [];
  const peak = Math.max(0.1, ...bits);
  const most = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100].find((end) => end >= peak) ?? peak;
  const decimals = most < 1 ? 2 : 1;
  const [info, infoGrid] = panel("Information", 270, 340, most, [[0, "0"], [most / 2, fixed(most / 2, decimals)], [most, fixed(most, decimals)]]);
  drawn.push(...grid, ...infoGrid, ...axisTicks(340, "Ability θ"));
  if (drawable(i)) {
    if (se !== null && b + 1.96 * se > LOW && b - 1.96 * se < HIGH) {
      const from = x(within(b - 1.96 * se)), to = x(within(b + 1.96 * se));
      drawn.push(svg("rect", { x: from, y: 28, width: to - from, height: 200, class: "band" },
        svg("title", {}, "Difficulty, two standard errors each way")));
    }
    if (b >= LOW && b <= HIGH) drawn.push(svg("line", { x1: x(b), x2: x(b), y1: 28, y2: 340, class: "guide" }));
    const curve = THETAS.map((theta) => [x(theta), share(probability(i, theta))]);
    const hill = THETAS.map((theta, k) => [x(theta), info(bits[k])]);
    for (const level of [floorOf(i), ceilingOf(i)]) {
      if (level > 0 && level < 1) drawn.push(svg("line", { x1: LEFT, x2: RIGHT, y1: share(level), y2: share(level), class: "guide" }));
    }
    drawn.push(svg("path", { d: `${pathOf(hill)}L${x(HIGH)} 340L${x(LOW)} 340Z`, class: "area" }));
    drawn.push(svg("path", { d: pathOf(hill), class: "curve" }), svg("path", { d: pathOf(curve), class: "curve" }));
  }
  if (items.observed[i].length) drawn.push(...observed(i, share));
  const label = `Item characteristic curve of ${nameOf(i).slice(0, 80)} with observed shares, and its information`;
  return svg("svg", { viewBox: `0 0 ${WIDTH} 384`, role: "img", "aria-label": label, class: "icc" }, ...drawn);
};
