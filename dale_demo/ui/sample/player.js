// Plays one trajectory: three image canvases, a scrubber, a histogram of the pixels, and their paths.
// The default export is called again on every rerun, so what belongs to one place on the page is
// kept by its element, and the same trajectory is left as it stands. Comes after film.js.

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".player");
  const { header, sprites } = unpack(data);
  const before = players.get(root);
  if (before?.id !== header.id) {
    before?.close();
    players.set(root, new Player(root, header, sprites));
  }
  return () => players.get(root).close();
}

function unpack(data) {
  const { header, rest } = openBlob(data);
  let offset = 0;
  const sprites = header.sprites.map((part) =>
    part.map((size) => new Blob([rest.slice(offset, (offset += size))], { type: "image/jpeg" })),
  );
  return { header, sprites };
}

class Player extends Film {
  constructor(root, header, sprites) {
    super(root, header.levels.length - 1);
    this.id = header.id;
    this.header = header;
    this.axis = "log";
    this.build();
    this.listen();
    Promise.all(sprites.map((part) => Promise.all(part.map((blob) => createImageBitmap(blob))))).then(
      (bitmaps) => {
        if (players.get(root) !== this) return; // another trajectory has come meanwhile
        this.bitmaps = bitmaps;
        this.open();
      },
    );
  }

  build() {
    const { header } = this;
    const label = header.labels.length ? `Images of ${header.labels.join(", ")}` : "Images";
    this.state = canvas("player-state", header, `${label}: the noisy state`);
    this.estimate = canvas("player-estimate", header, `${label}: the estimate`);
    this.score = canvas("player-score", header, `${label}: the score`);
    this.axes = ["log", "linear"].map((name) => button(`${name} axis`, name));
    this.histogram = svg("svg", { class: "plot", role: "img", "aria-label": "Histogram of the state" });
    this.paths = svg("svg", { class: "plot", role: "img", "aria-label": "Paths of single pixels" });
    this.root.replaceChildren(
      element("div", { class: "images" },
        figure(this.state, bold("state x"), ", exposure follows the noise"),
        figure(this.estimate, bold("estimate exp D"), ", what the network predicts"),
        figure(this.score, ...this.scoreCaption())),
      this.controls,
      this.readout,
      element("div", { class: "plots" },
        figure([head("Distribution of the pixel values x", ...this.axes), this.histogram], ...this.histogramCaption()),
        figure([head("Paths of single pixels"), this.paths], this.pathsCaption())),
    );
  }

  scoreCaption() {
    const { reach, colours } = this.header;
    return [
      bold("score h"), `, drawn as s (1 + h), from −${reach} `, patch(colours.below),
      `, where x should shrink, to ${reach} `, patch(colours.above),
      ", where it should grow (at s = 0 the last one)",
    ];
  }

  histogramCaption() {
    const { state, theory } = this.header.colours;
    return [
      "Bars: all pixels of the state. ", swatch(state, false), " log-normal fitted to them. ",
      swatch(theory, true), " the forward process at this noise level.",
    ];
  }

  pathsCaption() {
    return this.crossed
      ? "Above the middle line x > 0, below it x < 0, both on log scales. A dot marks a change " +
          "of sign; half of the pixels are picked from those that cross."
      : "On a log axis x = 0 is infinitely far down: a product of positive factors never " +
          "reaches it.";
  }

  get crossed() {
    return this.header.crossings[this.last] > 0;
  }

  listen() {
    super.listen();
    this.axes.forEach((b, i) => {
      b.onclick = () => { this.axis = ["log", "linear"][i]; this.drawPlots(); };
    });
  }

