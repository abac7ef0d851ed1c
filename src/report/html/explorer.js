"use strict";
// Predicts mixtures in the page, with the model of `admire predict` and by the same formulas (docs/math.md).
{
const page = JSON.parse(document.getElementById("explorer-data").textContent);

// Numbers.

// The sum of products of the `count` numbers from `a[from]` and `b[other]` on. Of four sums, none waits for another.
function along(a, from, b, other, count) {
  let first = 0, second = 0, third = 0, fourth = 0, i = from, j = other;
  for (const end = from + count - 3; i < end; i += 4, j += 4) {
    first += a[i] * b[j];
    second += a[i + 1] * b[j + 1];
    third += a[i + 2] * b[j + 2];
    fourth += a[i + 3] * b[j + 3];
  }
  for (const end = from + count; i < end; i++, j++) first += a[i] * b[j];
  return (first + second) + (third + fourth);
}
const dot = (a, b) => along(a, 0, b, 0, a.length);
const total = values => values.reduce((sum, value) => sum + value, 0);
const average = values => total(values) / values.length;

// The Cholesky factor of a symmetric matrix, both as their lower triangles row by row; null if it is not positive definite.
function cholesky(a, n) {
  for (let i = 0, row = 0; i < n; row += ++i) {
    for (let j = 0, other = 0; j <= i; other += ++j) {
      const value = a[row + j] - along(a, row, a, other, j);
      if (i === j && !(value > 0 && value < Infinity)) return null;
      a[row + j] = i === j ? Math.sqrt(value) : value / a[other + j];
    }
  }
  return a;
}

// Solves L x = b.
function whiten(lower, b) {
  const x = new Float64Array(b);
  for (let i = 0, row = 0; i < x.length; row += ++i) {
    x[i] = (x[i] - along(lower, row, x, 0, i)) / lower[row + i];
  }
  return x;
}

// The standard normal distribution function (Marsaglia 2004).
function distribution(x) {
  if (Math.abs(x) > 8) return x > 0 ? 1 : 0;
  let sum = x, term = x;
  for (let k = 3; sum + term !== sum; k += 2) sum += term *= x * x / k;
  return 0.5 + sum * Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
}

const density = x => Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);

// Positive nodes of the Gauss-Legendre rule with eight nodes, and their weights.
const RULE = [[0.1834346424956498, 0.362683783378362], [0.525532409916329, 0.3137066458778873],
  [0.7966664774136267, 0.2223810344533745], [0.9602898564975363, 0.1012285362903763]];

// Mean and variance of the largest of independent normal variables, and the probability of each that it is the largest.
function largest(variables) {
  const origin = Math.max(...variables.map(({mean}) => mean));
  const least = 1e-6 * Math.max(...variables.map(({variance}) => Math.sqrt(variance)));
  const all = variables.map(({mean, variance}, k) => ({k, mean: mean - origin, sd: Math.max(Math.sqrt(variance), least)}));
  const low = Math.max(...all.map(({mean, sd}) => mean - 7 * sd)), high = Math.max(...all.map(({mean, sd}) => mean + 7 * sd));
  const able = all.filter(({mean, sd}) => mean + 7 * sd >= low), probability = variables.map(() => 0);
  if (able.length === 1) {
    probability[able[0].k] = 1;
    return {mean: origin, variance: variables[able[0].k].variance, probability};
  }
  let mean = 0, square = 0;
  for (let from = low; from < high;) {
    const within = able.filter(variable => from < variable.mean + 7 * variable.sd);
    const length = Math.min(high - from, ...within.map(({sd}) => 2 * sd));
    for (const [node, weight] of RULE.flatMap(([node, weight]) => [[-node, weight], [node, weight]])) {
      const x = from + 0.5 * length * (1 + node);
      const below = able.map(({mean, sd}) => distribution((x - mean) / sd));
      able.forEach((variable, i) => {
        let share = 0.5 * length * weight * density((x - variable.mean) / variable.sd) / variable.sd;
        for (let other = 0; other < able.length; other++) if (other !== i) share *= below[other];
        probability[variable.k] += share;
        mean += share * x;
        square += share * x * x;
      });
    }
    from += length;
  }
  return {mean: origin + mean, variance: Math.max(square - mean * mean, 0), probability};
}

// Scales of metrics: the value at a place, and mean and slope of the value whose place is normal.

