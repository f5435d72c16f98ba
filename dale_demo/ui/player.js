// Plays one trajectory: two picture canvases, a scrubber, the law of the pixels, and their paths.
// The default export is called again on every rerun, so what belongs to one place on the page is
// kept by its element, and the same trajectory is left as it stands.

const players = new WeakMap();

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".player");
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  const { header, sprites } = unpack(bytes);
  const before = players.get(root);
  if (before?.id !== header.id) {
    before?.close();
    players.set(root, new Player(root, header, sprites));
  }
  return () => players.get(root).close();
}

function unpack(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  let offset = 4 + length;
  const sprites = header.sprites.map((part) =>
    part.map((size) => new Blob([bytes.slice(offset, (offset += size))], { type: "image/jpeg" })),
  );
  return { header, sprites };
}

const FRAMES_PER_SECOND = 10;
const ICONS = {
  play: "M3 1l11 7-11 7z",
  pause: "M3 1h4v14H3zM9 1h4v14H9z",
  back: "M13 1v14L5 8zM2 1h2v14H2z",
  forward: "M3 1v14l8-7zM12 1h2v14h-2z",
};

class Player {
  constructor(root, header, sprites) {
    this.id = header.id;
    this.root = root;
    this.header = header;
    this.last = header.levels.length - 1;
    this.frame = this.last;
    this.speed = 1;
    this.axis = "log";
    this.build();
    this.listen();
    Promise.all(sprites.map((part) => Promise.all(part.map((blob) => createImageBitmap(blob))))).then(
      (bitmaps) => {
        if (players.get(root) !== this) return; // another trajectory has come meanwhile
        this.bitmaps = bitmaps;
        const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
        this.show(this.last);
        if (still || this.last === 0) this.pause();
        else this.play();
      },
    );
  }

  close() {
    this.pause();
    this.observer.disconnect();
  }

  build() {
    const { header } = this;
    const label = header.labels.length ? `Pictures of ${header.labels.join(", ")}` : "Pictures";
    this.state = picture("player-state", header, `${label}: the noisy state`);
    this.estimate = picture("player-estimate", header, `${label}: the estimate`);
    this.buttons = {
      back: button("Step back", icon("back")),
      play: button("Play", icon("play")),
      forward: button("Step forward", icon("forward")),
    };
    this.scrubber = element("input", {
      type: "range", min: 0, max: this.last, step: 1, "aria-label": "Frame",
      "data-testid": "player-scrubber",
    });
    this.pace = element("select", { "aria-label": "Speed" },
      ...[0.25, 0.5, 1, 2].map((v) => element("option", { value: v }, `${v}×`)));
    this.pace.value = "1";
    this.readout = element("p", { class: "readout", "aria-live": "off" });
    this.axes = ["log", "linear"].map((name) => button(`${name} axis`, name));
    this.law = svg("svg", { class: "plot", role: "img", "aria-label": "Histogram of the state" });
    this.paths = svg("svg", { class: "plot", role: "img", "aria-label": "Paths of single pixels" });
    this.root.replaceChildren(
      element("div", { class: "pictures" },
        figure(this.state, bold("state x"), ", exposed to follow the noise"),
        figure(this.estimate, bold("estimate exp D"), ", the network’s present guess")),
      element("div", { class: "controls" },
        this.buttons.back, this.buttons.play, this.buttons.forward, this.scrubber, this.pace),
      this.readout,
      element("div", { class: "plots" },
        figure([head("Law of the pixel values x", ...this.axes), this.law], ...this.lawCaption()),
        figure([head("Paths of single pixels"), this.paths], this.pathsCaption())),
    );
  }

  lawCaption() {
    const { state, theory } = this.header.colours;
    return [
      "Bars: all pixels of the state. ", swatch(state, false), " log-normal fitted to them. ",
      swatch(theory, true), " what the forward process has at this noise level.",
    ];
  }

  pathsCaption() {
    return this.crossed
      ? "Above the middle line x > 0, below it x < 0, both on log scales. A dot marks a change " +
          "of sign; half of the pixels are picked from those that cross."
      : "On a log axis x = 0 lies infinitely far down: a product of positive factors never " +
          "gets there.";
  }

  get crossed() {
    return this.header.crossings[this.last] > 0;
  }

  listen() {
    this.buttons.back.onclick = () => this.move(-1);
    this.buttons.forward.onclick = () => this.move(1);
    this.buttons.play.onclick = () => (this.timer ? this.pause() : this.play());
    this.scrubber.oninput = () => { this.pause(); this.show(Number(this.scrubber.value)); };
    this.pace.onchange = () => { this.speed = Number(this.pace.value); };
    this.axes.forEach((b, i) => {
      b.onclick = () => { this.axis = ["log", "linear"][i]; this.drawPlots(); };
    });
    this.root.onkeydown = (event) => this.key(event);
    this.observer = new ResizeObserver(() => this.drawPlots());
    this.observer.observe(this.root);
  }

