// All models × all datasets, and the filters of the page.

// One line per model, with its row in each shown table, or null. Baselines have different names in each
// task, so a single line has the best baseline of each table.
const matrixLines = (tables) => {
  const lines = new Map();
  tables.forEach((table, index) => rankedRows(table).forEach((row) => {
    if (!lines.has(label(row))) lines.set(label(row), { name: label(row), baseline: false, cells: tables.map(() => null) });
    lines.get(label(row)).cells[index] = row;
  }));
  const baselines = tables.map((table) => table.rows.find((row) => row.baseline && row.mean !== null) || null);
  const isShown = byId('baselines').checked && baselines.some(Boolean);
  return [...lines.values(), ...(isShown ? [{ name: 'best baseline', baseline: true, cells: baselines }] : [])];
};

// The number of seeds if all cells have the same; otherwise null, and each cell shows its number.
const commonSeedCount = (lines) => {
  const counts = new Set(lines.filter((line) => !line.baseline).flatMap((line) => line.cells.filter(Boolean).map((row) => row.n)));
  return counts.size === 1 ? [...counts][0] : null;
};

// Sums and extremes over datasets are null if a value is missing; otherwise a model would look too cheap.
const combine = (values, how) => {
  if (!values.length || values.some((value) => value === null || value === undefined)) return null;
  return { sum, largest: (v) => Math.max(...v), smallest: (v) => Math.min(...v) }[how](values);
};

const isComplete = (line) => !line.baseline && line.cells.every((row) => row && row.rank !== null);

// Mean ranks over the shown datasets, among the models with results on all of them; ties share a mean rank.
const meanRanks = (lines) => {
  const complete = lines.filter(isComplete);
  const rankAmong = (rank, index) => {
    const [better, same] = [(other) => other < rank, (other) => other === rank].map((test) => complete.filter((line) => test(line.cells[index].rank)).length);
    return better + (same + 1) / 2;
  };
  return new Map(complete.map((line) => [line, mean(line.cells.map((row, index) => rankAmong(row.rank, index)))]));
};

const scoreColumn = (table, index, numSeeds) => ({
  name: `table${table.id}`, ascending: table.direction === 'min',
  head: [el('span', { class: 'dataset' }, table.dataset), el('span', { class: 'metric' }, `${table.metric} ${ARROW[table.direction]}`),
    ownSettings(table) ? el('span', { class: 'metric' }, ownSettings(table).replaceAll(/[/=,]/g, '$&\u200b')) : null], // long paths may break
  about: `sort by ${table.metric} on ${table.dataset}${table.comparison ? `, ${table.comparison}` : ''}`,
  value: (line) => line.cells[index] && line.cells[index].mean,
  cell: (line) => {
    const row = line.cells[index];
    if (!row) return el('span', { class: 'faint' }, ABSENT);
    const title = `${label(row)} on ${table.dataset}: n = ${row.n}, seeds ${row.seeds.join(', ')}`;
    return el('span', { class: isWinner(row) ? 'best' : '', title }, scoreCell(row, table.places),
      row.baseline || !numSeeds ? el('span', { class: 'n' }, row.baseline ? row.model : `n = ${row.n}`) : null);
  },
});

const costColumn = ({ name, label: head, over }) => {
  const value = (line) => (line.baseline ? null : combine(line.cells.map((row) => row && row.costs[name]), over));
  return { name, ascending: name !== 'samples_per_second', value, about: `${over} over the shown datasets; missing if one value is`,
    head: [el('span', { class: 'dataset' }, head), el('span', { class: 'metric' }, over)],
    cell: (line) => (line.cells.some((row) => row && value(line) !== null && roughMark(row, name)) ? '~' : '')
      + (name === 'params' ? formatCount(value(line)) : formatShort(value(line))) };
};

const matrixColumns = (tables, numSeeds, ranks) => {
  const model = { name: 'model', head: 'model', left: true, ascending: true, value: (line) => line.name, cell: (line) => line.name };
  const rank = { name: 'rank', head: 'mean rank', ascending: true, about: 'over the shown datasets, among the models that have all of them',
    value: (line) => ranks.get(line), cell: (line) => formatFixed(ranks.get(line), 2) };
  return [model, ...(tables.length > 1 && ranks.size ? [rank] : []),
    ...tables.map((table, index) => scoreColumn(table, index, numSeeds)),
    ...availableCosts.filter(({ name }) => shownCosts.has(name)).map(costColumn)];
};

// Words about what the table cannot show: no model is better than a baseline, times are rough.
const matrixRemarks = (tables) => [
  ...tables.filter((table) => rankedRows(table).length && rankedRows(table)[0].beaten_by)
    .map((table) => `no model beats ${rankedRows(table)[0].beaten_by} on ${table.dataset}`),
  ...(tables.some((table) => rankedRows(table).some((row) => row.rough)) ? ['~: rough times, see the dataset'] : []),
];

const showMatrix = () => {
  const tables = shownTables();
  if (!tables.length) {
    byId('matrix').replaceChildren(el('p', { class: 'note' }, data.tables.length ? 'The filters leave nothing to show.' : 'The store has no finished results to rank.'));
    return;
  }
  const lines = matrixLines(tables), numSeeds = commonSeedCount(lines), columns = matrixColumns(tables, numSeeds, meanRanks(lines));
  const sortByRank = tables.length > 1 && lines.every((line) => line.baseline || isComplete(line));
  const hasTies = tables.some((table) => table.rows.some((row) => row.letters));
  const caption = ['mean on the test split ± half of its 95 % interval; best in bold', numSeeds ? `${plural(numSeeds, 'seed')} each` : 'n: number of seeds',
    ...(hasTies ? [TIE_LEGEND] : []), ...matrixRemarks(tables), ...sharedSettings].join('; ');
  byId('matrix').replaceChildren(sortableTable(caption, columns, lines, {
    sort: sortByRank ? 'rank' : `table${tables[0].id}`, descending: !sortByRank && tables[0].direction === 'max',
    isLast: (line) => line.baseline, rowClass: (line) => (line.baseline ? 'baseline' : '') }));
};

const showFilters = (onChange) => {
  const checkbox = (text, checked, update, id = null) => el('label', { class: 'chip' },
    el('input', { type: 'checkbox', checked, id, onchange: (event) => { update(event.target.checked); saveChoices(); onChange(); } }), el('span', {}, text));
  const toggle = (set, value, isMember) => (isMember ? set.add(value) : set.delete(value));
  const filters = FILTERS.filter((name) => filterValues[name].length > 1).map((name) => el('fieldset', {}, el('legend', {}, name),
    filterValues[name].map((value) => checkbox(value.replaceAll('_', ' '), !hidden[name].has(value), (isShown) => toggle(hidden[name], value, !isShown)))));
  byId('filters').replaceChildren(...filters, el('fieldset', {}, el('legend', {}, 'columns'),
    checkbox('best baseline', true, () => {}, 'baselines'),
    availableCosts.map(({ name, label: text }) => checkbox(text, shownCosts.has(name), (isShown) => toggle(shownCosts, name, isShown)))));
};