const VALUE = {identity: x => x, logarithm: Math.exp, logit: x => 1 / (1 + Math.exp(-x))};
const SLOPE = {identity: () => 1, logarithm: value => value, logit: value => value * (1 - value)};

function moments(scale, mean, variance) {
  if (scale === "identity" || variance < 1e-12) {
    const value = VALUE[scale](mean);
    return {mean: value, slope: SLOPE[scale](value)};
  }
  if (scale === "logarithm") {
    variance = Math.min(variance, 1);
    const value = Math.exp(mean + 0.5 * variance);
    return {mean: value, slope: value * Math.sqrt(Math.expm1(variance) / variance)};
  }
  const places = Array.from({length: 33}, (_, i) => 0.5 * (i - 16));
  const weights = places.map(z => Math.exp(-0.5 * z * z)), values = places.map(z => VALUE.logit(mean + Math.sqrt(variance) * z));
  const over = values => dot(weights, values) / total(weights);
  const value = over(values);
  return {mean: value, slope: Math.sqrt(over(values.map(other => (other - value) ** 2)) / variance)};
}

// Kernels.

const WARP = {sqrt: w => Math.sqrt(w + 1e-4), log: w => Math.log1p(w / 1e-2) / Math.log1p(1 / 1e-2), none: w => w};
const WEIGHT = {sqrt: x => x * x - 1e-4, log: x => 1e-2 * Math.expm1(x * Math.log1p(1 / 1e-2)), none: x => x};

// Where a run of a warped mixture at a fidelity lies: at what its weights are worth, of which some repeat data.
function place(model, draw, point, fidelity) {
  if (model.unique === null) return point;
  return point.map((x, d) => {
    const unique = model.unique[fidelity][d] ?? Infinity, repeated = Math.max(WEIGHT[model.warp](x), 0) / unique - 1;
    return repeated > 0 ? WARP[model.warp](unique * (1 - draw.decay * Math.expm1(-repeated / draw.decay))) : x;
  });
}

const squared = (variance, r2) => variance * Math.exp(-0.5 * r2);
const RADIAL = {
  rbf: squared,
  "spectral-mixture": squared,
  matern52: (variance, r2) => {
    const r = Math.sqrt(5 * r2);
    return variance * Math.exp(-r) * (1 + r + r * r / 3);
  },
};

// Points as a component of a kernel sees them: in length-scales, with the cosine and sine of every phase.
function prepared({variance, lengthscales, frequencies}, points) {
  const dim = lengthscales.length, scaled = new Float64Array(points.length * dim);
  const waves = frequencies.length > 0, cos = new Float64Array(waves ? scaled.length : 0), sin = new Float64Array(cos.length);
  for (let i = 0, p = 0; i < points.length; i++) {
    for (let d = 0; d < dim; d++, p++) {
      scaled[p] = points[i][d] / lengthscales[d];
      if (waves) {
        const phase = 2 * Math.PI * frequencies[d] * points[i][d];
        cos[p] = Math.cos(phase);
        sin[p] = Math.sin(phase);
      }
    }
  }
  return {variance, dim, waves, scaled, cos, sin};
}

// The covariances of the first `count` points of `a` with the point `j` of `b`, both prepared for every component.
function covariances(kernel, a, count, b, j) {
  const sums = new Float64Array(count), radial = RADIAL[kernel];
  for (let c = 0; c < a.length; c++) {
    const {variance, dim, waves, scaled, cos, sin} = a[c], {scaled: x, cos: cosines, sin: sines} = b[c], from = j * dim;
    for (let i = 0, p = 0; i < count; i++, p += dim) {
      let r2 = 0, wave = 1;
      for (let d = 0; d < dim; d++) {
        const t = scaled[p + d] - x[from + d];
        r2 += t * t;
      }
      for (let d = 0; waves && d < dim; d++) wave *= cos[p + d] * cosines[from + d] + sin[p + d] * sines[from + d];
      sums[i] += radial(variance, r2) * wave;
    }
  }
  return sums;
}

// The terms of a covariance as they see points.
const termsAt = (draw, points) => draw.terms.map(({kernel, sizes, components}) =>
  ({kernel, sizes, parts: components.map(component => prepared(component, points))}));

// The covariances of the first `count` points of `a`, each at its fidelity, with the point `j` of `b` at the fidelity `m`: sums over the terms.
function between(a, fidelities, count, b, j, m) {
  const sums = new Float64Array(count);
  a.forEach(({kernel, sizes, parts}, t) => {
    const row = sizes[m], covariance = covariances(kernel, parts, count, b[t].parts, j);
    for (let i = 0; i < count; i++) sums[i] += covariance[i] * row[fidelities[i]];
  });
  return sums;
}

