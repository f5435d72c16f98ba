// Player of a training: for each learning rule its numbers, the histogram of its weights and the
// paths of some; for all rules their accuracy or loss. Comes after film.js. The default export is
// called on every rerun: added frames of the same run are played on, another run starts anew.

export default function ({ data, parentElement, setTriggerValue }) {
  const root = parentElement.querySelector(".player");
  const before = players.get(root);
  if (before?.data.run === data.run) before.update(data);
  else {
    before?.close();
    players.set(root, new Training(root, data));
  }
  if (data.beat !== null) players.get(root).ask(data.beat, () => setTriggerValue("more", data.beat));
  return () => players.get(root).close();
}

const POLL = 30;

class Training extends Film {
  constructor(root, data) {
    super(root, data.steps.length - 1);
    this.song = false;
    this.take(data);
    this.build();
    this.listen();
    this.open();
  }

  take(data) {
    this.data = data;
    this.tops = data.rules.map((rule) => topOf(rule));
    this.crossed = data.rules.some((rule) => rule.flips.at(-1) > 0);
    this.pathRange = pathRange(data.rules);
  }

  // Take more frames of the same run: play on if the last frame was shown.
  update(data) {
    const more = data.steps.length - 1 > this.last;
    const following = this.frame === this.last;
    this.take(data);
    this.lengthen(data.steps.length - 1);
    if (!more) return this.show(this.frame);
    if (!following || this.timer) return this.show(this.frame);
    if (this.still) this.show(this.last);
    else this.play();
  }

  // Ask for more once per beat, when the page's script has ended: a request during a script would
  // interrupt it.
  ask(beat, send) {
    if (this.asked === beat) return;
    this.asked = beat;
    const app = document.querySelector("[data-test-script-state]");
    const look = () => {
      if (this.asked !== beat) return;
      if (app?.dataset.testScriptState === "running") this.waiting = setTimeout(look, POLL);
      else send();
    };
    this.waiting = setTimeout(look, POLL);
  }

  close() {
    clearTimeout(this.waiting);
    super.close();
  }

  build() {
    this.toggle = button("Overlay of Song et al. (2005)", "Song et al. 2005");
    this.panels = this.data.rules.map((rule) => rulePanel(rule, this.data));
    this.measurePlot = plot("Test accuracy or loss over training");
    this.sharePlot = plot("Share of weight on relevant inputs over training");
    const { measure, rules } = this.data;
    const plots = [figure([head(sentence(measure.label)), this.measurePlot], measureCaption(measure))];
    if (rules[0].share.at(-1) !== null) {
      plots.push(figure([head("Share of |w| on relevant inputs"), this.sharePlot],
        "How much of all synaptic strength is on inputs that matter; the rest only adds noise."));
    }
    this.root.replaceChildren(
      element("div", { class: "bar" }, this.controls, this.readout),
      element("div", { class: "rules" }, ...this.panels.map((panel) => panel.root)),
      this.legend(),
      element("div", { class: "plots" }, ...plots),
    );
  }

  legend() {
    const { above, below, theory } = this.data.colours;
    return element("div", { class: "legend" },
      element("span", {}, patch(above), "excitatory, w > 0"),
      element("span", {}, patch(below), "inhibitory, w < 0"),
      element("span", {}, swatch("currentColor", false), "log-normal fit"),
      element("span", {}, swatch(theory, true), "normal fit"),
      this.toggle);
  }

  listen() {
    super.listen();
    this.toggle.onclick = () => { this.song = !this.song; this.drawPlots(); };
  }

  draw() {
    const { steps, epochs, planned } = this.data;
    const k = this.frame;
    this.readout.textContent =
      `Update ${steps[k].toLocaleString("en")} of ${planned.toLocaleString("en")} · ` +
      `epoch ${Number(epochs[k].toPrecision(3))}`;
    this.panels.forEach((panel, i) => panel.tell(this.data.rules[i], k));
    this.drawPlots();
  }