  key(event) {
    const target = event.composedPath()[0];
    const own = target === this.root || target === this.scrubber;
    if (!own || event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      " ": () => (this.timer ? this.pause() : this.play()),
      ArrowLeft: () => this.move(-1),
      ArrowRight: () => this.move(1),
      Home: () => { this.pause(); this.show(0); },
      End: () => { this.pause(); this.show(this.last); },
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }

  move(by) {
    this.pause();
    this.show(Math.min(this.last, Math.max(0, this.frame + by)));
  }

  play() {
    if (this.frame === this.last) this.show(0);
    let due = performance.now();
    const tick = (now) => {
      if (now - due >= 1000 / (FRAMES_PER_SECOND * this.speed)) {
        due = now;
        this.show(this.frame + 1);
        if (this.frame === this.last) return this.pause();
      }
      this.timer = requestAnimationFrame(tick);
    };
    this.timer = requestAnimationFrame(tick);
    this.showPlaying();
  }

  pause() {
    cancelAnimationFrame(this.timer);
    this.timer = undefined;
    this.showPlaying();
  }

  showPlaying() {
    const playing = this.timer !== undefined;
    this.root.dataset.playing = playing;
    this.buttons.play.replaceChildren(icon(playing ? "pause" : "play"));
    this.buttons.play.setAttribute("aria-label", playing ? "Pause" : "Play");
    this.buttons.play.title = playing ? "Pause" : "Play";
  }

  show(frame) {
    this.frame = frame;
    this.scrubber.value = frame;
    this.root.dataset.frame = frame;
    this.root.dataset.frames = this.last + 1;
    if (this.bitmaps) {
      this.paint(this.state, this.bitmaps[0]);
      this.paint(this.estimate, this.bitmaps[1]);
    }
    this.describe();
    this.drawPlots();
  }

  paint(canvas, bitmaps) {
    const { width, height, tiles } = this.header;
    const share = tiles[0] * tiles[1];
    const place = this.frame % share;
    const x = (place % tiles[0]) * width;
    const y = Math.floor(place / tiles[0]) * height;
    const bitmap = bitmaps[Math.floor(this.frame / share)];
    canvas.getContext("2d").drawImage(bitmap, x, y, width, height, 0, 0, width, height);
  }

  describe() {
    const { levels, calls, crossings, fitted } = this.header;
    const k = this.frame;
    const signs = crossings[k] === 1 ? "1 sign changed" : `${crossings[k].toLocaleString("en")} signs changed`;
    this.readout.textContent =
      `Frame ${k} of ${this.last} · noise level s = ${short(levels[k])} · ` +
      `spread of ln x ${short(fitted[k][1])} · ${calls[k]} evaluations · ${signs}`;
  }

  drawPlots() {
    this.axes.forEach((b, i) => b.setAttribute("aria-pressed", this.axis === ["log", "linear"][i]));
    drawLaw(this.law, this.header, this.frame, this.axis);
    drawPaths(this.paths, this.header, this.frame, this.crossed);
  }
}

// ---- The law of the pixel values ------------------------------------------------------------

const MARGIN = { left: 8, right: 8, top: 10, bottom: 26 };
const CURVE_POINTS = 160;

function drawLaw(plot, header, k, axis) {
  const box = frameOf(plot);
  if (!box) return;
  const [low, high] = header[axis].range[k];
  const counts = header[axis].counts[k];
  const width = (high - low) / counts.length;
  const bars = counts.map((n) => n / (header.count * width));
  const laws = [header.theory[k], header.fitted[k]].map(([mean, std]) => densities(axis, mean, std, low, high));
  // A spike (the black background at the end) is cut off, so that the curves stay readable.
  const top = Math.min(Math.max(...bars), 2.5 * Math.max(...laws.flat())) || Math.max(...laws.flat());
  const scale = Math.max(top, ...laws.flat()) * 1.05;
  const px = (v) => box.left + ((v - low) / (high - low)) * box.width;
  const py = (v) => box.bottom - Math.min(1, v / scale) * box.height;
  const parts = [svg("path", { d: barPath(bars, low, width, px, py, box.bottom), fill: header.colours.state, "fill-opacity": 0.35 })];
  parts.push(curve(laws[0], low, high, px, py, header.colours.theory, true));
  parts.push(curve(laws[1], low, high, px, py, header.colours.state, false));
  parts.push(svg("path", { class: "axis", d: `M${box.left} ${box.bottom}H${box.right}` }));
  const ticks = axis === "log" ? logTicks(low, high) : linearTicks(low, high);
  for (const [at, text] of ticks) parts.push(...tick(px(at), box, text));
  const spike = bars.findIndex((v) => v > scale * 1.001);
  if (spike >= 0) parts.push(cutOff(px(low + (spike + 1) * width), box, counts[spike] / header.count));
  plot.replaceChildren(...parts);
}

// What a bar that leaves the plot stands for, beside its cut end.
function cutOff(x, box, share) {
  const beside = x < box.right - 60 ? { x: x + 6 } : { x: x - 30, "text-anchor": "end" };
  return svg("text", { ...beside, y: box.top + 10 }, `↑ ${Math.round(100 * share)} %`);
}

function densities(axis, mean, std, low, high) {
  return Array.from({ length: CURVE_POINTS + 1 }, (_, i) => {
    const v = low + ((high - low) * i) / CURVE_POINTS;
    if (axis === "log") return normal(v, mean, std);
    return v > 0 ? normal(Math.log(v), mean, std) / v : 0;
  });
}

function normal(v, mean, std) {
  const z = (v - mean) / std;
  return Math.exp(-0.5 * z * z) / (std * Math.sqrt(2 * Math.PI));
}

function barPath(bars, low, width, px, py, bottom) {
  return bars
    .map((v, i) => (v ? `M${px(low + i * width)} ${bottom}V${py(v)}H${px(low + (i + 1) * width)}V${bottom}` : ""))
    .join("");
}

function curve(values, low, high, px, py, stroke, dashed) {
  const points = values.map((v, i) => `${px(low + ((high - low) * i) / CURVE_POINTS).toFixed(1)} ${py(v).toFixed(1)}`);
  return svg("path", {
    d: `M${points.join("L")}`, fill: "none", stroke, "stroke-width": 2,
    ...(dashed ? { "stroke-dasharray": "5 4" } : {}),
  });
}

// ---- Paths of single pixels -----------------------------------------------------------------

function drawPaths(plot, header, k, crossed) {
  const box = frameOf(plot, 46);
  if (!box) return;
  const last = header.levels.length - 1;
  const all = header.paths.flat();
  let low = Math.min(...all), high = Math.max(...all);
  const slack = Math.max(0.3, (high - low) * 0.06);
  low -= slack;
  high += slack;
  const px = (i) => box.left + (last ? i / last : 1) * box.width;
  const half = box.height / 2;
  const fraction = (y) => (y - low) / (high - low);
  const py = crossed
    ? (y, sign) => box.top + half - sign * (0.06 + 0.94 * fraction(y)) * half
    : (y) => box.bottom - fraction(y) * box.height;
  const parts = [svg("path", { class: "axis", d: `M${box.left} ${box.top}V${box.bottom}H${box.right}` })];
  parts.push(...verticalTicks(low, high, box, py, crossed));
  parts.push(...noiseTicks(header.levels, box, px));
  header.paths.forEach((path, p) => {
    parts.push(...onePath(path, header.signs[p], px, py, k, box.top + half, header.colours));
  });
  parts.push(svg("path", { class: "axis", d: `M${px(k)} ${box.top}V${box.bottom}` }));
  plot.replaceChildren(...parts);
}

function onePath(path, signs, px, py, k, zero, { state, below }) {
  const points = path.map((y, i) => [px(i), py(y, signs[i])]);
  const past = trace(points.slice(0, k + 1), signs, zero);
  const line = (d, stroke, more) => svg("path", { d, stroke, fill: "none", ...more });
  const both = ([above, under], more) => [line(above, state, more), line(under, below, more)];
  const [x, y] = points[k];
  return [
    ...both(trace(points, signs, zero).lines, { "stroke-opacity": 0.3 }),
    ...both(past.lines, { "stroke-width": 1.6, "stroke-linejoin": "round" }),
    ...past.dots.map(([cx, cy]) => svg("circle", { cx, cy, r: 4, fill: below })),
    svg("circle", { cx: x, cy: y, r: 2.6, fill: signs[k] < 0 ? below : state }),
  ];
}

// A path's parts above and below x = 0, and where it passes from one to the other.
function trace(points, signs, zero) {
  const lines = ["", ""], dots = [];
  points.forEach(([x, y], i) => {
    const part = signs[i] < 0 ? 1 : 0;
    if (i && signs[i] !== signs[i - 1]) {
      const [x0, y0] = points[i - 1];
      const dot = [x0 + ((x - x0) * (zero - y0)) / (y - y0), zero];
      dots.push(dot);
      lines[1 - part] += `L${dot}`;
      lines[part] += `M${dot}`;
    }
    lines[part] += `${lines[part] ? "L" : "M"}${x} ${y}`;
  });
  return { lines, dots };
}

function verticalTicks(low, high, box, py, crossed) {
  const marks = logTicks(low, high, crossed ? 3 : 6);
  const label = (at, text) => svg("text", { x: box.left - 6, y: at + 4, "text-anchor": "end" }, text);
  if (!crossed) return marks.map(([at, text]) => label(py(at, 1), text));
  const middle = (box.top + box.bottom) / 2;
  return [
    svg("path", { class: "zero", d: `M${box.left} ${middle}H${box.right}` }),
    label(middle, "x = 0"),
    ...marks.flatMap(([at, text]) => [label(py(at, 1), text), label(py(at, -1), `−${text}`)]),
  ];
}

function noiseTicks(levels, box, px) {
  const last = levels.length - 1;
  const count = Math.max(2, Math.min(5, Math.floor(box.width / 80)));
  const chosen = new Set(Array.from({ length: count + 1 }, (_, i) => Math.round((i * last) / count)));
  return [...chosen].flatMap((i) => {
    const anchor = i === 0 ? "start" : i === last ? "end" : "middle";
    return tick(px(i), box, i === 0 ? `s = ${short(levels[i])}` : short(levels[i]), anchor);
  });
}

// ---- Axes -----------------------------------------------------------------------------------

function frameOf(plot, left = MARGIN.left) {
  const { width, height } = plot.getBoundingClientRect();
  if (width < 60) return null;
  plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const right = width - MARGIN.right, bottom = height - MARGIN.bottom;
  return { left, right, top: MARGIN.top, bottom, width: right - left, height: bottom - MARGIN.top };
}

function tick(x, box, text, anchor = "middle") {
  return [
    svg("path", { class: "axis", d: `M${x} ${box.bottom}v4` }),
    svg("text", { x, y: box.bottom + 18, "text-anchor": anchor }, text),
  ];
}

// Ticks [ln x, label] of a log axis whose ends are given as ln x.
function logTicks(low, high, most = 6) {
  const [from, to] = [low / Math.LN10, high / Math.LN10];
  const decades = Math.floor(to) - Math.ceil(from);
  if (decades >= 2) {
    const step = Math.ceil((decades + 1) / most);
    const first = Math.ceil(from / step) * step;
    return range(first, to, step).map((e) => [e * Math.LN10, power(e)]);
  }
  const marks = [];
  for (let e = Math.floor(from); e <= to; e++)
    for (const digit of [1, 2, 5]) marks.push(digit * 10 ** e);
  return marks
    .filter((v) => Math.log(v) >= low && Math.log(v) <= high)
    .map((v) => [Math.log(v), `${Number(v.toPrecision(3))}`]);
}

function linearTicks(low, high) {
  const rough = (high - low) / 4;
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= rough);
  return range(0, high, step).map((v) => [v, v < 1e4 ? `${Number(v.toPrecision(3))}` : v.toExponential(0)]);
}

