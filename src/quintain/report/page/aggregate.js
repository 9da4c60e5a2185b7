// Aggregates of models over the shown datasets, computed like report/overall.py and stats/aggregate.py.

const NEVER = -1; // seconds to a target that was not reached

// The mean of the middle half; a value at a quartile counts in part.
const interquartileMean = (values, weights) => {
  const half = sum(weights) / 2;
  let below = 0, result = 0;
  values.map((value, i) => [value, weights[i]]).sort((a, b) => a[0] - b[0]).forEach(([value, weight]) => {
    const share = Math.min(below + weight, 1.5 * half) - Math.max(below, 0.5 * half);
    result += value * (Math.max(share, 0) / half);
    below += weight;
  });
  return result;
};

// The variance of the interquartile mean from leaving out each seed of one dataset.
const jackknifeVariance = (values, weights, start, size) => {
  const means = [];
  for (let leftOut = start; leftOut < start + size; leftOut += 1) {
    means.push(interquartileMean(values, weights.map((weight, i) =>
      (i === leftOut ? 0 : i >= start && i < start + size ? 1 / (size - 1) : weight))));
  }
  const centre = mean(means);
  return ((size - 1) / size) * sum(means.map((value) => (value - centre) ** 2));
};

const welchDegreesOfFreedom = (variances, sizes) => {
  const total = sum(variances);
  if (!(total > 0 && total < Infinity)) return Math.max(1, sum(sizes) - sizes.length);
  const shares = variances.map((variance) => variance / total);
  const denominator = sum(shares.map((share, i) => (share ** 2) / (sizes[i] + 1)));
  const highest = sum(sizes.map((size, i) => (shares[i] > 0 ? size - 1 : 0)));
  const degrees = Math.min(Math.max(1 / denominator - 2, Math.min(...sizes) - 1), highest);
  return Math.max(1, Math.floor(4 * degrees + 1e-9) / 4);
};

// The 97.5 % quantile of Student's t, from a table with steps of a quarter.
const tQuantile = (degrees) => data.t_quantiles[Math.min(Math.round(4 * (degrees - 1)), data.t_quantiles.length - 1)];

// [mean, low, high] of the scores of one model, a list for each dataset; null where undefined.
const iqmInterval = (strata) => {
  const values = strata.flat();
  if (!strata.every((stratum) => stratum.length) || values.some((value) => value === null)) return [null, null, null];
  const weights = strata.flatMap((stratum) => stratum.map(() => 1 / stratum.length));
  const centre = interquartileMean(values, weights), sizes = strata.map((stratum) => stratum.length);
  if (Math.min(...sizes) < 2) return [centre, null, null];
  let start = 0;
  const variances = sizes.map((size) => {
    start += size;
    return ((size + 1) / size) * jackknifeVariance(values, weights, start - size, size);
  });
  const half = tQuantile(welchDegreesOfFreedom(variances, sizes)) * Math.sqrt(sum(variances));
  return Number.isFinite(half) ? [centre, centre - half, centre + half] : [centre, null, null];
};

const normalise = (score, { zero, one }) => {
  if (score === null || zero === null || one === null || zero === one) return null;
  const value = (score / 2 - zero / 2) / (one / 2 - zero / 2);
  return Number.isFinite(value) ? value : null;
};

// The performance profile: the share of problems solved within each ratio to the best time.
const performanceProfile = (times, fastest) => {
  if (!times.length || times.includes(null)) return null;
  const ratios = times.map((time, i) => (time === NEVER ? Infinity : time === fastest[i] ? 1 : fastest[i] > 0 ? time / fastest[i] : Infinity)).sort((a, b) => a - b);
  const solved = ratios.filter((ratio) => ratio < Infinity), ratio = [...new Set(solved)];
  return { ratio, share: ratio.map((value) => (solved.lastIndexOf(value) + 1) / ratios.length), never: 1 - solved.length / ratios.length };
};

// The mean rank of each model over the tables; null for a model that lacks a score.
const meanRanksOf = (lines, tables) => {
  const isScored = (line) => line.every((row) => row && row.mean !== null);
  const complete = lines.filter(isScored);
  const rank = (line, i) => {
    const sign = tables[i].direction === 'max' ? 1 : -1, own = sign * line[i].mean;
    const others = complete.map((other) => sign * other[i].mean);
    return others.filter((value) => value > own).length + (others.filter((value) => value === own).length + 1) / 2;
  };
  return lines.map((line) => (isScored(line) ? mean(line.map((row, i) => rank(line, i))) : null));
};

// The aggregates of the models over tables of one budget, best first.
const aggregateModels = (tables) => {
  const names = [...new Set(tables.flatMap((table) => rankedRows(table).map((row) => row.overall.label)))];
  const lines = names.map((name) => tables.map((table) => rankedRows(table).find((row) => row.overall.label === name) || null));
  const numSeeds = tables.map((table) => rankedRows(table)[0].overall.times.length);
  const times = lines.map((line) => line.flatMap((row, i) => (row ? row.overall.times : Array(numSeeds[i]).fill(null))));
  const fastest = times[0].map((_, i) => Math.min(...times.map((line) => (line[i] === null || line[i] === NEVER ? Infinity : line[i]))));
  const ranks = meanRanksOf(lines, tables);
  return lines.map((line, index) => {
    const [iqm, low, high] = iqmInterval(line.map((row, i) => (row ? row.scores.map((score) => normalise(score, tables[i].overall)) : [])));
    return {
      model: names[index], iqm, iqm_low: low, iqm_high: high, mean_rank: ranks[index],
      profile: performanceProfile(times[index], fastest), rough: line.some((row) => row && row.rough),
      missing: tables.filter((_, i) => !line[i]).map((table) => table.overall.name).join(', '), style: styleOf(line.find(Boolean)),
    };
  }).sort((a, b) => (a.iqm === null) - (b.iqm === null) || (b.iqm ?? 0) - (a.iqm ?? 0) || (a.model < b.model ? -1 : 1));
};

// Budget → its tables that the filters show, with rows of models.
const tablesByBudget = () => {
  const budgets = new Map();
  shownTables().filter((table) => table.overall && rankedRows(table).length).forEach((table) => {
    budgets.set(table.overall.budget, [...(budgets.get(table.overall.budget) || []), table]);
  });
  return [...budgets].filter(([, tables]) => tables.length > 1);
};