  drawPlots() {
    const { data, frame: k } = this;
    this.toggle.setAttribute("aria-pressed", this.song);
    this.panels.forEach((panel, i) => {
      const top = this.song ? Math.max(this.tops[i], songTop(data)) : this.tops[i];
      drawWeights(panel.weights, data, data.rules[i], k, top, this.song);
      drawPaths(panel.paths, pathsOf(data, data.rules[i], this.crossed, this.pathRange), k);
    });
    drawSeries(this.measurePlot, data, "measure", measureAxis(data), k);
    drawSeries(this.sharePlot, data, "share", shareAxis([0, 1]), k);
  }
}

// ---- One rule -------------------------------------------------------------------------------

function rulePanel(rule, { measure, relevant }) {
  const weights = svg("svg", { class: "weights", role: "img", "aria-label": `Histogram of the weights, ${rule.name}` });
  const paths = svg("svg", { class: "paths", role: "img", "aria-label": `Paths of single weights, ${rule.name}` });
  const some = `${rule.paths.length} weights over training`;
  const pathsCaption = relevant ? `${some}; thick: on relevant inputs.` : `${some}.`;
  const [score, flips, share] = [number(measure.label), number("sign flips"), number("on relevant inputs")];
  const origin = rule.searched ? "best of search" : "given";
  const images = element("canvas", { role: "img", "aria-label": `Images that the network draws, ${rule.name}` });
  const drawn = rule.images ? [figure([images], "The digits 0 to 9, as the network draws them so far.")] : [];
  const numbers = [score, flips, ...(rule.share.at(-1) === null ? [] : [share])];
  flips.root.dataset.testid = "flips";
  const root = element("div", { class: "rule", style: `border-color: ${rule.colour}` },
    element("div", { class: "name" }, sentence(rule.name),
      element("span", {}, `η = ${Number(rule.rate.toPrecision(3))}, ${origin}`)),
    element("div", { class: "numbers" }, ...numbers.map((one) => one.root)),
    ...drawn,
    figure([weights], "Weights by size |w|, as shares of all."),
    figure([paths], pathsCaption));
  const tell = (now, k) => {
    score.say(scoreText(now.measure[k], measure.kind));
    flips.say(now.flips[k].toLocaleString("en"));
    share.say(now.share[k] === null ? "" : percent(now.share[k]));
    if (now.images) drawImages(images, now.images, k);
  };
  return { root, weights, paths, tell };
}

// ---- Images that a network draws -------------------------------------------------------------

const IMAGES_IN_A_ROW = 5;

// Each byte of a frame has two pixels of 16 levels of grey, image after image, row after row.
function drawImages(canvas, { count, height, width, frames }, k) {
  const columns = Math.min(count, IMAGES_IN_A_ROW);
  canvas.width = columns * width;
  canvas.height = Math.ceil(count / columns) * height;
  const sheet = new ImageData(canvas.width, canvas.height);
  const bytes = atob(frames[k]);
  for (let i = 0; i < 2 * bytes.length; i++) {
    const image = Math.floor(i / (height * width));
    const x = (image % columns) * width + (i % width);
    const y = Math.floor(image / columns) * height + (Math.floor(i / width) % height);
    const byte = bytes.charCodeAt(i >> 1);
    const grey = 17 * (i % 2 ? byte & 15 : byte >> 4);
    sheet.data.set([grey, grey, grey, 255], 4 * (y * canvas.width + x));
  }
  canvas.getContext("2d").putImageData(sheet, 0, 0);
}

// ---- Histogram of the weights ---------------------------------------------------------------

