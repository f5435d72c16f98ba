// Histograms of ln|x|, each with the density that it must follow. Comes after film.js.

const observers = new WeakMap();

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".player");
  observers.get(root)?.disconnect();
  const plots = data.distributions.map(({ title }) =>
    svg("svg", { class: "plot", role: "img", "aria-label": `${title}: histogram and density` }));
  root.replaceChildren(element("div", { class: "plots" }, ...data.distributions.map((one, i) =>
    figure([head(one.title), plots[i]],
      "Bars: the image’s pixels. ", swatch(one.colour, false), ` ${one.caption}`))));
  const draw = () => data.distributions.forEach((one, i) => drawHistogram(plots[i], one));
  const observer = new ResizeObserver(draw);
  observer.observe(root);
  observers.set(root, observer);
  return () => observer.disconnect();
}

function drawHistogram(plot, { range: [low, high], counts, total, density, colour }) {
  const box = frameOf(plot);
  if (!box) return;
  const width = (high - low) / counts.length;
  const bars = counts.map((n) => n / (total * width));
  const scale = Math.max(...density) * 1.3;
  const px = (v) => box.left + ((v - low) / (high - low)) * box.width;
  const py = (v) => box.bottom - Math.min(1, v / scale) * box.height;
  const parts = [svg("path", { d: barPath(bars, low, width, px, py, box.bottom), fill: colour, "fill-opacity": 0.35 })];
  parts.push(curve(density, low, high, px, py, colour, false));
  parts.push(svg("path", { class: "axis", d: `M${box.left} ${box.bottom}H${box.right}` }));
  for (const [at, text] of logTicks(low, high)) parts.push(...tick(px(at), box, text));
  plot.replaceChildren(...parts);
}
