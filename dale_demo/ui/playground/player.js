// Player of particles under two samplers side by side, in the plane. Comes after film.js and
// density.js. The default export is called on every rerun: the same run is left unchanged, and
// another run keeps the axes and layers that the visitor chose.

const RATE = 30; // frames a second
const FRAMES = 100; // about so many are shown, some of them interpolated between recorded ones
const DOT = 2;
const CELLS = 96; // of the density, along one side
const SHARES = [0.5, 0.8, 0.95];

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".player");
  const { header, rest } = openBlob(data);
  const before = players.get(root);
  if (before?.header.id !== header.id) {
    before?.close();
    const split = rest.length - 4 * header.learned;
    const run = { x: positions(header, rest.slice(0, split)), field: new Float32Array(rest.slice(split).buffer) };
    players.set(root, new Particles(root, header, run, before?.view));
  }
  return () => players.get(root).close();
}

// x of [sampler][frame][particle][axis]: the sign of a code is that of x, the rest is ln|x|.
function positions({ reach }, rest) {
  const packed = new Int16Array(rest.buffer);
  return Float32Array.from(packed, (q) => {
    const y = -reach + ((Math.abs(q) - 1) / 32766) * 2 * reach;
    return Math.sign(q) * Math.exp(y);
  });
}

class Particles extends Film {
  constructor(root, header, run, view) {
    const last = header.times.length - 1;
    const parts = Math.max(1, Math.round(FRAMES / last));
    super(root, last * parts, RATE);
    view ??= { log: false, data: true, density: true, score: header.learned ? "hyvarinen" : null };
    Object.assign(this, { header, view, parts, ...run });
    this.build();
    this.listen();
    this.showView();
    this.open();
  }

  build() {
    this.panels = this.header.samplers.map((sampler) => panel(sampler, this.header));
    this.toggles = {
      log: button("Log axes", "log axes"),
      data: button("Data points", "data"),
      density: button("Contours of the density", "density"),
      hyvarinen: button("Hyvärinen score field", "Hyvärinen score"),
      stein: button("Stein score field", "Stein score"),
    };
    this.remark = element("span", {});
    const { colours } = this.header;
    this.root.replaceChildren(
      element("div", { class: "bar" }, this.controls, this.readout),
      element("div", { class: "pair" }, ...this.panels.map((one) => one.root)),
      element("div", { class: "legend" }, ...Object.values(this.toggles)),
      element("div", { class: "legend" },
        element("span", {}, patch(colours.state), "has never crossed"),
        element("span", {}, patch(colours.below), "has crossed an axis"),
        this.remark),
    );
  }

  listen() {
    super.listen();
    const { view, toggles } = this;
    for (const name of ["log", "data", "density"])
      toggles[name].onclick = () => this.choose({ [name]: !view[name] });
    for (const name of ["hyvarinen", "stein"])
      toggles[name].onclick = () => this.choose({ score: view.score === name ? null : name });
  }

  choose(change) {
    Object.assign(this.view, change);
    this.showView();
    this.drawPlots();
  }

  showView() {
    const { view, toggles } = this;
    for (const name of ["log", "data", "density"]) toggles[name].setAttribute("aria-pressed", view[name]);
    for (const name of ["hyvarinen", "stein"]) toggles[name].setAttribute("aria-pressed", view.score === name);
    this.remark.textContent = remarkOn(view);
  }

  // By whole steps: frames between them are interpolated, for the eye only.
  move(by) {
    const at = this.frame / this.parts;
    const to = by > 0 ? Math.floor(at) + 1 : Math.ceil(at) - 1;
    this.jump(Math.min(this.last, Math.max(0, to * this.parts)));
  }

  // The recorded frame at or before the one shown, the fraction of the way to the next, and t.
  get now() {
    const { times } = this.header;
    const k = Math.floor(this.frame / this.parts);
    const part = this.frame / this.parts - k;
    return { k, part, t: part ? times[k] + part * (times[k + 1] - times[k]) : times[k] };
  }

