// A grid of pixels to paint on by mouse, finger or keyboard: a drawing in soft white strokes, or a
// mask over an image. Greys are sent both ways as two hex digits a pixel. The default export is called
// again on every rerun; a canvas with the same `id` is left as it is painted.

const canvases = new WeakMap();

export default function ({ data, parentElement, setStateValue }) {
  const root = parentElement.querySelector(".canvas");
  let canvas = canvases.get(root);
  if (!canvas) canvases.set(root, (canvas = new Canvas(root)));
  canvas.send = (ink) => setStateValue("painted", { id: data.id, ink });
  if (canvas.data?.id !== data.id) canvas.take(data);
}

class Canvas {
  constructor(root) {
    this.surface = document.createElement("canvas");
    this.surface.tabIndex = 0;
    this.surface.dataset.testid = "canvas";
    this.buttons = ["paint", "erase", "clear"].map((name) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = name;
      return button;
    });
    const tools = document.createElement("div");
    tools.className = "controls";
    tools.append(...this.buttons);
    root.replaceChildren(this.surface, tools);
    this.listen();
    this.choose(false);
  }

  listen() {
    const [paint, erase, clear] = this.buttons;
    paint.onclick = () => this.choose(false);
    erase.onclick = () => this.choose(true);
    clear.onclick = () => { this.ink.fill(0); this.finish(); };
    this.surface.onpointerdown = (event) => this.begin(event);
    this.surface.onpointermove = (event) => this.draws(event) && this.stroke(this.at(event));
    this.surface.onpointerup = this.surface.onpointercancel = (event) => this.draws(event) && this.finish();
    this.surface.onkeydown = (event) => this.key(event);
    this.surface.onfocus = this.surface.onblur = () => this.show();
  }

  take(data) {
    this.data = data;
    this.ink = bytes(data.ink, data.size);
    this.ground = bytes(data.ground, data.size);
    this.cursor = [data.size / 2, data.size / 2];
    this.surface.width = this.surface.height = data.size;
    this.surface.setAttribute("role", "application");
    this.surface.setAttribute("aria-label", `${data.label}: paint with the pointer, or with arrow keys and space`);
    this.show();
  }

  choose(erasing) {
    this.erasing = erasing;
    this.buttons.slice(0, 2).forEach((b, i) => b.setAttribute("aria-pressed", Boolean(i) === erasing));
  }

  // One pointer draws at a time: a second finger, or another button of the mouse, is left alone.
  draws(event) {
    return this.last && event.pointerId === this.pointer;
  }

  begin(event) {
    event.preventDefault();
    if (this.last || event.button) return;
    this.pointer = event.pointerId;
    this.surface.focus({ focusVisible: false });
    this.surface.setPointerCapture(event.pointerId);
    this.last = this.at(event);
    this.stroke(this.last);
  }

  // Where the pointer is, in pixels of the image.
  at(event) {
    const box = this.surface.getBoundingClientRect();
    const scale = this.data.size / box.width;
    return [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
  }

  stroke([x, y]) {
    const [x0, y0] = this.last;
    const dots = Math.max(1, Math.ceil(Math.hypot(x - x0, y - y0) / 0.3));
    for (let i = 1; i <= dots; i++) this.dot(x0 + ((x - x0) * i) / dots, y0 + ((y - y0) * i) / dots);
    this.last = [x, y];
    this.show();
  }

  dot(x, y) {
    const { size, mask } = this.data;
    for (let row = 0; row < size; row++) {
      for (let column = 0; column < size; column++) {
        const distance = Math.hypot(column + 0.5 - x, row + 0.5 - y);
        const soft = Math.min(1, Math.max(0, 1.75 - distance));
        const strength = mask ? Number(distance < 1.8) : soft;
        const at = row * size + column;
        if (this.erasing) this.ink[at] = Math.min(this.ink[at], 255 * (1 - strength));
        else this.ink[at] = Math.max(this.ink[at], 255 * strength);
      }
    }
  }

  finish() {
    this.last = undefined;
    this.show();
    this.send(Array.from(this.ink, (v) => v.toString(16).padStart(2, "0")).join(""));
  }

  key(event) {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    const move = moves[event.key];
    if (!move && event.key !== " ") return;
    event.preventDefault();
    if (move) this.cursor = this.cursor.map((v, i) => Math.min(this.data.size - 0.5, Math.max(0.5, v + move[i])));
    else { this.dot(...this.cursor); this.finish(); }
    this.show();
  }

  show() {
    const { size, mask, colour } = this.data;
    const context = this.surface.getContext("2d");
    const image = context.createImageData(size, size);
    const tint = [1, 3, 5].map((i) => parseInt(colour.slice(i, i + 2), 16));
    for (let at = 0; at < size * size; at++) {
      const grey = mask ? this.ground[at] : this.ink[at];
      const covered = mask && this.ink[at] > 127;
      for (let c = 0; c < 3; c++) image.data[4 * at + c] = covered ? 0.75 * tint[c] + 0.25 * grey : grey;
      image.data[4 * at + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    if (this.surface.matches(":focus-visible")) {
      context.strokeStyle = colour;
      context.strokeRect(this.cursor[0] - 1, this.cursor[1] - 1, 2, 2);
    }
  }
}

function bytes(hex, size) {
  const values = new Uint8Array(size * size);
  for (let i = 0; i < values.length; i++) values[i] = parseInt(hex.slice(2 * i, 2 * i + 2), 16) || 0;
  return values;
}
