// A few inputs of the test split, with the truth and what each model said.

const words = (value) => (value === null || value === undefined ? ABSENT : typeof value === 'string' ? value : Array.isArray(value) ? value.flat(3).map((v) => (typeof v === 'number' ? short(v) : v)).join(', ') : String(value));

const said = (table, sample) => Object.entries(sample.said).map(([place, value]) => [data.tables[table.id].rows[Number(place)], value])
  .filter(([row]) => row && rowShown(row));

const answers = (table, sample) => {
  const right = words(sample.truth);
  const line = (name, value, state) => el('div', { class: state }, el('dt', {}, name), el('dd', {}, value));
  return el('dl', {}, line('truth', right, 'truth'), said(table, sample).map(([row, value]) => line(label(row), words(value), words(value) === right ? 'right' : '')));
};

const KINDS = { image: 'picture', video: 'frames of a clip', speech: 'log-mel of a sound' };

const picture = (sample) => (sample.picture && data.media[sample.picture]
  ? el('img', { src: `data:image/png;base64,${data.media[sample.picture]}`, alt: `${KINDS[sample.kind] || 'input'}, test sample ${sample.index}; truth: ${words(sample.truth)}`, class: `sample ${sample.kind}` })
  : null);

const sound = (sample) => (sample.sound && data.media[sample.sound]
  ? el('audio', { controls: '', preload: 'none', src: `data:audio/wav;base64,${data.media[sample.sound]}`, 'aria-label': `sound of test sample ${sample.index}` })
  : null);

// A forecast: the past, then truth and predictions over it, of the first target.
const forecast = (table, sample, name) => figure(`Forecast of test sample ${sample.index}${sample.targets && sample.targets.length ? `, ${words(sample.targets[0])}` : ''}`, fileName(name, 'forecast', sample.index), () => [], (width) => {
  const first = (steps) => {
    const found = Array.isArray(steps) ? steps.map((step) => [step].flat()[0]) : [];
    return found.every(Number.isFinite) ? found : [];
  };
  const past = first(sample.values), truth = first(sample.truth), end = past.length;
  const line = (what, style, values, from) => ({ label: what, style, points: values.map((value, i) => ({ x: from + i, mean: value, low: value, high: value, text: `${what}: ${short(value)} at step ${from + i}` })) });
  const joined = (values) => (end ? [past.at(-1), ...values] : values), from = end ? 0 : 1;
  const series = [
    ...(end ? [line('past', { colour: 'ref', dash: '', mark: 0 }, past, 1 - end)] : []),
    line('truth', { colour: 'ink', dash: '', mark: 0 }, joined(truth), from),
    ...said(table, sample).filter(([row]) => !row.reference).map(([row, value]) => line(label(row), styleOf(row), joined(first(value)), from)),
  ];
  return {
    svg: lineFigure({ width, height: 240, title: `Forecast over truth, ${table.dataset}`, x: { name: 'steps ahead' }, y: { name: 'value' }, series }),
    below: legend(series),
    lines: [['line', 'step', 'value'], ...series.flatMap((one) => one.points.map((p) => [one.label, p.x, p.mean]))],
  };
});

const samples = (table, name) => {
  if (!table.samples.length) return null;
  if (table.task === 'forecast') return el('div', { class: 'figures' }, table.samples.slice(0, 2).map((sample) => forecast(table, sample, name)));
  return el('div', { class: 'samples' }, table.samples.map((sample) => el('article', {}, picture(sample), sound(sample),
    sample.text !== null && sample.text !== undefined ? el('p', { class: 'source' }, words(sample.text)) : null,
    sample.kind === 'series' && sample.values ? el('p', { class: 'source' }, `${words(sample.values).slice(0, 120)} …`) : null,
    answers(table, sample))));
};
