// The figures of one dataset.

const plottedRows = (table) => rankedRows(table).filter((row) => row.mean !== null);

// Times are missing if they were measured on another hardware class than those of the other rows.
const isTimed = (row) => row.train_seconds !== null;

const curveFigure = (table, name) => {
  let axis = 'steps';
  const models = plottedRows(table).filter((row) => row.curves.length);
  if (!models.length) return null;
  const values = models.flatMap((row) => curveOverSeeds(row, axis)).flatMap((p) => [p.low, p.high]);
  const low = Math.min(...values), high = Math.max(...values);
  const margin = (high - low) / 2; // a baseline farther away would compress the curves
  const levels = table.rows.filter((row) => row.baseline && row.mean !== null && row.mean > low - margin && row.mean < high + margin)
    .map((row) => ({ value: row.mean, text: row.model }));
  return figure('Validation while training', fileName(name, 'curves'), (redraw) => [radioGroup('over', [['steps', 'steps'], ['seconds', 'seconds']], axis, (value) => { axis = value; redraw(); })], (width) => {
    const nameOf = (row) => (axis === 'seconds' ? roughMark(row) : '') + label(row);
    const series = models.filter((row) => axis === 'steps' || isTimed(row)).map((row) => ({ label: nameOf(row), style: styleOf(row),
      points: curveOverSeeds(row, axis).map((p) => ({ ...p, text: `${nameOf(row)}: ${formatFixed(p.mean, table.places)} [${formatFixed(p.low, table.places)}, ${formatFixed(p.high, table.places)}] at ${formatShort(p.x)} ${axis}` })) }));
    return {
      svg: lineFigure({ width, title: `${table.metric} on validation over ${axis}, ${table.dataset}`, x: { name: axis === 'steps' ? 'optimizer steps' : 'seconds of training' }, y: { name: table.metric }, series, levels }),
      below: [legend(series), el('p', { class: 'note' }, 'Line: mean over seeds; band: range over seeds; dashed: baselines on the test split, if they are in range.')],
      lines: [['model', axis, 'mean', 'low', 'high'], ...series.flatMap((line) => line.points.map((p) => [line.label, p.x, p.mean, p.low, p.high]))],
    };
  });
};

// A budget of parameters makes them equal to within 2 %: then they are no axis to compare on.
const areEqual = (values) => values.length > 1 && Math.max(...values) <= 1.05 * Math.min(...values);

const ROUGH_LEGEND = '~ and hollow marks: rough times, which a check calls unreliable.';

const paretoFigure = (table, name) => {
  const models = plottedRows(table);
  const options = [['params', 'parameters'], ['train_seconds', 'training s'], ['latency_ms', 'latency ms'], ['energy_wh', 'energy Wh']]
    .filter(([cost]) => models.some((row) => row.costs[cost] !== null))
    .filter(([cost]) => cost !== 'params' || !areEqual(models.map((row) => row.costs.params).filter((value) => value !== null)));
  if (!models.length || !options.length) return null;
  let selected = options.some(([cost]) => cost === 'train_seconds') ? 'train_seconds' : options[0][0];
  return figure('Quality against cost', fileName(name, 'pareto'), (redraw) => [radioGroup('against', options, selected, (value) => { selected = value; redraw(); })], (width) => {
    const [, costName] = options.find(([cost]) => cost === selected);
    const points = models.filter((row) => row.costs[selected] !== null).map((row) => ({ label: roughMark(row, selected) + label(row), style: styleOf(row), isRough: Boolean(roughMark(row, selected)),
      x: row.costs[selected], y: row.mean, low: row.ci_low, high: row.ci_high,
      text: `${roughMark(row, selected)}${label(row)}: ${formatFixed(row.mean, table.places)} at ${formatShort(row.costs[selected])} ${costName}` }));
    return {
      svg: scatterFigure({ width, title: `${table.metric} against ${costName}, ${table.dataset}`, x: { name: costName }, y: { name: `${table.metric} on test ${ARROW[table.direction]}` }, points, direction: table.direction }),
      below: [legend(points), el('p', { class: 'note' }, 'Large marks are on the Pareto front: no other model is both as good and as cheap. Whiskers: 95 % interval.'),
        points.some((p) => p.isRough) ? el('p', { class: 'note' }, ROUGH_LEGEND) : null],
      lines: [['model', selected, 'mean', 'ci_low', 'ci_high', 'on_front', 'rough_times'],
        ...points.map((p) => [p.label, p.x, p.y, p.low, p.high, paretoFront(points, table.direction).includes(p), p.isRough])],
    };
  });
};

