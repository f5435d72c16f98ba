// A square to paint points on, by mouse or touch. Comes after film.js. A point is a cell [x₁, x₂]
// of `cells` × `cells`, counted from the corner where the axes meet.

const NEAR = 7; // smallest distance of two points of a stroke, in cells

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".point-canvas");
  if (!players.has(root)) players.set(root, new PointCanvas(root, data));
  const canvas = players.get(root);
  canvas.send = (code) => setTriggerValue("painted", code);
  canvas.show(data.points);
}

class PointCanvas {
  constructor(root, { cells, side, most, colour }) {
    Object.assign(this, { cells, most, points: [], strokes: [], code: "" });
    this.square = svg("svg", {
      viewBox: `0 0 ${cells} ${cells}`, role: "img", "aria-label": "Square to paint points on", "data-testid": "point-canvas",
    });
    this.dots = svg("g", { fill: colour });
    this.square.append(
      svg("path", { class: "zero", d: `M0 0V${cells}H${cells}` }),
      ...range(1, side - 0.5, 1).flatMap((v) => this.ticks(v, (v / side) * cells)), this.dots);
    this.undo = button("Undo the last stroke", "undo");
    this.clear = button("Clear", "clear");
    this.remark = element("span", { "data-testid": "point-canvas-count" });
    root.replaceChildren(this.square, element("div", { class: "controls" }, this.undo, this.clear, this.remark));
    this.listen();
  }

  ticks(label, at) {
    return [svg("text", { x: at, y: this.cells - 4, "text-anchor": "middle" }, `${label}`),
      svg("text", { x: 4, y: this.cells - at + 4 }, `${label}`)];
  }

  listen() {
    const { square } = this;
    square.onpointerdown = (event) => {
      if (event.button) return;
      square.setPointerCapture(event.pointerId);
      this.strokes.push(this.points.length);
      this.stroke = event.pointerId;
      this.add(event);
    };
    square.onpointermove = (event) => {
      if (this.stroke === event.pointerId) event.getCoalescedEvents().concat(event).forEach((one) => this.add(one));
    };
    square.onpointerup = square.onpointercancel = (event) => {
      if (this.stroke !== event.pointerId) return;
      this.stroke = undefined;
      this.finish();
    };
    this.undo.onclick = () => { this.points.length = this.strokes.pop() ?? 0; this.finish(); };
    this.clear.onclick = () => { this.points = []; this.strokes = []; this.finish(); };
  }

  add(event) {
    const box = this.square.getBoundingClientRect();
    const cell = (share) => Math.min(this.cells - 1, Math.max(0, Math.floor(share * this.cells)));
    const point = [cell((event.clientX - box.left) / box.width), cell((box.bottom - event.clientY) / box.height)];
    const last = this.points.at(-1);
    const near = last && this.points.length > this.strokes.at(-1) &&
      Math.hypot(point[0] - last[0], point[1] - last[1]) < NEAR;
    if (near || this.points.length >= this.most) return;
    this.points.push(point);
    this.draw();
  }

  // An empty square is not sent: without points there is no distribution to sample.
  finish() {
    this.draw();
    this.code = encode(this.points);
    if (this.points.length) this.send(this.code);
  }

  // Take over the points of the page, unless they come from here or a stroke is being painted.
  show(code) {
    if (code === this.code || this.stroke !== undefined) return;
    this.code = code;
    this.points = decode(code);
    this.strokes = [];
    this.draw();
  }

  draw() {
    const dots = this.points.map(([x, y]) => svg("circle", { cx: x + 0.5, cy: this.cells - y - 0.5, r: 3 }));
    this.dots.replaceChildren(...dots);
    const { length } = this.points;
    this.undo.disabled = this.clear.disabled = !length;
    this.remark.textContent = length ? `${length} of at most ${this.most} points` : "click or drag in the square";
  }
}

function encode(points) {
  return btoa(String.fromCharCode(...points.flat())).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

function decode(code) {
  const bytes = atob(code.replaceAll("-", "+").replaceAll("_", "/"));
  return Array.from({ length: bytes.length / 2 }, (_, i) => [bytes.charCodeAt(2 * i), bytes.charCodeAt(2 * i + 1)]);
}