function range(first, last, step) {
  const count = Math.max(0, Math.floor((last - first) / step + 1e-9) + 1);
  return Array.from({ length: count }, (_, i) => first + i * step);
}

function power(exponent) {
  if (Math.abs(exponent) <= 1) return `${10 ** exponent}`;
  const digits = { "-": "⁻", 0: "⁰", 1: "¹", 2: "²", 3: "³", 4: "⁴", 5: "⁵", 6: "⁶", 7: "⁷", 8: "⁸", 9: "⁹" };
  return "10" + [...`${exponent}`].map((c) => digits[c]).join("");
}

function short(value) {
  return value === 0 ? "0" : `${Number(value.toPrecision(value < 0.1 ? 1 : 2))}`;
}

// ---- Elements -------------------------------------------------------------------------------

function element(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

function svg(name, attributes = {}, ...children) {
  return fill(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function fill(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

function picture(testid, { width, height }, label) {
  return element("canvas", { width, height, role: "img", "aria-label": label, "data-testid": testid });
}

function figure(content, ...caption) {
  return element("figure", {}, ...[content].flat(), element("figcaption", {}, ...caption));
}

function head(title, ...tools) {
  return element("div", { class: "head" }, element("span", {}, title), ...tools);
}

function bold(text) {
  return element("b", {}, text);
}

function button(label, content) {
  return element("button", { type: "button", "aria-label": label, title: label }, content);
}

function icon(name) {
  return svg("svg", { viewBox: "0 0 16 16", "aria-hidden": "true" }, svg("path", { d: ICONS[name] }));
}

function swatch(colour, dashed) {
  const line = svg("path", { d: "M0 6h22", stroke: colour, "stroke-width": 2.5, ...(dashed ? { "stroke-dasharray": "5 4" } : {}) });
  return svg("svg", { viewBox: "0 0 22 12", width: 22, height: 12, "aria-hidden": "true" }, line);
}