  draw() {
    if (this.bitmaps) {
      this.paint(this.state, this.bitmaps[0]);
      this.paint(this.estimate, this.bitmaps[1]);
      this.paint(this.score, this.bitmaps[2]);
      colour(this.score, this.header.colours);
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
    const { levels, score_evaluations: evaluations, crossings, fitted } = this.header;
    const k = this.frame;
    const signs = crossings[k] === 1 ? "1 sign changed" : `${crossings[k].toLocaleString("en")} signs changed`;
    this.readout.textContent =
      `Frame ${k} of ${this.last} · noise level s = ${short(levels[k])} · ` +
      `spread of ln x ${short(fitted[k][1])} · ${evaluations[k]} score evaluations · ${signs}`;
  }

  drawPlots() {
    this.axes.forEach((b, i) => b.setAttribute("aria-pressed", this.axis === ["log", "linear"][i]));
    drawHistogram(this.histogram, this.header, this.frame, this.axis);
    drawPaths(this.paths, pathsOf(this.header, this.crossed), this.frame);
  }
}

// ---- The score --------------------------------------------------------------------------------

// Colour a grey picture, like `frames.diverging`: 128 is black, 255 warm and 1 cool.
function colour(canvas, { above, below }) {
  const context = canvas.getContext("2d");
  const picture = context.getImageData(0, 0, canvas.width, canvas.height);
  const [warm, cool] = [above, below].map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  for (let i = 0; i < picture.data.length; i += 4) {
    const share = (picture.data[i] - 128) / 127;
    const end = share > 0 ? warm : cool;
    for (let c = 0; c < 3; c++) picture.data[i + c] = Math.abs(share) * end[c];
  }
  context.putImageData(picture, 0, 0);
}

// ---- The distribution of the pixel values ---------------------------------------------------

function drawHistogram(plot, header, k, axis) {
  const box = frameOf(plot);
  if (!box) return;
  const [low, high] = header[axis].range[k];
  const counts = header[axis].counts[k];
  const width = (high - low) / counts.length;
  const bars = counts.map((n) => n / (header.count * width));
  const densities = [header.theory[k], header.fitted[k]].map(([mean, std]) => densityOf(axis, mean, std, low, high));
  // A spike (the black background at the end) is cut off, so that the curves stay readable.
  const top = Math.min(Math.max(...bars), 2.5 * Math.max(...densities.flat())) || Math.max(...densities.flat());
  const scale = Math.max(top, ...densities.flat()) * 1.05;
  const px = (v) => box.left + ((v - low) / (high - low)) * box.width;
  const py = (v) => box.bottom - Math.min(1, v / scale) * box.height;
  const parts = [svg("path", { d: barPath(bars, low, width, px, py, box.bottom), fill: header.colours.state, "fill-opacity": 0.35 })];
  parts.push(curve(densities[0], low, high, px, py, header.colours.theory, true));
  parts.push(curve(densities[1], low, high, px, py, header.colours.state, false));
  parts.push(svg("path", { class: "axis", d: `M${box.left} ${box.bottom}H${box.right}` }));
  const ticks = axis === "log" ? logTicks(low, high) : linearTicks(low, high);
  for (const [at, text] of ticks) parts.push(...tick(px(at), box, text));
  const spike = bars.findIndex((v) => v > scale * 1.001);
  if (spike >= 0) parts.push(cutOff(px(low + (spike + 1) * width), box, counts[spike] / header.count));
  plot.replaceChildren(...parts);
}

function densityOf(axis, mean, std, low, high) {
  return Array.from({ length: CURVE_POINTS + 1 }, (_, i) => {
    const v = low + ((high - low) * i) / CURVE_POINTS;
    if (axis === "log") return normal(v, mean, std);
    return v > 0 ? normal(Math.log(v), mean, std) / v : 0;
  });
}

// ---- Paths of single pixels -----------------------------------------------------------------

function pathsOf({ levels, paths, signs, colours }, crossed) {
  return {
    paths, signs, crossed,
    last: levels.length - 1,
    range: rangeOf(paths.flat()),
    zero: "x = 0",
    marks: (width) => noiseMarks(levels, width),
    colours: [colours.state, colours.below],
  };
}

function noiseMarks(levels, width) {
  return spreadOver(levels.length - 1, width)
    .map((i) => [i, i === 0 ? `s = ${short(levels[i])}` : short(levels[i])]);
}

// ---- Elements -------------------------------------------------------------------------------

function canvas(testid, { width, height }, label) {
  return element("canvas", { width, height, role: "img", "aria-label": label, "data-testid": testid });
}