// Positive weights are drawn above the middle line, negative ones below; each bar is a share of all
// weights. `top` is the share at full height; a higher bar is cut and labelled with its share.
function drawWeights(plot, data, rule, k, top, song) {
  const box = frameOf(plot);
  if (!box) return;
  const [low, high] = data.bins;
  const counts = rule.counts[k];
  const total = counts.flat().reduce((sum, n) => sum + n, 0);
  const width = (high - low) / counts[0].length;
  const middle = box.top + box.height / 2;
  const px = (v) => box.left + ((v - low) / (high - low)) * box.width;
  const py = (sign) => (v) => middle - sign * Math.min(1, v / top) * (box.height / 2);
  const parts = [];
  [[1, data.colours.above], [-1, data.colours.below]].forEach(([sign, fill], side) => {
    const bars = counts[side].map((n) => n / total);
    parts.push(svg("path", { d: barPath(bars, low, width, px, py(sign), middle), fill, "fill-opacity": 0.75 }));
    const spike = bars.indexOf(Math.max(...bars));
    if (bars[spike] > top * 1.001) {
      const at = { ...box, top: sign > 0 ? box.top : box.bottom - 14 };
      parts.push(cutOff(px(low + (spike + 1) * width), at, bars[spike]));
    }
  });
  parts.push(...fittedCurves(data, rule, k, { low, high, width, px, py, share: sum(counts[0]) / total }, song));
  parts.push(svg("path", { class: "zero", d: `M${box.left} ${middle}H${box.right}` }));
  for (const [at, text] of logTicks(low, high, Math.floor(box.width / 48))) parts.push(...tick(px(at), box, text));
  plot.replaceChildren(...parts);
}

function fittedCurves(data, rule, k, { low, high, width, px, py, share }, song) {
  const grid = Array.from({ length: CURVE_POINTS + 1 }, (_, i) => low + ((high - low) * i) / CURVE_POINTS);
  const parts = [];
  const both = (density, stroke, dashed) => {
    for (const sign of [1, -1])
      parts.push(curve(grid.map((y) => width * density(y, sign)), low, high, px, py(sign), stroke, dashed));
  };
  const part = (sign) => (sign > 0 ? share : 1 - share);
  const [mean, std] = rule.fits.normal[k];
  if (mean !== null) both((y, sign) => Math.exp(y) * normal(sign * Math.exp(y), mean, std), data.colours.theory, true);
  const [logMean, logStd] = rule.fits["log-normal"][k];
  if (logMean === null) return parts;
  both((y, sign) => part(sign) * normal(y, logMean, logStd), "currentColor", false);
  if (song) both((y, sign) => part(sign) * normal(y, logMean, data.songStd), rule.colour, false);
  return parts;
}

// Share in a bin at the peak of the distribution of Song et al., if all weights had one sign.
function songTop({ bins: [low, high], rules, songStd }) {
  return (1.05 * normal(0, 0, songStd) * (high - low)) / rules[0].counts[0][0].length;
}

// Share at which bars are cut: the fourth highest bar late in the run, with some room. Equal weights
// fill one bin at the start, which would make all other bars invisible.
function topOf(rule) {
  const late = rule.counts.slice(Math.floor(rule.counts.length / 2));
  const peaks = late.map((counts) => {
    const bars = counts.flat().sort((a, b) => b - a);
    return bars[Math.min(3, bars.filter((n) => n).length - 1)] / sum(bars);
  });
  return 1.25 * Math.max(...peaks);
}

// ---- Paths of single weights ----------------------------------------------------------------

function pathsOf(data, rule, crossed, range) {
  const last = data.steps.length - 1;
  return {
    paths: rule.paths, signs: rule.signs, crossed, range, last,
    zero: "w = 0",
    marks: (width) => epochMarks(data, width),
    colours: [data.colours.above, data.colours.below],
    heavy: data.relevant,
    dot: 2.5,
  };
}

const MOST_DECADES = 10;

function pathRange(rules) {
  const [low, high] = rangeOf(rules.flatMap((rule) => rule.paths.flat()));
  return [Math.max(low, high - MOST_DECADES * Math.LN10), high];
}

// ---- All rules over training ----------------------------------------------------------------

