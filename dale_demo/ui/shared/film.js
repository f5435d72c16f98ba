// What the players share: frames to play, step and scrub, axes, paths, and elements. It is put in
// front of the script of each player, which extends `Film`.

const players = new WeakMap();

const FRAMES_PER_SECOND = 10;
const ICONS = {
  play: "M3 1l11 7-11 7z",
  pause: "M3 1h4v14H3zM9 1h4v14H9z",
  back: "M13 1v14L5 8zM2 1h2v14H2z",
  forward: "M3 1v14l8-7zM12 1h2v14h-2z",
};

// Header and rest of a blob of bytes.
function openBlob(data) {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const length = view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  return { header, rest: bytes.subarray(4 + length) };
}

// A sequence of frames, with its controls. A subclass draws the present frame in `draw()`, and in
// `drawPlots()` what must be drawn again when the page changes its width.
class Film {
  constructor(root, last, rate = FRAMES_PER_SECOND) {
    this.root = root;
    this.rate = rate;
    this.speed = 1;
    this.buttons = {
      back: button("Step back", icon("back")),
      play: button("Play", icon("play")),
      forward: button("Step forward", icon("forward")),
    };
    this.scrubber = element("input", {
      type: "range", min: 0, max: last, step: 1, "aria-label": "Frame",
      "data-testid": "player-scrubber",
    });
    this.pace = element("select", { "aria-label": "Speed" },
      ...[0.25, 0.5, 1, 2].map((v) => element("option", { value: v }, `${v}×`)));
    this.pace.value = "1";
    this.readout = element("p", { class: "readout", "aria-live": "off" });
    this.lengthen(last);
    this.frame = last;
  }

  lengthen(last) {
    this.last = last;
    this.scrubber.max = last;
  }

  get controls() {
    return element("div", { class: "controls" },
      this.buttons.back, this.buttons.play, this.buttons.forward, this.scrubber, this.pace);
  }

  get still() {
    return matchMedia("(prefers-reduced-motion: reduce)").matches;
  }

  listen() {
    this.buttons.back.onclick = () => this.move(-1);
    this.buttons.forward.onclick = () => this.move(1);
    this.buttons.play.onclick = () => (this.timer ? this.pause() : this.play());
    this.scrubber.oninput = () => this.jump(Number(this.scrubber.value));
    this.pace.onchange = () => { this.speed = Number(this.pace.value); };
    this.root.onkeydown = (event) => this.key(event);
    this.observer = new ResizeObserver(() => this.drawPlots());
    this.observer.observe(this.root);
  }

  close() {
    this.pause();
    this.observer.disconnect();
  }

  key(event) {
    // The target itself is hidden by the shadow root; keys on buttons and the menu stay theirs.
    const target = event.composedPath()[0];
    const own = target === this.root || target === this.scrubber;
    if (!own || event.ctrlKey || event.metaKey || event.altKey) return;
    const actions = {
      " ": () => (this.timer ? this.pause() : this.play()),
      ArrowLeft: () => this.move(-1),
      ArrowRight: () => this.move(1),
      Home: () => this.jump(0),
      End: () => this.jump(this.last),
    };
    if (!actions[event.key]) return;
    event.preventDefault();
    actions[event.key]();
  }

  jump(frame) {
    this.pause();
    this.show(frame);
  }

  move(by) {
    this.jump(Math.min(this.last, Math.max(0, this.frame + by)));
  }

  // Show the end, then play once from the start, unless the visitor prefers reduced motion.
  open() {
    this.show(this.last);
    if (this.still || this.last === 0) this.pause();
    else this.play();
  }