// Gaussian processes. A process is a mixture of processes with drawn hyperparameters.

const JITTER = [0, 1e-10, 1e-8, 1e-6, 1e-4];

// Conditions the process with the hyperparameters `draw` on the runs. What is kept are solutions with the Cholesky factors of the runs'
// covariance and of the precision of the levels.
function condition(model, process, draw) {
  const {fidelities} = model, points = model.points.map((point, i) => place(model, draw, point, fidelities[i]));
  const n = points.length;
  const terms = termsAt(draw, points);
  const prior = m => total(draw.terms.map(({components, sizes}) => total(components.map(c => c.variance)) * sizes[m][m]));
  const largest = Math.max(...fidelities.map(prior));
  const factor = jitter => {
    const k = new Float64Array(n * (n + 1) / 2);
    for (let i = 0, row = 0; i < n; row += ++i) {
      k.set(between(terms, fidelities, i + 1, terms, i, fidelities[i]), row);
      k[row + i] += draw.noise[fidelities[i]] + process.known_noise[i] + jitter * largest;
    }
    return cholesky(k, n);
  };
  let lower = null;
  for (const jitter of JITTER) lower ??= factor(jitter);
  if (lower === null) throw new Error("the covariance matrix is not positive definite");
  const y = whiten(lower, process.y);
  const indicators = process.level_sd.map((_, m) => whiten(lower, fidelities.map(other => other === m ? 1 : 0)));
  const precision = indicators.flatMap((a, m) => indicators.slice(0, m + 1).map((b, l) =>
    dot(a, b) + (l === m ? process.level_sd[m] ** -2 : 0)));
  const levels = cholesky(precision, indicators.length);
  return {
    termsAt: point => termsAt(draw, [place(model, draw, point, model.fidelity)]), terms, fidelities, lower, y, indicators, levels,
    fidelity: model.fidelity, prior: prior(model.fidelity), level: whiten(levels, indicators.map(a => dot(a, y))),
  };
}

// A warped mixture as a conditioned process sees it: its posterior mean, and what covariances with other mixtures follow from.
function look(gp, point, fidelity) {
  const terms = gp.termsAt(point);
  const runs = whiten(gp.lower, between(gp.terms, gp.fidelities, gp.fidelities.length, terms, 0, fidelity));
  const level = whiten(gp.levels, gp.indicators.map((a, m) => (m === fidelity ? 1 : 0) - dot(a, runs)));
  return {terms, runs, level, mean: dot(runs, gp.y) + dot(level, gp.level)};
}

// Moments of a process at a mixture, given what each of its draws sees.
function predicted(gps, views) {
  const mean = average(views.map(view => view.mean));
  const variance = (view, d) => Math.max(gps[d].prior - dot(view.runs, view.runs), 1e-12 * gps[d].prior);
  return {
    mean,
    variance: average(views.map((view, d) => variance(view, d) + (view.mean - mean) ** 2)),
    level: average(views.map(view => dot(view.level, view.level))),
  };
}

// A metric's value, oriented so that smaller is better, as a linear function of its standardized place.
function reading(process, mean, variance) {
  const {sign, level, unit, scale} = process;
  const {mean: value, slope} = moments(scale, sign * (level + unit * mean), unit * unit * variance);
  return {mean: sign * value, slope: unit * slope};
}

// Variance of a linear combination of a process's values at some mixtures, given what its draws see of each.
function combinationVariance(gps, points, coefficients) {
  const means = gps.map((_, d) => total(points.map((views, i) => coefficients[i] * views[d].mean))), mean = average(means);
  const within = gps.map((gp, d) => {
    let variance = 0;
    for (let i = 0; i < points.length; i++) {
      const x = points[i][d];
      variance += coefficients[i] ** 2 * (gp.prior - dot(x.runs, x.runs));
      for (let j = 0; j < i; j++) {
        const y = points[j][d], shared = between(x.terms, [gp.fidelity], 1, y.terms, 0, gp.fidelity)[0] - dot(x.runs, y.runs);
        variance += 2 * coefficients[i] * coefficients[j] * shared;
      }
    }
    const level = points[0][d].level.map((_, m) => total(points.map((views, i) => coefficients[i] * views[d].level[m])));
    return Math.max(variance, 0) + dot(level, level) + (means[d] - mean) ** 2;
  });
  return average(within);
}

