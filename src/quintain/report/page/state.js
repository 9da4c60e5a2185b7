// The data of the page and the user's choices, which are stored in the URL fragment.

const data = JSON.parse(byId('data').textContent);

const FILTERS = ['modality', 'task', 'hardware', 'budget'];
const TABLE_FILTERS = ['modality', 'task']; // the others filter rows
const NUM_COLOURS = 7; // more models reuse the colours with other dashes and marks
const DASHES = ['', '7 3', '2 2', '10 3 2 3', '14 4', '5 2 1 2 1 2'];
const TIME_COSTS = ['train_seconds', 'total_seconds', 'samples_per_second', 'latency_ms', 'energy_wh'];

const rankedRows = (table) => table.rows.filter((row) => !row.baseline);

const filterValues = Object.fromEntries(FILTERS.map((name) => {
  const items = data.tables.flatMap((table) => (TABLE_FILTERS.includes(name) ? [table] : rankedRows(table)));
  return [name, [...new Set(items.map((item) => item[name]))].sort()];
}));

const hidden = Object.fromEntries(FILTERS.map((name) => [name, new Set()]));
const shownCosts = new Set(['params', 'train_seconds']);
const openTables = new Set();

const hasSeveralHardware = filterValues.hardware.length > 1;

// The label of a row in tables and figures: the model, hardware and variant where needed.
const label = (row) => row.model + (hasSeveralHardware && !row.baseline ? ` on ${row.hardware}` : '')
  + (row.variant ? ` (${row.variant})` : '');

const labels = [...new Set(data.tables.flatMap((table) => rankedRows(table).map(label)))].sort();

const styleOf = (row) => {
  if (row.baseline) return { colour: 'neutral', dash: '2 3', mark: 0 };
  const index = labels.indexOf(label(row));
  return {
    colour: `c${index % NUM_COLOURS}`,
    dash: DASHES[Math.floor(index / NUM_COLOURS) % DASHES.length],
    mark: index % 5,
  };
};

// Settings that all tables share are shown once, in the caption of the matrix.
const settingsOf = (table) => table.comparison.split(/, (?=[a-z][\w.]*=)/).filter(Boolean);
const sharedSettings = data.tables.length < 2 ? [] : settingsOf(data.tables[0])
  .filter((setting) => data.tables.every((table) => settingsOf(table).includes(setting)));
const ownSettings = (table) => settingsOf(table).filter((setting) => !sharedSettings.includes(setting)).join(', ');

// The mark of times that a check calls unreliable.
const roughMark = (row, cost = 'train_seconds') => (row.rough && TIME_COSTS.includes(cost) ? '~' : '');

const isWinner = (row) => row.rank === 1 && !row.beaten_by;

const isRowShown = (row) => row.baseline
  || (!hidden.hardware.has(row.hardware) && !hidden.budget.has(row.budget));

// The tables and rows that pass the filters. A table without remaining models is hidden, unless it has only
// baselines anyway.
const shownTables = () => data.tables
  .map((table, id) => ({ ...table, id, rows: table.rows.filter(isRowShown) }))
  .filter((table) => TABLE_FILTERS.every((name) => !hidden[name].has(table[name]))
    && (rankedRows(table).length || !rankedRows(data.tables[table.id]).length));

const availableCosts = data.costs.filter(({ name }) =>
  data.tables.some((table) => table.rows.some((row) => row.costs[name] !== null)));

const saveChoices = () => {
  const choices = new URLSearchParams();
  for (const name of FILTERS) if (hidden[name].size) choices.set(`no_${name}`, [...hidden[name]].join('\n'));
  choices.set('costs', [...shownCosts].join('\n'));
  choices.set('open', [...openTables].join('\n'));
  try { history.replaceState(null, '', `#${choices}`); } catch { /* not allowed in some frames */ }
};

const restoreChoices = () => {
  const choices = new URLSearchParams(location.hash.slice(1));
  const values = (name) => (choices.get(name) || '').split('\n').filter(Boolean);
  for (const name of FILTERS) values(`no_${name}`).forEach((value) => hidden[name].add(value));
  if (choices.has('costs')) { shownCosts.clear(); values('costs').forEach((name) => shownCosts.add(name)); }
  if (choices.has('open')) values('open').forEach((id) => openTables.add(Number(id)));
  else if (data.tables.length) openTables.add(0);
};
