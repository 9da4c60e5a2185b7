// The figures of one dataset, made of its rows.

const shownModels = (table) => table.rows.filter((row) => !row.reference && row.mean !== null);

// Its seconds are of the class of machines that those of the others are of.
const timed = (row) => row.train_seconds !== null;

const curves = (table, name) => {
  let axis = 'steps';
  const models = shownModels(table).filter((row) => row.curves.length);
  if (!models.length) return null;
  const every = models.flatMap((row) => overSeeds(row, axis)).flatMap((p) => [p.low, p.high]);
  const room = (Math.max(...every) - Math.min(...every)) / 2; // a reference far away would press the lines together
  const levels = table.rows.filter((row) => row.reference && row.mean !== null && row.mean > Math.min(...every) - room && row.mean < Math.max(...every) + room)
    .map((row) => ({ value: row.mean, text: row.model }));
  return figure('Validation while training', fileName(name, 'curves'), (redraw) => [choice('over', [['steps', 'steps'], ['seconds', 'seconds']], axis, (value) => { axis = value; redraw(); })], (width) => {
    const series = models.filter((row) => axis === 'steps' || timed(row)).map((row) => ({ label: label(row), style: styleOf(row),
      points: overSeeds(row, axis).map((p) => ({ ...p, text: `${label(row)}: ${fixed(p.mean, table.places)} [${fixed(p.low, table.places)}, ${fixed(p.high, table.places)}] at ${short(p.x)} ${axis}` })) }));
    return {
      svg: lineFigure({ width, title: `${table.metric} on validation over ${axis}, ${table.dataset}`, x: { name: axis === 'steps' ? 'optimizer steps' : 'seconds of training' }, y: { name: table.metric }, series, levels }),
      below: [legend(series), el('p', { class: 'note' }, 'Line: mean over seeds; band: from the lowest to the highest seed; dashed: reference rows on test, where they are near.')],
      lines: [['model', axis, 'mean', 'low', 'high'], ...series.flatMap((one) => one.points.map((p) => [one.label, p.x, p.mean, p.low, p.high]))],
    };
  });
};

const pareto = (table, name) => {
  const models = shownModels(table), axes4 = [['params', 'parameters'], ['train_seconds', 'training s'], ['latency_ms', 'latency ms'], ['energy_wh', 'energy Wh']]
    .filter(([cost]) => models.some((row) => row.costs[cost] !== null));
  if (!models.length || !axes4.length) return null;
  let cost = axes4.some(([one]) => one === 'train_seconds') ? 'train_seconds' : axes4[0][0];
  return figure('Quality against cost', fileName(name, 'pareto'), (redraw) => [choice('against', axes4, cost, (value) => { cost = value; redraw(); })], (width) => {
    const [, words] = axes4.find(([one]) => one === cost);
    const points = models.filter((row) => row.costs[cost] !== null).map((row) => ({ label: label(row), style: styleOf(row), x: row.costs[cost], y: row.mean, low: row.ci_low, high: row.ci_high,
      text: `${label(row)}: ${fixed(row.mean, table.places)} at ${short(row.costs[cost])} ${words}` }));
    return {
      svg: scatterFigure({ width, title: `${table.metric} against ${words}, ${table.dataset}`, x: { name: words }, y: { name: `${table.metric} on test ${ARROW[table.direction]}` }, points, direction: table.direction }),
      below: [legend(points), el('p', { class: 'note' }, 'Large marks are on the Pareto front: no other model is as good and as cheap. Whiskers: 95 % interval.')],
      lines: [['model', cost, 'mean', 'ci_low', 'ci_high', 'on_front'], ...points.map((p) => [p.label, p.x, p.y, p.low, p.high, front(points, table.direction).includes(p)])],
    };
  });
};

// The first validation of a seed at which the target is met; null where none is.
const reached = (curve, target, direction) => {
  const sign = direction === 'max' ? 1 : -1;
  const point = curve.find((one) => one[2] !== null && sign * one[2] >= sign * target);
  return point ? point[1] : null;
};

// What half of the models reach: the median of their best validations, rounded to be read.
const usualTarget = (table, models) => {
  const sign = table.direction === 'max' ? 1 : -1;
  const best = models.map((row) => mean(row.curves.map((curve) => Math.max(...curve.filter((p) => p[2] !== null).map((p) => sign * p[2])))));
  const middle = best.sort((a, b) => b - a)[Math.floor(best.length / 2)];
  return Number((sign * middle * (sign > 0 ? 0.98 : 1 / 0.98)).toPrecision(3));
};

const timeToTarget = (table, name) => {
  const models = shownModels(table).filter((row) => timed(row) && row.curves.length && row.curves.every((curve) => curve.some((p) => p[2] !== null)));
  if (!models.length) return null;
  const asked = models.map((row) => row.target).find((value) => value !== null); // budget.target
  let target = asked ?? usualTarget(table, models);
  const input = (redraw) => el('label', { class: 'select' }, `${table.metric} of `, el('input', { type: 'number', step: 'any', value: target, onchange: (event) => { target = Number(event.target.value); redraw(); } }));
  return figure('Time to target', fileName(name, 'time-to-target'), (redraw) => [input(redraw)], (width) => {
    const bars = models.map((row) => {
      const times = row.curves.map((curve) => reached(curve, target, table.direction)), met = times.filter((t) => t !== null);
      const all = met.length === times.length;
      return { label: label(row), style: styleOf(row), value: all ? mean(times) : null, low: all ? Math.min(...times) : null, high: all ? Math.max(...times) : null,
        note: all ? `${short(mean(times))} s, by seed ${times.map(short).join(', ')}` : `reached by ${met.length} of ${times.length} seeds` };
    }).sort((a, b) => (a.value ?? Infinity) - (b.value ?? Infinity));
    return {
      svg: barFigure({ width, title: `Seconds of training to ${table.metric} ${target} on validation, ${table.dataset}`, x: { name: 'seconds of training' }, bars }),
      below: el('p', { class: 'note' }, 'Mean over seeds, whisker from the fastest to the slowest. A mean is missing where a seed never gets there.'),
      lines: [['model', 'target', 'seconds', 'fastest', 'slowest', 'note'], ...bars.map((bar) => [bar.label, target, bar.value, bar.low, bar.high, bar.note])],
    };
  });
};

const confusion = (table, name) => {
  const rows = table.rows.filter((row) => row.confusion);
  if (!rows.length) return null;
  let chosen = rows[0];
  const options = rows.map((row, place) => [String(place), label(row)]);
  return figure('Confusion on test', fileName(name, 'confusion'), (redraw) => [select('model', options, '0', (place) => { chosen = rows[place]; redraw(); })], (width) => {
    const { classes, counts } = chosen.confusion;
    return {
      svg: heatFigure({ width, title: `Confusion of ${label(chosen)} on ${table.dataset}`, classes, counts }),
      below: el('p', { class: 'note' }, 'Counts over all seeds; shade: share of the row.'),
      lines: [['truth', ...classes], ...counts.map((line, row) => [classes[row], ...line])],
    };
  });
};