// The model.

const models = [page.model.objective, page.model.metrics].filter(model => model !== null);
const ofObjective = models[0], ofMetrics = models[models.length - 1];

// What the processes of a model see of a point.
function viewed(model, point) {
  return model.processes.map(process => {
    const views = process.gps.map(gp => look(gp, point, model.fidelity));
    return {views, ...predicted(process.gps, views)};
  });
}

// What all processes see of a mixture.
// Of the further domains of older runs, it has none.
const seen = weights => models.map(model =>
  viewed(model, model.points[0].map((_, i) => WARP[model.warp](Math.max(weights[i] ?? 0, 0)))));

// The objective as a linear function of the metrics, whose errors are independent.
function combined(values) {
  const weighted = values.map(({process: {weight}, mean, variance}) => ({mean: weight * mean, variance: weight ** 2 * variance}));
  const weights = values.map(({process}) => process.weight);
  if (ofObjective.aggregate === "mean") return {mean: total(weighted.map(({mean}) => mean)), coefficients: weights};
  // Where only a guard is about a metric, that is never the largest.
  const own = weights.flatMap((weight, j) => weight > 0 ? [j] : []);
  const {mean, variance, probability} = largest(own.map(j => weighted[j]));
  const square = total(own.map((j, k) => probability[k] ** 2 * weighted[j].variance));
  const factor = square > 0 ? Math.sqrt(variance / square) : 1, coefficients = weights.map(() => 0);
  own.forEach((j, k) => { coefficients[j] = factor * probability[k] * weights[j]; });
  return {mean, coefficients};
}

// What the objective is made of at a mixture: the value of each process, less that at the reference if there is one.
function terms(at) {
  return ofObjective.processes.map((process, j) => {
    const {mean, slope} = reading(process, at[j].mean, at[j].variance);
    if (!ofObjective.sight) return {process, slope, mean, variance: slope ** 2 * at[j].variance};
    const other = ofObjective.sight[j], reference = reading(process, other.mean, other.variance);
    const variance = combinationVariance(process.gps, [at[j].views, other.views], [slope, -reference.slope]);
    return {process, slope, mean: mean - reference.mean, variance, reference: reference.slope};
  });
}

// The objective. The errors of levels move together, but those that the reference shares.
function objective(at) {
  let variance = 0, level = 0, whole;
  if (ofObjective.sight) {
    const values = terms(at);
    whole = combined(values);
    values.forEach((value, j) => { variance += whole.coefficients[j] ** 2 * value.variance * ofObjective.inflation; });
  } else {
    const values = ofObjective.processes.map((process, j) => {
      const all = at[j].variance + at[j].level, {mean, slope} = reading(process, at[j].mean, all);
      return {process, slope, mean, variance: slope ** 2 * all};
    });
    whole = combined(values);
    values.forEach(({slope}, j) => {
      variance += (whole.coefficients[j] * slope) ** 2 * at[j].variance * ofObjective.inflation;
      level += whole.coefficients[j] * slope * Math.sqrt(at[j].level);
    });
  }
  return {mean: page.sign * whole.mean, sd: Math.sqrt(variance + level * level)};
}

// By how much the objective is better at the mixture `b` than at `a`.
function objectiveGain(a, b) {
  const [from, to] = [terms(a), terms(b)], [first, second] = [combined(from), combined(to)];
  const variance = total(ofObjective.processes.map((process, j) => {
    const points = [a[j].views, b[j].views], [c, d] = [first.coefficients[j], second.coefficients[j]];
    const coefficients = [-c * from[j].slope, d * to[j].slope];
    if (ofObjective.sight) {
      points.push(ofObjective.sight[j].views);
      coefficients.push((c - d) * to[j].reference);
    }
    return combinationVariance(process.gps, points, coefficients);
  }));
  return {mean: first.mean - second.mean, sd: Math.sqrt(ofObjective.inflation * variance)};
}

// Mean and standard deviation of the objective and of every metric.
function expectations(sight) {
  const readings = (model, at) => model.processes.map((process, j) =>
    ({process, at: at[j], value: reading(process, at[j].mean, at[j].variance + at[j].level)}));
  const whole = objective(sight[0]);
  if (page.weights.length === 1 && !ofObjective.sight) {
    const [weight] = page.weights;
    return {objective: whole, metrics: [{mean: whole.mean / weight, sd: whole.sd / Math.abs(weight)}]};
  }
  return {objective: whole, metrics: readings(ofMetrics, sight[sight.length - 1]).map(metricValue)};
}

