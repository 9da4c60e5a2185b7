// A few inputs of the test split with targets and predictions.

const valueText = (value) => {
  if (value === null || value === undefined) return ABSENT;
  if (Array.isArray(value)) return value.flat(3).map((item) => (typeof item === 'number' ? formatShort(item) : item)).join(', ');
  return String(value);
};

// A text may have several right answers.
const isRight = (value, truth) => valueText(value) === valueText(truth) || (typeof value === 'string' && [truth].flat().includes(value));

// [row, prediction] of the rows that pass the filters.
const shownPredictions = (table, sample) => Object.entries(sample.predictions)
  .map(([index, value]) => [data.tables[table.id].rows[Number(index)], value])
  .filter(([row]) => row && isRowShown(row));

const predictionList = (table, sample) => {
  const truth = valueText(sample.truth);
  const line = (name, value, className) => el('div', { class: className }, el('dt', {}, name), el('dd', {}, value));
  return el('dl', {}, line('truth', truth, 'truth'),
    shownPredictions(table, sample).map(([row, value]) => line(label(row), valueText(value), isRight(value, sample.truth) ? 'correct' : '')));
};

const IMAGE_NAMES = { image: 'image', video: 'frames of a video', speech: 'log-mel spectrogram of a recording' };

const imageOf = (sample) => (sample.image && data.media[sample.image]
  ? el('img', { src: `data:image/png;base64,${data.media[sample.image]}`, alt: `${IMAGE_NAMES[sample.kind] || 'input'}, test sample ${sample.index}; truth: ${valueText(sample.truth)}`, class: `sample ${sample.kind}` })
  : null);

const audioOf = (sample) => (sample.audio && data.media[sample.audio]
  ? el('audio', { controls: '', preload: 'none', src: `data:audio/wav;base64,${data.media[sample.audio]}`, 'aria-label': `recording of test sample ${sample.index}` })
  : null);

// A forecast of the first target variable: past values, true values and predictions.
const forecastFigure = (table, sample, name) => figure(`Forecast of test sample ${sample.index}${sample.targets && sample.targets.length ? `, ${valueText(sample.targets[0])}` : ''}`, fileName(name, 'forecast', sample.index), () => [], (width) => {
  const firstTarget = (steps) => {
    const values = Array.isArray(steps) ? steps.map((step) => [step].flat()[0]) : [];
    return values.every(Number.isFinite) ? values : [];
  };
  const past = firstTarget(sample.values), numPast = past.length;
  const line = (text, style, values, start) => ({ label: text, style, points: values.map((value, i) => ({ x: start + i, mean: value, low: value, high: value, text: `${text}: ${formatShort(value)} at step ${start + i}` })) });
  const afterPast = (text, style, values) => (numPast ? line(text, style, [past.at(-1), ...values], 0) : line(text, style, values, 1));
  const series = [
    ...(numPast ? [line('past', { colour: 'neutral', dash: '', mark: 0 }, past, 1 - numPast)] : []),
    afterPast('truth', { colour: 'ink', dash: '', mark: 0 }, firstTarget(sample.truth)),
    ...shownPredictions(table, sample).filter(([row]) => !row.baseline).map(([row, value]) => afterPast(label(row), styleOf(row), firstTarget(value))),
  ];
  return {
    svg: lineFigure({ width, height: 240, title: `Forecast over truth, ${table.dataset}`, x: { name: 'steps ahead' }, y: { name: 'value' }, series }),
    below: legend(series),
    lines: [['line', 'step', 'value'], ...series.flatMap(({ label: text, points }) => points.map((p) => [text, p.x, p.mean]))],
  };
});

const sampleSection = (table, name) => {
  if (!table.samples.length) return null;
  if (table.task === 'forecast') return el('div', { class: 'figures' }, table.samples.slice(0, 2).map((sample) => forecastFigure(table, sample, name)));
  return el('div', { class: 'samples' }, table.samples.map((sample) => el('article', {}, imageOf(sample), audioOf(sample),
    sample.text !== null && sample.text !== undefined ? el('p', { class: 'source' }, valueText(sample.text)) : null,
    sample.kind === 'series' && sample.values ? el('p', { class: 'source' }, `${valueText(sample.values).slice(0, 120)} …`) : null,
    predictionList(table, sample))));
};