  draw() {
    const { steps, sigma } = this.header;
    const { k, t } = this.now;
    this.readout.textContent =
      `Step ${steps[k]} of ${steps.at(-1)} · t = ${short(t)} · noise level s = ${short(sigma * Math.sqrt(t))}`;
    this.drawPlots();
  }

  drawPlots() {
    const { view, header, panels } = this;
    const size = panels[0].canvas.clientWidth;
    if (!size) return;
    const plane = new Plane(header.windows[view.log ? "log" : "linear"], view.log, size);
    const layers = this.layers(plane);
    panels.forEach((one, i) => {
      const context = sharp(one.canvas, size);
      for (const { path, fill, stroke, width, alpha } of [...layers, ...this.scoreLayers(plane, i)]) {
        context.globalAlpha = alpha;
        if (fill) { context.fillStyle = fill; context.fill(path); }
        if (stroke) { context.strokeStyle = stroke; context.lineWidth = width; context.stroke(path); }
      }
      one.tell(this.scatter(context, plane, i));
      if (!plane.like(this.plane)) drawFrame(one.axes, plane);
    });
    this.plane = plane;
  }

  // The layers below the particles, the same in both panels.
  layers(plane) {
    const { view, header } = this;
    const { colours } = header;
    const variance = header.spread ** 2 + header.sigma ** 2 * this.now.t;
    const all = [];
    if (view.density) {
      contours(plane, header.means, variance).forEach((path, i) =>
        all.push({ path, stroke: colours.theory, width: 1.4, alpha: [1, 0.7, 0.45][i] }));
    }
    if (view.data) all.push({ path: dots(plane, header.data, 1.3), fill: colours.theory, alpha: 0.75 });
    return all;
  }

  // The score of panel i: exact, from the kernels, or on the right, if it is learned, as it was sent.
  scoreLayers(plane, i) {
    const { view, header } = this;
    if (!view.score) return [];
    const variance = header.spread ** 2 + header.sigma ** 2 * this.now.t;
    const exact = (y1, y2) => hyvarinenAt(y1, y2, header.means, variance);
    const score = header.learned && i === 1 ? this.learned(plane) : exact;
    const path = arrows(plane, header.arrows, exact, score, view.score === "stein");
    return [{ path, stroke: header.colours.score, width: 1.3, alpha: 0.9 }];
  }

  // The learned score at the cell `at` of the plane's grid, between two recorded frames if need be.
  // field: h of [window][frame][cell][axis], linear window first.
  learned(plane) {
    const { field, header } = this;
    const { k, part } = this.now;
    const size = 2 * header.arrows ** 2;
    const here = ((plane.log ? header.times.length : 0) + k) * size;
    const value = (at) => field[here + at] + (part ? part * (field[here + size + at] - field[here + at]) : 0);
    return (y1, y2, at) => [value(2 * at), value(2 * at + 1)];
  }

  // Draw the particles of sampler i; return how many have crossed and how many are beyond an axis.
  scatter(context, plane, i) {
    const { header, x } = this;
    const { count, first, colours } = header;
    const { k, part } = this.now;
    const frames = header.times.length;
    const here = (i * frames + k) * count * 2;
    const next = part ? here + count * 2 : here;
    const paths = { kept: new Path2D(), crossed: new Path2D(), keptOut: new Path2D(), crossedOut: new Path2D() };
    let crossed = 0, beyond = 0;
    for (let b = 0; b < count; b++) {
      const [x1, x2] = [0, 1].map((axis) => {
        const from = x[here + 2 * b + axis];
        return from + part * (x[next + 2 * b + axis] - from);
      });
      const out = x1 < 0 || x2 < 0;
      const lit = first[i][b] <= k || (out && first[i][b] === k + 1);
      crossed += lit;
      beyond += out;
      if (plane.log && out) continue;
      const at = plane.place(x1, x2);
      disc(paths[(lit ? "crossed" : "kept") + (at.inside ? "" : "Out")], at.x, at.y, DOT);
    }
    for (const [name, colour] of [["kept", colours.state], ["crossed", colours.below]]) {
      context.fillStyle = colour;
      context.globalAlpha = 0.3;
      context.fill(paths[`${name}Out`]);
      context.globalAlpha = 0.85;
      context.fill(paths[name]);
    }
    return { crossed, beyond };
  }
}

