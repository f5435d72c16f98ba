// Exact density and score of the noised data: a mixture of normal kernels in y = ln x, all of one
// variance v = b² + s². `means` holds [a₁, a₂] of each kernel, one after the other.

// The density of y on a grid [G × G], row by row from the bottom; `ys` holds its G coordinates.
// A kernel is a product over the axes, so G exponentials for each axis are enough, not G².
function densityOn(ys, means, variance) {
  const [along, up] = [0, 1].map((axis) => kernelRows(ys, means, axis, variance));
  const size = ys.length, count = means.length / 2;
  const scale = 1 / (count * 2 * Math.PI * variance);
  const density = new Float64Array(size * size);
  for (let k = 0; k < count; k++) {
    const row = along.subarray(k * size, (k + 1) * size);
    for (let j = 0; j < size; j++) {
      const weight = up[k * size + j] * scale;
      if (weight < 1e-12) continue;
      for (let i = 0; i < size; i++) density[j * size + i] += weight * row[i];
    }
  }
  return density;
}

function kernelRows(ys, means, axis, variance) {
  const size = ys.length, count = means.length / 2;
  const rows = new Float64Array(count * size);
  for (let k = 0; k < count; k++)
    for (let i = 0; i < size; i++)
      rows[k * size + i] = Math.exp(-0.5 * (ys[i] - means[2 * k + axis]) ** 2 / variance);
  return rows;
}

// The Hyvärinen score h = ∇ ln p(y) − 1 at one point. Weights are relative to the largest so far,
// so that the score is right even where every kernel underflows to 0.
function hyvarinenAt(y1, y2, means, variance) {
  let most = -Infinity, sum = 0, g1 = 0, g2 = 0;
  for (let k = 0; k < means.length; k += 2) {
    const d1 = means[k] - y1, d2 = means[k + 1] - y2;
    const log = (-0.5 * (d1 * d1 + d2 * d2)) / variance;
    if (log > most) {
      const fade = Math.exp(most - log);
      [sum, g1, g2, most] = [sum * fade, g1 * fade, g2 * fade, log];
    }
    const weight = Math.exp(log - most);
    sum += weight;
    g1 += weight * d1;
    g2 += weight * d2;
  }
  return [g1 / sum / variance - 1, g2 / sum / variance - 1];
}

// Densities whose contours contain the given shares of all mass; null for contours that leave the
// grid. `cell` is the area of a cell in the measure of the density.
function levelsOf(density, cell, shares) {
  const sorted = Float64Array.from(density).sort().reverse();
  let mass = 0, at = 0;
  return shares.map((share) => {
    while (at < sorted.length && mass < share) mass += sorted[at++] * cell;
    return mass < share ? null : sorted[at - 1];
  });
}

// Segments [x, y, x', y'] of the contour at `level`, in units of cells, by marching squares.
function contour(density, size, level) {
  const segments = [];
  for (let j = 0; j < size - 1; j++) {
    for (let i = 0; i < size - 1; i++) {
      const at = j * size + i;
      const corners = [density[at], density[at + 1], density[at + size + 1], density[at + size]];
      const inside = corners.map((v) => v > level);
      if (inside.every((v) => v === inside[0])) continue;
      const cuts = EDGES.filter(([a, b]) => inside[a] !== inside[b]).map(([a, b]) => {
        const f = (level - corners[a]) / (corners[b] - corners[a]);
        const [[xa, ya], [xb, yb]] = [CORNERS[a], CORNERS[b]];
        return [i + xa + f * (xb - xa), j + ya + f * (yb - ya)];
      });
      for (let c = 0; c + 1 < cuts.length; c += 2) segments.push([...cuts[c], ...cuts[c + 1]]);
    }
  }
  return segments;
}

const CORNERS = [[0, 0], [1, 0], [1, 1], [0, 1]];
const EDGES = [[0, 1], [1, 2], [2, 3], [3, 0]];