const metricValue = ({process, at, value}) =>
  ({mean: process.sign * value.mean, sd: value.slope * Math.sqrt(at.variance + at.level)});

// By how much each process is better at the mixture `b` than at `a`.
function processGains(model, a, b) {
  const value = (process, at) => reading(process, at.mean, at.variance);
  return model.processes.map((process, j) => {
    const from = value(process, a[j]), to = value(process, b[j]);
    const variance = combinationVariance(process.gps, [a[j].views, b[j].views], [-from.slope, to.slope]);
    return {mean: from.mean - to.mean, sd: Math.sqrt(variance)};
  });
}

// By how much the objective and every metric are better at the second mixture.
function advantages(a, b) {
  const whole = objectiveGain(a[0], b[0]);
  if (page.weights.length === 1 && !ofObjective.sight) {
    const scale = Math.abs(page.weights[0]);
    return {objective: whole, metrics: [{mean: whole.mean / scale, sd: whole.sd / scale}]};
  }
  const last = a.length - 1;
  return {objective: whole, metrics: processGains(ofMetrics, a[last], b[last])};
}

// Probability that a guard holds.
function holds(guard, sight) {
  const j = guard.metric, process = ofObjective.processes[j];
  const value = at => metricValue({process, at, value: reading(process, at.mean, at.variance + at.level)});
  let {mean, sd} = value(sight[0][j]), threshold = guard.threshold;
  if (guard.sight) {
    threshold = value(guard.sight[0][j]).mean;
    const gain = processGains(ofObjective, guard.sight[0], sight[0])[j];
    mean = threshold - process.sign * gain.mean;
    sd = gain.sd;
  }
  const slack = guard.sign * (threshold - mean) + guard.absolute + guard.relative * Math.abs(threshold);
  return sd > 0 ? distribution(slack / sd) : Number(slack >= 0);
}

// Mixtures.

const dim = page.lower.length;
const clamp = (x, low, high) => Math.min(Math.max(x, low), high);

// The nearest weights within bounds that sum to 1: all are moved by one shift.
function bounded(y, lower, upper) {
  let low = Math.min(...y.map((x, i) => lower[i] - x)), high = Math.max(...y.map((x, i) => upper[i] - x));
  for (let step = 0; step < 60; step++) {
    const middle = 0.5 * (low + high);
    let sum = 0;
    for (let i = 0; i < y.length; i++) sum += clamp(y[i] + middle, lower[i], upper[i]);
    if (sum < 1) low = middle; else high = middle;
  }
  return y.map((x, i) => clamp(x + high, lower[i], upper[i]));
}

const sumOf = (group, w) => total(group.domains.map(i => w[i]));
const frozen = page.groups.filter(group => group.freeze);
// The nearest weights of a frozen group with its ratios.
function inRatio({domains, freeze}, w) {
  const along = total(domains.map((i, k) => freeze[k] * w[i])) / total(freeze.map(ratio => ratio * ratio));
  return freeze.map(ratio => ratio * along);
}
const thaw = (group, w) => inRatio(group, w).map((x, k) => Math.abs(x - w[group.domains[k]]));
const excess = w => Math.max(0, ...frozen.flatMap(group => thaw(group, w)),
  ...page.groups.map(group => Math.max(group.min - sumOf(group, w), sumOf(group, w) - group.max)));

// The nearest weights within bounds and groups (the alternating projections of Dykstra, 1983); null if there are none.
function projected(y, lower, upper) {
  if (total(lower) > 1 + 1e-9 || total(upper) < 1 - 1e-9) return null;
  let w = bounded(y, lower, upper), owed = y.map((x, i) => x - w[i]);
  const shifts = page.groups.map(() => 0);
  for (let round = 0; round < 500 && excess(w) > 1e-9; round++) {
    page.groups.forEach((group, g) => {
      const sum = sumOf(group, w) + shifts[g], kept = clamp(sum, group.min, group.max);
      for (const i of group.domains) w[i] += (shifts[g] + kept - sum) / group.domains.length;
      shifts[g] = sum - kept;
    });
    for (const group of frozen) inRatio(group, w).forEach((x, k) => { w[group.domains[k]] = x; });
    const moved = w.map((x, i) => x + owed[i]);
    w = bounded(moved, lower, upper);
    owed = moved.map((x, i) => x - w[i]);
  }
  return excess(w) <= 1e-7 ? w : null;
}