function remarkOn(view) {
  const remarks = ["at the edge: outside the plot"];
  if (view.log) remarks.push("on log axes the axes are infinitely far away, and particles that have crossed are not shown");
  if (view.density) remarks.push(`contours hold ${SHARES.map((s) => Math.round(100 * s)).join(", ")} % of the distribution at this t`);
  if (view.score === "hyvarinen") remarks.push("arrows: h = x ∘ ∇ln p, long ones drawn shorter");
  if (view.score === "stein") remarks.push("arrows: ∇ln p = h / x, long ones drawn shorter");
  return `${sentence(remarks.join("; "))}.`;
}

// ---- One sampler ----------------------------------------------------------------------------

function panel({ name, side }, { count }) {
  const canvas = element("canvas", {
    role: "img", "aria-label": `${count} particles under ${name}`, "data-testid": `particles-${side}`,
  });
  const axes = svg("svg", { "aria-hidden": "true" });
  const [crossed, beyond] = [number(`of ${count.toLocaleString("en")} have crossed`), number("are beyond an axis now")];
  crossed.root.dataset.testid = `crossed-${side}`;
  beyond.root.dataset.testid = `beyond-${side}`;
  const root = element("figure", {},
    element("div", { class: "name" }, name),
    element("div", { class: "numbers" }, crossed.root, beyond.root),
    element("div", { class: "plane" }, canvas, axes));
  const tell = (numbers) => {
    crossed.say(numbers.crossed.toLocaleString("en"));
    beyond.say(numbers.beyond.toLocaleString("en"));
    crossed.root.classList.toggle("lit", numbers.crossed > 0);
  };
  return { root, canvas, axes, tell };
}

function sharp(canvas, size) {
  const ratio = devicePixelRatio;
  const pixels = Math.round(size * ratio);
  if (canvas.width !== pixels) canvas.width = canvas.height = pixels;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, size, size);
  return context;
}

// ---- The plane ------------------------------------------------------------------------------

// A square of `size` pixels that shows [low, high]² of x, or of ln x.
class Plane {
  constructor([low, high], log, size) {
    Object.assign(this, { low, high, log, size });
  }

  like(other) {
    return other?.log === this.log && other.size === this.size;
  }

  at(v) {
    return ((v - this.low) / (this.high - this.low)) * this.size;
  }

  // Pixels of a point x, drawn to the edge if it lies outside.
  place(x1, x2) {
    const [v1, v2] = this.log ? [Math.log(x1), Math.log(x2)] : [x1, x2];
    const hold = (v) => Math.min(this.size, Math.max(0, v));
    const [x, y] = [this.at(v1), this.size - this.at(v2)];
    return { x: hold(x), y: hold(y), inside: hold(x) === x && hold(y) === y };
  }

  // Middles of `count` cells along a side, where densities are positive: x > 0.
  cells(count) {
    const low = this.log ? this.low : 0;
    const width = (this.high - low) / count;
    return { width, middles: Array.from({ length: count }, (_, i) => low + (i + 0.5) * width) };
  }
}

function disc(path, x, y, radius) {
  path.moveTo(x + radius, y);
  path.arc(x, y, radius, 0, 2 * Math.PI);
}

function dots(plane, pairs, radius) {
  const path = new Path2D();
  for (let i = 0; i < pairs.length; i += 2) {
    const at = plane.place(pairs[i], pairs[i + 1]);
    if (at.inside) disc(path, at.x, at.y, radius);
  }
  return path;
}