// Seconds until the first validation of a curve that reaches the target; null if none does.
const secondsToTarget = (curve, target, direction) => {
  const sign = direction === 'max' ? 1 : -1;
  const point = curve.find(([, , value]) => value !== null && sign * value >= sign * target);
  return point ? point[1] : null;
};

// A score that about half of the models reach: 2 % below the median of their best validations, rounded.
const defaultTarget = (table, models) => {
  const sign = table.direction === 'max' ? 1 : -1;
  const best = models.map((row) => mean(row.curves.map((curve) => Math.max(...curve.filter((p) => p[2] !== null).map((p) => sign * p[2])))));
  const median = best.sort((a, b) => b - a)[Math.floor(best.length / 2)];
  return Number((sign * median * (sign > 0 ? 0.98 : 1 / 0.98)).toPrecision(3));
};

const timeToTargetFigure = (table, name) => {
  const models = plottedRows(table).filter((row) => isTimed(row) && row.curves.length && row.curves.every((curve) => curve.some((p) => p[2] !== null)));
  if (!models.length) return null;
  const configured = models.map((row) => row.target).find((value) => value !== null); // budget.target
  let target = configured ?? defaultTarget(table, models);
  const input = (redraw) => el('label', { class: 'select' }, `${table.metric} of `, el('input', { type: 'number', step: 'any', value: target, onchange: (event) => { target = Number(event.target.value); redraw(); } }));
  return figure('Time to target', fileName(name, 'time-to-target'), (redraw) => [input(redraw)], (width) => {
    const bars = models.map((row) => {
      const times = row.curves.map((curve) => secondsToTarget(curve, target, table.direction)), numReached = times.filter((t) => t !== null).length;
      const all = numReached === times.length;
      return { label: roughMark(row) + label(row), style: styleOf(row), value: all ? mean(times) : null, low: all ? Math.min(...times) : null, high: all ? Math.max(...times) : null,
        note: all ? `${formatShort(mean(times))} s, by seed ${times.map(formatShort).join(', ')}` : `reached by ${numReached} of ${times.length} seeds` };
    }).sort((a, b) => (a.value ?? Infinity) - (b.value ?? Infinity));
    return {
      svg: barFigure({ width, title: `Seconds of training to ${table.metric} ${target} on validation, ${table.dataset}`, x: { name: 'seconds of training' }, bars }),
      below: el('p', { class: 'note' }, 'Mean over seeds, whisker from the fastest to the slowest. There is no mean if a seed does not reach the target.'),
      lines: [['model', 'target', 'seconds', 'fastest', 'slowest', 'note'], ...bars.map((bar) => [bar.label, target, bar.value, bar.low, bar.high, bar.note])],
    };
  });
};

const confusionFigure = (table, name) => {
  const rows = table.rows.filter((row) => row.confusion);
  if (!rows.length) return null;
  let selected = rows[0];
  const options = rows.map((row, index) => [String(index), label(row)]);
  return figure('Confusion on test', fileName(name, 'confusion'), (redraw) => [selectBox('model', options, '0', (index) => { selected = rows[index]; redraw(); })], (width) => {
    const { classes, counts } = selected.confusion;
    return {
      svg: heatFigure({ width, title: `Confusion of ${label(selected)} on ${table.dataset}`, classes, counts }),
      below: el('p', { class: 'note' }, 'Counts over all seeds; shade: share of the row.'),
      lines: [['truth', ...classes], ...counts.map((line, row) => [classes[row], ...line])],
    };
  });
};
