// The models over all datasets of one budget: interquartile mean, mean rank, time to a target.

const scoreOver = (one) => (one.iqm === null ? ABSENT
  : `${one.iqm.toFixed(3)}${one.iqm_low === null ? '' : ` [${one.iqm_low.toFixed(3)}, ${one.iqm_high.toFixed(3)}]`}`);

// The share of runs that came there within so many times the fastest one's seconds.
const within = (profile, ratio) => {
  const place = profile.ratio.findLastIndex((value) => value <= ratio);
  return place < 0 ? 0 : profile.share[place];
};

const percent = (one, value) => (one.profile ? `${(100 * value(one.profile)).toFixed(0)} %` : ABSENT);

const overallTable = (budget, models) => {
  const share = (name, head, about, value) => ({ name, head, about, value: (one) => one.profile && value(one.profile), cell: (one) => percent(one, value) });
  return sortable(`over ${models[0].tables} datasets${budget ? `, ${budget}` : ''}; score: interquartile mean over datasets and seeds [95 %], 0 the worst reference, 1 the best row`, [
    { name: 'model', head: 'model', left: true, low: true, value: (one) => one.model, cell: (one) => [one.model, one.missing ? el('span', { class: 'tag', title: one.missing }, 'lacks datasets') : null] },
    { name: 'iqm', head: 'score, 0 to 1', value: (one) => one.iqm, cell: scoreOver },
    { name: 'mean_rank', head: 'mean rank', low: true, value: (one) => one.mean_rank, cell: (one) => fixed(one.mean_rank, 2) },
    share('fastest', 'fastest', 'share of runs that were first at the target', (profile) => within(profile, 1)),
    share('reached', 'reached', 'share of runs that came to the target', (profile) => 1 - profile.never),
  ], models, { sort: 'iqm', down: true });
};

const steps = (profile, last) => {
  const points = [];
  profile.ratio.forEach((ratio, place) => {
    if (place) points.push([ratio, profile.share[place - 1]]);
    points.push([ratio, profile.share[place]]);
  });
  return [...points, [last, profile.share.at(-1) ?? 0]];
};

const profileFigure = (models) => {
  const known = models.filter((one) => one.profile && one.profile.ratio.length);
  if (!known.length) return null;
  const last = 1.1 * Math.max(...known.map((one) => one.profile.ratio.at(-1)));
  const style = (name) => ({ colour: `c${Math.max(0, labels.indexOf(name)) % STYLES}`, dash: '', mark: Math.max(0, labels.indexOf(name)) % 5 });
  return figure('Performance profile', 'performance-profile', () => [], (width) => {
    const series = known.map((one) => ({ label: one.model, style: style(one.model), marks: false,
      points: steps(one.profile, last).map(([x, y]) => ({ x, mean: y, low: y, high: y, text: `${one.model}: ${(100 * y).toFixed(0)} % within ${short(x)}× the fastest` })) }));
    return {
      svg: lineFigure({ width, title: 'Share of runs at the target over the ratio to the fastest', x: { name: 'seconds of training, × those of the fastest', log: true }, y: { name: 'share of runs' }, series }),
      below: [legend(series), el('p', { class: 'note' }, 'Target: nine tenths of the way from the worst reference to the best row, on validation (Dolan and Moré 2002).')],
      lines: [['model', 'ratio', 'share'], ...series.flatMap((one) => one.points.map((p) => [one.label, p.x, p.mean]))],
    };
  });
};

const showOverall = () => {
  const names = [...new Set(data.overall.map((one) => one.budget))];
  const budgets = names.map((name) => [name, data.overall.filter((one) => one.budget === name)]);
  const whole = budgets.filter(([, models]) => models.some((one) => !one.missing));
  byId('overall').hidden = !whole.length;
  byId('aggregates').replaceChildren(...whole.flatMap(([budget, models]) => [el('div', { class: 'aside' }, overallTable(budget, models), profileFigure(models))]));
};