// Contours of the density of what the axes show: x, or ln x.
function contours(plane, means, variance) {
  const { width, middles } = plane.cells(CELLS);
  const ys = plane.log ? middles : middles.map(Math.log);
  const density = densityOn(ys, means, variance);
  if (!plane.log) density.forEach((v, at) => { density[at] = v / (middles[at % CELLS] * middles[Math.floor(at / CELLS)]); });
  const pixel = (c) => plane.at(middles[0] + c * width);
  return levelsOf(density, width * width, SHARES).map((level) => {
    const path = new Path2D();
    if (level === null) return path;
    for (const [x, y, x2, y2] of contour(density, CELLS, level)) {
      path.moveTo(pixel(x), plane.size - pixel(y));
      path.lineTo(pixel(x2), plane.size - pixel(y2));
    }
    return path;
  });
}

// Arrows of a score, on the cells of a grid; half a cell long at the median of the exact one, so that
// two scores can be compared, and never more than one, because a Stein score near an axis is
// thousands of times longer than elsewhere.
function arrows(plane, count, exact, score, stein) {
  const { width, middles } = plane.cells(count);
  const fieldOf = (score) => middles.flatMap((v2, j) => middles.map((v1, i) => {
    const [y1, y2] = plane.log ? [v1, v2] : [Math.log(v1), Math.log(v2)];
    const [h1, h2] = score(y1, y2, j * count + i);
    const [f1, f2] = stein ? [h1 / Math.exp(y1), h2 / Math.exp(y2)] : [h1, h2];
    return { x: plane.at(v1), y: plane.size - plane.at(v2), f1, f2, length: Math.hypot(f1, f2) };
  }));
  const field = fieldOf(score);
  const median = (score === exact ? field : fieldOf(exact)).map((a) => a.length).sort((a, b) => a - b)[count ** 2 >> 1];
  const cell = plane.at(plane.low + width);
  const path = new Path2D();
  for (const { x, y, f1, f2, length } of field) {
    const long = (cell * length) / (length + median);
    arrow(path, x, y, (long * f1) / length, (-long * f2) / length);
  }
  return path;
}

function arrow(path, x, y, dx, dy) {
  const [x0, y0, x1, y1] = [x - dx / 2, y - dy / 2, x + dx / 2, y + dy / 2];
  path.moveTo(x0, y0);
  path.lineTo(x1, y1);
  for (const side of [-1, 1]) {
    path.moveTo(x1, y1);
    path.lineTo(x1 - 0.3 * dx + side * 0.2 * dy, y1 - 0.3 * dy - side * 0.2 * dx);
  }
}

// The axes, the region beyond them, and ticks.
function drawFrame(plot, plane) {
  const { size } = plane;
  plot.setAttribute("viewBox", `0 0 ${size} ${size}`);
  const text = (x, y, label, anchor = "middle") => svg("text", { x, y, "text-anchor": anchor }, label);
  const parts = [];
  if (plane.log) {
    for (const [v, label] of logTicks(plane.low, plane.high, 5)) {
      parts.push(text(plane.at(v), size - 6, label), text(6, size - plane.at(v) + 4, label, "start"));
    }
  } else {
    const zero = plane.at(0);
    parts.push(
      svg("path", { class: "beyond", d: `M0 0H${zero}V${size - zero}H${size}V${size}H0Z` }),
      svg("path", { class: "zero", d: `M${zero} 0V${size}M0 ${size - zero}H${size}` }),
      text(zero - 6, 16, "x₁ = 0", "end"), text(size - 6, size - zero - 7, "x₂ = 0", "end"));
    for (const v of range(1, Math.floor(plane.high - 0.5), 1))
      parts.push(text(plane.at(v), size - zero + 16, `${v}`), text(zero - 6, size - plane.at(v) + 4, `${v}`, "end"));
  }
  plot.replaceChildren(...parts);
}