// axis: { low, high, at: value → [0, 1], ticks: [value, label] }
function drawSeries(plot, data, field, axis, k) {
  const box = frameOf(plot, 46);
  if (!box) return;
  const last = data.steps.length - 1;
  const px = (i) => box.left + (last ? i / last : 1) * box.width;
  const py = (v) => box.bottom - Math.min(1, Math.max(0, axis.at(v))) * box.height;
  const parts = [svg("path", { class: "axis", d: `M${box.left} ${box.top}V${box.bottom}H${box.right}` })];
  for (const [value, label] of axis.ticks)
    parts.push(svg("text", { x: box.left - 6, y: py(value) + 4, "text-anchor": "end" }, label));
  parts.push(...frameTicks(epochMarks(data, box.width), last, box, px));
  for (const rule of data.rules) {
    const points = rule[field].map((v, i) => (v === null ? null : `${px(i).toFixed(1)} ${py(v).toFixed(1)}`));
    const line = (some, more) => svg("path", {
      d: `M${some.filter(Boolean).join("L")}`, stroke: rule.colour, fill: "none", "stroke-linejoin": "round", ...more,
    });
    if (!points[k]) continue;
    parts.push(line(points, { "stroke-opacity": 0.3, "stroke-width": 2 }), line(points.slice(0, k + 1), { "stroke-width": 3 }));
    const [cx, cy] = points[k].split(" ");
    parts.push(svg("circle", { cx, cy, r: 4, fill: rule.colour }));
  }
  parts.push(svg("path", { class: "axis", d: `M${px(k)} ${box.top}V${box.bottom}` }));
  plot.replaceChildren(...parts);
}

// At whole epochs, if enough frames are at whole epochs.
function epochMarks({ epochs }, width) {
  const all = [...epochs.keys()];
  const whole = all.filter((i) => Number.isInteger(epochs[i]));
  const among = whole.length > 2 ? whole : all;
  return spreadOver(among.length - 1, width).map((j) => among[j])
    .map((i) => [i, i === 0 ? "epoch 0" : `${Number(epochs[i].toPrecision(3))}`]);
}

function measureAxis({ measure, rules }) {
  if (measure.kind === "held out") return lossAxis(rules.map((rule) => rule.measure));
  const all = rules.flatMap((rule) => rule.measure).filter((v) => v !== null);
  const low = Math.min(...all), high = Math.max(...all);
  if (measure.kind === "share") return shareAxis([Math.floor(low * 10) / 10, 1]);
  if (measure.kind === "sum") return { at: (v) => v / (high * 1.05), ticks: linearTicks(0, high) };
  const [from, to] = rangeOf(all.map((v) => Math.log(v)));
  const ticks = logTicks(from, to).map(([at, label]) => [Math.exp(at), label]);
  return { at: (v) => (Math.log(v) - from) / (to - from), ticks };
}

// Without the first tenth of a run: it gains so much that what rules differ by would be invisible.
function lossAxis(losses) {
  const late = losses.flatMap((values) => values.slice(Math.floor(values.length / 10)));
  const low = Math.min(...late), high = Math.max(...late);
  const room = Math.max(0.01, 0.06 * (high - low));
  const from = low - room, to = high + room;
  const ticks = linearTicks(from, to).filter(([v]) => v >= from);
  return { at: (v) => (v - from) / (to - from), ticks };
}

function shareAxis([low, high]) {
  const ticks = range(0, high, 0.1).filter((v, i) => v >= low && (high - low < 0.6 || i % 2 === 0));
  return { at: (v) => (v - low) / (high - low), ticks: ticks.map((v) => [v, `${Math.round(100 * v)} %`]) };
}

function measureCaption({ kind }) {
  return {
    share: "Share of test examples, never trained on, that are answered correctly.",
    sum: "Squared errors of all examples so far, each before it was learned: lower is better.",
    "held out": "Multiplicative denoising score matching on images never trained on, every noise level counting alike: lower is better. What lies above the plot, early in the run, is cut off.",
    log: "Mean squared error on the training examples; nothing can generalise here, so only the fit counts.",
  }[kind];
}

// ---- Numbers as text ----------------------------------------------------------------------------------

function scoreText(value, kind) {
  if (kind === "share") return percent(value);
  if (kind === "held out") return value.toPrecision(3);
  return value >= 100 ? Math.round(value).toLocaleString("en") : `${Number(value.toPrecision(2))}`;
}

function percent(share) {
  return `${(100 * share).toFixed(1)} %`;
}

function sum(values) {
  return values.reduce((total, v) => total + v, 0);
}

function plot(label) {
  return svg("svg", { class: "plot", role: "img", "aria-label": label });
}
