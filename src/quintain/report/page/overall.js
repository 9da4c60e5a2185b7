// The models over all datasets of one budget: interquartile mean, mean rank, time to a target.

const iqmText = (model) => formatFixed(model.iqm, 3)
  + (model.iqm_low === null ? '' : ` [${formatFixed(model.iqm_low, 3)}, ${formatFixed(model.iqm_high, 3)}]`);

// The share of runs that reached the target within `ratio` times the best time.
const shareWithin = (profile, ratio) => {
  const index = profile.ratio.findLastIndex((value) => value <= ratio);
  return index < 0 ? 0 : profile.share[index];
};

const percent = (share) => `${(100 * share).toFixed(0)} %`;

const overallTable = (budget, models, numTables) => {
  const shareColumn = (name, about, read, isTime) => ({ name, head: name, about, value: (model) => model.profile && read(model.profile),
    cell: (model) => (model.profile ? (isTime && model.rough ? '~' : '') + percent(read(model.profile)) : ABSENT) });
  const caption = `over the ${numTables} shown datasets${budget ? `, ${budget}` : ''}; score: interquartile mean over datasets and seeds [95 % interval], `
    + 'where 0 is the worst baseline and 1 the best row of a table';
  return sortableTable(caption, [
    { name: 'model', head: 'model', left: true, ascending: true, value: (model) => model.model, cell: (model) => [model.model, model.missing ? el('span', { class: 'tag', title: model.missing }, 'datasets missing') : null] },
    { name: 'iqm', head: 'score, 0 to 1', value: (model) => model.iqm, cell: iqmText },
    { name: 'mean_rank', head: 'mean rank', ascending: true, value: (model) => model.mean_rank, cell: (model) => formatFixed(model.mean_rank, 2) },
    shareColumn('fastest', 'share of runs that were the first to reach the target', (profile) => shareWithin(profile, 1), true),
    shareColumn('reached', 'share of runs that reached the target', (profile) => 1 - profile.never),
  ], models, { sort: 'iqm', descending: true });
};

// The points of the step function of a profile, up to the ratio `last`.
const profileSteps = (profile, last) => {
  const points = [];
  profile.ratio.forEach((ratio, index) => {
    if (index) points.push([ratio, profile.share[index - 1]]);
    points.push([ratio, profile.share[index]]);
  });
  return [...points, [last, profile.share.at(-1) ?? 0]];
};

const profileFigure = (models) => {
  const shown = models.filter((model) => model.profile && model.profile.ratio.length);
  if (!shown.length) return null;
  const last = 1.1 * Math.max(...shown.map((model) => model.profile.ratio.at(-1)));
  return figure('Performance profile', 'performance-profile', () => [], (width) => {
    const series = shown.map(({ model, profile, style, rough }) => ({ label: (rough ? '~' : '') + model, style,
      points: profileSteps(profile, last).map(([x, y]) => ({ x, mean: y, low: y, high: y, text: `${model}: ${percent(y)} within ${formatShort(x)}× the fastest` })) }));
    return {
      svg: lineFigure({ width, title: 'Share of runs that reached the target over the time relative to the fastest', x: { name: 'seconds of training, × those of the fastest', log: true }, y: { name: 'share of runs' }, series }),
      below: [legend(series), el('p', { class: 'note' }, 'Target: a score of 0.9 on validation, where 0 is the worst baseline and 1 the best row (Dolan and Moré 2002).')],
      lines: [['model', 'ratio', 'share'], ...series.flatMap((line) => line.points.map((p) => [line.label, p.x, p.mean]))],
    };
  });
};

const showOverall = () => {
  const budgets = tablesByBudget().map(([budget, tables]) => [budget, aggregateModels(tables), tables.length])
    .filter(([, models]) => models.some((model) => !model.missing));
  byId('overall').hidden = !budgets.length;
  byId('aggregates').replaceChildren(...budgets.flatMap(([budget, models, numTables]) => [el('div', { class: 'aside' }, overallTable(budget, models, numTables), profileFigure(models))]));
};
