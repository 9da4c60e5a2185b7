// All models × all datasets: the first thing to see. And what is shown of them.

const ARROW = { max: '↑', min: '↓' };

// Models by name; each with the row it has in every table that is shown, or none. Reference rows
// have names of their own in each task: of each table the best one stands in one line for all.
const matrixRows = (tables) => {
  const names = new Map();
  tables.forEach((table, place) => table.rows.filter((row) => !row.reference).forEach((row) => {
    if (!names.has(label(row))) names.set(label(row), { name: label(row), reference: false, cells: tables.map(() => null) });
    names.get(label(row)).cells[place] = row;
  }));
  const best = tables.map((table) => table.rows.find((row) => row.reference && row.mean !== null) || null);
  const simple = { name: 'best reference', reference: true, cells: best };
  return [...names.values(), ...(byId('references').checked && best.some(Boolean) ? [simple] : [])];
};

// The number of seeds where it is the same everywhere; else each cell says its own.
const sameSeeds = (rows) => {
  const every = new Set(rows.filter((one) => !one.reference).flatMap((one) => one.cells.filter(Boolean).map((cell) => cell.n)));
  return every.size === 1 ? [...every][0] : null;
};

// Sums and extremes are missing where a part is: a hole makes nobody better.
const together = (values, over) => {
  if (!values.length || values.some((value) => value === null || value === undefined)) return null;
  return { sum: (v) => v.reduce((a, b) => a + b, 0), largest: (v) => Math.max(...v), smallest: (v) => Math.min(...v) }[over](values);
};

const complete = (one) => !one.reference && one.cells.every((cell) => cell && cell.rank !== null);

// Over the datasets shown, among the models that have all of them; equal ones share their mean.
const meanRanks = (rows) => {
  const whole = rows.filter(complete);
  const rank = (mine, place) => {
    const [better, same] = [(r) => r < mine, (r) => r === mine].map((test) => whole.filter((one) => test(one.cells[place].rank)).length);
    return better + (same + 1) / 2;
  };
  return new Map(whole.map((one) => [one, mean(one.cells.map((cell, place) => rank(cell.rank, place)))]));
};

const matrixColumns = (tables, seeds, ranks) => {
  const model = { name: 'model', head: 'model', left: true, low: true, value: (one) => one.name, cell: (one) => one.name };
  const rank = { name: 'rank', head: 'mean rank', low: true, about: 'over the datasets shown, among the models that have all of them',
    value: (one) => ranks.get(one), cell: (one) => fixed(ranks.get(one), 2) };
  const scores = tables.map((table, place) => ({
    name: `table${table.id}`, low: table.direction === 'min',
    head: [el('span', { class: 'dataset' }, table.dataset), el('span', { class: 'metric' }, `${table.metric} ${ARROW[table.direction]}`), ownParts(table) ? el('span', { class: 'metric' }, ownParts(table).replaceAll(/[/=,]/g, '$&\u200b')) : null], // long paths may break
    about: `sort by ${table.metric} on ${table.dataset}${table.comparison ? `, ${table.comparison}` : ''}`,
    value: (one) => one.cells[place] && one.cells[place].mean,
    cell: (one) => {
      const row = one.cells[place];
      if (!row) return el('span', { class: 'faint' }, ABSENT);
      const words = `${label(row)} on ${table.dataset}: n = ${row.n}, seeds ${row.seeds.join(', ')}`;
      return el('span', { class: row.rank === 1 ? 'best' : '', title: words }, scoreCell(row, table.places),
        row.reference || !seeds ? el('span', { class: 'n' }, row.reference ? row.model : `n = ${row.n}`) : null);
    },
  }));
  const spent = costs.filter(({ name }) => shownCosts.has(name)).map(({ name, label: head, over }) => {
    const value = (one) => (one.reference ? null : together(one.cells.map((cell) => cell && cell.costs[name]), over));
    return { name, low: name !== 'samples_per_second', value, about: `${over} over the datasets shown; missing where one is`,
      head: [el('span', { class: 'dataset' }, head), el('span', { class: 'metric' }, over)],
      cell: (one) => (name === 'params' ? count(value(one)) : short(value(one))) };
  });
  return [model, ...(tables.length > 1 && ranks.size ? [rank] : []), ...scores, ...spent];
};

const showMatrix = () => {
  const tables = shownTables(), rows = matrixRows(tables);
  if (!tables.length) {
    byId('matrix').replaceChildren(el('p', { class: 'note' }, data.tables.length ? 'The filters leave nothing to show.' : 'The store has no finished results to rank.'));
    return;
  }
  const ranked = tables.length > 1 && rows.every((one) => one.reference || complete(one));
  const seeds = sameSeeds(rows), columns = matrixColumns(tables, seeds, meanRanks(rows)), first = `table${tables[0].id}`;
  const sort = ranked ? 'rank' : first;
  const down = sort === first && tables[0].direction === 'max';
  byId('matrix').replaceChildren(
    sortable(['mean on the test split ± half of its 95 % interval; best in bold', seeds ? `${plural(seeds, 'seed')} each` : 'n: seeds', ...(tables.some((table) => table.rows.some(tieLetter)) ? ['rows that share a letter are tied'] : []), ...sharedParts].join('; '), columns, rows, { sort, down, last: (one) => one.reference, mark: (one) => (one.reference ? 'reference' : '') }));
};

const showFilters = (changed) => {
  const box = (words, checked, change, id = null) => el('label', { class: 'chip' },
    el('input', { type: 'checkbox', checked, id, onchange: (event) => { change(event.target.checked); remember(); changed(); } }), el('span', {}, words));
  const toggle = (set, value, on) => (on ? set.add(value) : set.delete(value));
  const groupsOf = FILTERS.filter((name) => valuesOf[name].length > 1).map((name) => el('fieldset', {}, el('legend', {}, name),
    valuesOf[name].map((value) => box(value.replaceAll('_', ' '), !hidden[name].has(value), (on) => toggle(hidden[name], value, !on)))));
  byId('filters').replaceChildren(...groupsOf, el('fieldset', {}, el('legend', {}, 'columns'),
    box('best reference', true, () => {}, 'references'),
    costs.map(({ name, label: words }) => box(words, shownCosts.has(name), (on) => toggle(shownCosts, name, on)))));
};