// The weights that domain `i` and those whose ratio to it is fixed have together.
function together(i, weight) {
  const set = Array(dim).fill(null), group = frozen.find(group => group.domains.includes(i));
  set[i] = weight;
  if (!group) return set;
  const ratio = group.freeze[group.domains.indexOf(i)];
  if (ratio > 0) group.domains.forEach((j, k) => { set[j] = weight * group.freeze[k] / ratio; });
  return set;
}

// `from` with another weight of domain `i`, or the nearest mixture to that which can be. The others, but for those that are held, make
// room in proportion, and as bounds and groups allow.
function moved(from, i, weight, held) {
  weight = clamp(weight, ...page.reach[i]);
  const set = together(i, weight), free = from.map((_, j) => set[j] === null && !held[j]);
  const of = (mixture, those) => total(mixture.filter((_, j) => those(j)));
  const sum = of(from, j => free[j]), room = of(from, j => free[j] || set[j] !== null) - total(set), count = free.filter(Boolean).length;
  const share = j => sum > 1e-12 ? from[j] / sum : 1 / count;
  const wished = from.map((w, j) => set[j] ?? (free[j] ? room * share(j) : w));
  const within = fixed => projected(wished,
    page.lower.map((low, j) => fixed(j) ? wished[j] : low), page.upper.map((high, j) => fixed(j) ? wished[j] : high));
  return within(j => !free[j]) ?? within(j => held[j]) ?? from;
}

// The page.

const find = id => document.getElementById(`explorer-${id}`);
const rows = [...document.querySelectorAll("#explorer-weights [data-domain]")].map(row => ({
  row,
  domain: Number(row.dataset.domain),
  name: row.querySelector("label").textContent,
  range: row.querySelector("[type=range]"),
  field: row.querySelector("[type=number]"),
  hold: row.querySelector("[type=checkbox]"),
}));
const start = find("start");
// The mixture that is shown, and the one that a weight is moved away from: as long as a slider is held, the others come back with it.
let mixture, anchor, origin;

// Numbers as in the rest of the page: two digits of the standard deviation.
function decimals({mean, sd}) {
  const scale = sd > 0 ? sd : Math.abs(mean) / 100;
  return scale > 0 && scale < Infinity ? clamp(1 - Math.floor(Math.log10(scale)), 0, 9) : 0;
}
const fixed = (x, digits) => x.toFixed(digits).replace("-", "−");
const signed = (x, digits) => (x > 0 && Number(x.toFixed(digits)) !== 0 ? "+" : "") + fixed(x, digits);
const interval = ({mean, sd}) => [mean - page.ninety * sd, mean + page.ninety * sd];
const range = (value, write) => interval(value).map(x => write(x, decimals(value))).join(" to ");
const percent = p => p > 0.999 ? "> 99.9 %" : p < 0.001 ? "< 0.1 %" : `${(100 * p).toFixed(p < 0.01 || p > 0.99 ? 1 : 0)} %`;

function put(cell, text, value) {
  cell.textContent = text;
  for (const [key, x] of Object.entries(value)) cell.dataset[key] = x;
}

function showValues(row, expected, gain) {
  const [mean, span, better, likely] = row.querySelectorAll("td");
  put(mean, fixed(expected.mean, decimals(expected)), expected);
  put(span, range(expected, fixed), {});
  const same = mixture.every((w, i) => Math.abs(w - origin.mixture[i]) < 1e-9);
  put(better, same ? "" : signed(gain.mean, decimals(gain)), gain);
  put(likely, same ? "" : percent(distribution(gain.mean / gain.sd)), {});
}