  play() {
    if (this.frame === this.last) this.show(0);
    let due = performance.now();
    const tick = (now) => {
      const period = 1000 / (this.rate * this.speed);
      // One frame at most in each animation frame; the remainder keeps the mean rate right.
      if (now - due >= period) {
        due = now - ((now - due) % period);
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
    this.draw();
  }
}

// ---- Bars and curves ------------------------------------------------------------------------

const MARGIN = { left: 8, right: 8, top: 10, bottom: 26 };
const CURVE_POINTS = 160;

// The share of pixels in a bar that is cut off at the top, written beside its end.
function cutOff(x, box, share) {
  const beside = x < box.right - 60 ? { x: x + 6 } : { x: x - 30, "text-anchor": "end" };
  return svg("text", { ...beside, y: box.top + 10 }, `↑ ${Math.round(100 * share)} %`);
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

// ---- Paths of single values -----------------------------------------------------------------

// Paths of x on a log axis; or, where some have crossed zero, on two, x > 0 above x < 0.
// paths: ln|x|, and signs, [P][F], the first `heavy` of them drawn thicker; marks: [frame, label]
// below; colours: [above, below] zero; dot: radius of the mark at a crossing.
function drawPaths(plot, { paths, signs, crossed, range, zero, marks, colours, last, heavy = 0, dot = 4 }, k) {
  const box = frameOf(plot, 46);
  if (!box) return;
  const [low, high] = range;
  const px = (i) => box.left + (last ? i / last : 1) * box.width;
  const half = box.height / 2;
  const fraction = (y) => Math.max(0, (y - low) / (high - low));
  const py = crossed
    ? (y, sign) => box.top + half - sign * (0.06 + 0.94 * fraction(y)) * half
    : (y) => box.bottom - fraction(y) * box.height;
  const parts = [svg("path", { class: "axis", d: `M${box.left} ${box.top}V${box.bottom}H${box.right}` })];
  parts.push(...verticalTicks(low, high, box, py, crossed, zero));
  parts.push(...frameTicks(marks(box.width), last, box, px));
  paths.forEach((path, p) => {
    const style = { width: p < heavy ? 2.4 : 1.6, dot };
    parts.push(...onePath(path, signs[p], px, py, k, box.top + half, colours, style));
  });
  parts.push(svg("path", { class: "axis", d: `M${px(k)} ${box.top}V${box.bottom}` }));
  plot.replaceChildren(...parts);
}

// Smallest and largest of ln|x|, with a margin.
function rangeOf(values, slack = 0.06) {
  const low = Math.min(...values), high = Math.max(...values);
  const room = Math.max(0.3, (high - low) * slack);
  return [low - room, high + room];
}

function onePath(path, signs, px, py, k, zero, [above, below], { width, dot }) {
  const points = path.map((y, i) => [px(i), py(y, signs[i])]);
  const past = trace(points.slice(0, k + 1), signs, zero);
  const line = (d, stroke, more) => svg("path", { d, stroke, fill: "none", ...more });
  const both = ([over, under], more) => [line(over, above, more), line(under, below, more)];
  const [x, y] = points[k];
  return [
    ...both(trace(points, signs, zero).lines, { "stroke-opacity": 0.3 }),
    ...both(past.lines, { "stroke-width": width, "stroke-linejoin": "round" }),
    ...past.dots.map(([cx, cy]) => svg("circle", { cx, cy, r: dot, fill: below })),
    svg("circle", { cx: x, cy: y, r: 2.6, fill: signs[k] < 0 ? below : above }),
  ];
}

// A path's parts above and below x = 0, and the points where it crosses.
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

function verticalTicks(low, high, box, py, crossed, zero) {
  const marks = logTicks(low, high, crossed ? 3 : 6);
  const label = (at, text) => svg("text", { x: box.left - 6, y: at + 4, "text-anchor": "end" }, text);
  if (!crossed) return marks.map(([at, text]) => label(py(at, 1), text));
  const middle = (box.top + box.bottom) / 2;
  const apart = marks.filter(([at]) => middle - py(at, 1) > 18); // from the label of zero
  return [
    svg("path", { class: "zero", d: `M${box.left} ${middle}H${box.right}` }),
    label(middle, zero),
    ...apart.flatMap(([at, text]) => [label(py(at, 1), text), label(py(at, -1), `−${text}`)]),
  ];
}

// Frames from 0 to `last`, as many as have room for a label in `width` pixels.
function spreadOver(last, width) {
  const count = Math.max(2, Math.min(5, Math.floor(width / 80)));
  return [...new Set(Array.from({ length: count + 1 }, (_, i) => Math.round((i * last) / count)))];
}

function frameTicks(marks, last, box, px) {
  return marks.flatMap(([i, text]) => {
    const anchor = i === 0 ? "start" : i === last ? "end" : "middle";
    return tick(px(i), box, text, anchor);
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

function figure(content, ...caption) {
  return element("figure", {}, ...[content].flat(), element("figcaption", {}, ...caption));
}

function head(title, ...tools) {
  return element("div", { class: "head" }, element("span", {}, title), ...tools);
}

function number(label) {
  const value = element("b", {});
  const root = element("div", { class: "number" }, value, element("span", {}, label));
  return { root, say: (text) => { value.textContent = text; } };
}

function sentence(text) {
  return text[0].toUpperCase() + text.slice(1);
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

function patch(fill) {
  return svg("svg", { viewBox: "0 0 12 12", width: 12, height: 12, "aria-hidden": "true" },
    svg("rect", { width: 12, height: 12, fill, "fill-opacity": 0.75 }));
}
