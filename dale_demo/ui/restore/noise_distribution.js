// Histograms of ln|x|, each with the law that it must follow. Comes after film.js.

const laws = new WeakMap();

export default function ({ data, parentElement }) {
  const root = parentElement.querySelector(".player");
  laws.get(root)?.disconnect();
  const plots = data.laws.map((law) =>
    svg("svg", { class: "plot", role: "img", "aria-label": `${law.title}: histogram and law` }));
  root.replaceChildren(element("div", { class: "plots" }, ...data.laws.map((law, i) =>
    figure([head(law.title), plots[i]],
      "Bars: the picture’s pixels. ", swatch(law.colour, false), ` ${law.caption}`))));
  const draw = () => data.laws.forEach((law, i) => drawLaw(plots[i], law));
  const observer = new ResizeObserver(draw);
  observer.observe(root);
  laws.set(root, observer);
  return () => observer.disconnect();
}

function drawLaw(plot, { range: [low, high], counts, total, density, colour }) {
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