function show() {
  const sight = seen(mixture), expected = expectations(sight), gain = advantages(origin.sight, sight);
  const values = [...find("values").tBodies[0].rows];
  showValues(values[0], expected.objective, gain.objective);
  values.slice(1).forEach((row, j) => showValues(row, expected.metrics[j], gain.metrics[j]));
  const guards = page.guards.map(guard => holds(guard, sight));
  page.guards.forEach((guard, g) => {
    const [likely, verdict] = find("guards").tBodies[0].rows[g].querySelectorAll("td");
    put(likely, percent(guards[g]), {probability: guards[g]});
    verdict.textContent = guards[g] >= guard.asked ? "yes" : "no";
  });
  const certain = guards.every((p, g) => p >= page.guards[g].asked);
  const bounds = mixture.some((w, i) => w < page.lower[i] - 1e-6 || w > page.upper[i] + 1e-6) || excess(mixture) > 1e-6;
  const said = [`Objective ${fixed(expected.objective.mean, decimals(expected.objective))}`,
    `90 % interval ${range(expected.objective, fixed)}`];
  if (guards.length > 0) said.push(certain ? "guards hold" : "a guard is not certain enough");
  if (bounds) said.push("outside the bounds of the study");
  if (mixture.some(w => w > 1e-6 && w < page.smallest - 1e-6)) said.push("a weight is too small to be used");
  else if (page.step > 0 && mixture.some(w => Math.abs(w / page.step - Math.round(w / page.step)) > 1e-4)) said.push("weights are not rounded to steps");
  find("summary").textContent = said.join("; ") + ".";
  for (const {domain, range, field, row} of rows) {
    const w = mixture[domain], text = (100 * w).toFixed(1);
    range.value = w;
    range.setAttribute("aria-valuetext", `${text} %`);
    if (document.activeElement !== field) field.value = text;
    const epochs = row.querySelector(".epochs");
    if (epochs) epochs.textContent = (w * Number(epochs.dataset.each)).toPrecision(2);
  }
  find("link").hash = fragment();
}

// A state as a link has it.
function fragment() {
  const weight = ({domain, name}) => `${encodeURIComponent(name)}:${Number(mixture[domain].toFixed(6))}`;
  return "#mix=" + rows.filter(({domain}) => mixture[domain] >= 5e-7).map(weight).join(",");
}

// The mixture of the page's address; null if it has none.
function linked() {
  if (!location.hash.startsWith("#mix=")) return null;
  const weights = new Array(dim).fill(0);
  for (const item of location.hash.slice(5).split(",")) {
    const [name, weight] = item.split(":"), row = rows.find(row => encodeURIComponent(row.name) === name);
    if (!row || !(Number(weight) >= 0)) return null;
    weights[row.domain] = Number(weight);
  }
  const sum = total(weights);
  return sum > 0 && sum < Infinity ? weights.map(w => w / sum) : null;
}

function startFrom(choice) {
  origin = {mixture: page.starts[choice], sight: seen(page.starts[choice])};
  mixture = anchor = origin.mixture;
}

function move(domain, weight) {
  const held = [];
  for (const row of rows) held[row.domain] = row.hold.checked;
  mixture = moved(anchor, domain, weight, held);
  show();
}

function listen() {
  for (const {domain, range, field} of rows) {
    // The last step before the end of a slider may be shorter than a step.
    const end = () => Number(range.max) - Number(range.value) < Number(range.step) ? Number(range.max) : Number(range.value);
    range.addEventListener("input", () => move(domain, end()));
    field.addEventListener("input", () => { if (field.value !== "") move(domain, Number(field.value) / 100); });
    for (const input of [range, field]) {
      input.addEventListener("change", () => {
        anchor = mixture;
        field.value = (100 * mixture[domain]).toFixed(1);
        history.replaceState(null, "", fragment());
      });
    }
  }
  start.addEventListener("change", () => { startFrom(Number(start.value)); show(); history.replaceState(null, "", fragment()); });
  find("reset").addEventListener("click", () => start.dispatchEvent(new Event("change")));
  addEventListener("hashchange", () => { mixture = anchor = linked() ?? mixture; show(); });
}

// Conditions every process, one after another, so that the page can be used in the meantime.
async function open() {
  for (const model of models) {
    for (const process of model.processes) {
      await new Promise(resolve => setTimeout(resolve));
      process.gps = process.draws.map(draw => condition(model, process, draw));
    }
  }
  if (ofObjective.reference) ofObjective.sight = viewed(ofObjective, ofObjective.reference);
  for (const guard of page.guards) if (guard.reference) guard.sight = seen(guard.reference);
  const shared = linked();
  startFrom(Number(start.value));
  mixture = anchor = shared ?? mixture;
  find("panel").hidden = false;
  find("wait").hidden = true;
  show();
  listen();
  if (shared) document.getElementById("explorer").scrollIntoView();
}

open().catch(error => { find("wait").textContent = `The explorer cannot be shown: ${error.message}.`; });
}
