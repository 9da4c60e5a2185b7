// What the page shows, and what its reader has chosen; the address keeps the choice over reloads.

const data = JSON.parse(byId('data').textContent);

const FILTERS = ['modality', 'task', 'hardware', 'budget'];
const OF_TABLE = ['modality', 'task']; // the others are of rows
const STYLES = 7; // colours of the palette; further models repeat them with other dashes and marks

const rowsOf = (name) => data.tables.flatMap((table) =>
  (OF_TABLE.includes(name) ? [table] : table.rows.filter((row) => !row.reference)));

const valuesOf = Object.fromEntries(
  FILTERS.map((name) => [name, [...new Set(rowsOf(name).map((one) => one[name]))].sort()]));

const hidden = Object.fromEntries(FILTERS.map((name) => [name, new Set()]));
const shownCosts = new Set(['params', 'train_seconds']);
const open = new Set();

const several = valuesOf.hardware.length > 1;

// The name of a row wherever it stands: model, and what tells it from others of the model.
const label = (row) => row.model + (several && !row.reference ? ` on ${row.hardware}` : '')
  + (row.variant ? ` (${row.variant})` : '');

const labels = [...new Set(data.tables.flatMap((table) =>
  table.rows.filter((row) => !row.reference).map(label)))].sort();

const styleOf = (row) => {
  if (row.reference) return { colour: 'ref', dash: '2 3', mark: 0 };
  const place = labels.indexOf(label(row));
  return {
    colour: `c${place % STYLES}`,
    dash: ['', '6 3', '2 2', '8 3 2 3'][Math.floor(place / STYLES) % 4],
    mark: place % 5,
  };
};

// What all tables have in common is said once, above them.
const sharedParts = data.tables.length < 2 ? [] : data.tables[0].comparison.split(', ')
  .filter((part) => part && data.tables.every((table) => table.comparison.split(', ').includes(part)));
const ownParts = (table) => table.comparison.split(', ').filter((part) => part && !sharedParts.includes(part)).join(', ');

const rowShown = (row) => row.reference
  || (!hidden.hardware.has(row.hardware) && !hidden.budget.has(row.budget));

// The tables that are shown, with the rows that are; a table of reference rows alone is not.
const shownTables = () => data.tables
  .map((table, id) => ({ ...table, id, rows: table.rows.filter(rowShown) }))
  .filter((table) => OF_TABLE.every((name) => !hidden[name].has(table[name]))
    && (table.rows.some((row) => !row.reference) || data.tables[table.id].rows.every((r) => r.reference)));

const costs = data.costs.filter(({ name }) =>
  data.tables.some((table) => table.rows.some((row) => row.costs[name] !== null)));

const remember = () => {
  const words = new URLSearchParams();
  for (const name of FILTERS) if (hidden[name].size) words.set(`no_${name}`, [...hidden[name]].join('\n'));
  words.set('costs', [...shownCosts].join('\n'));
  words.set('open', [...open].join('\n'));
  try { history.replaceState(null, '', `#${words}`); } catch { /* a frame without an address */ }
};

const recall = () => {
  const words = new URLSearchParams(location.hash.slice(1));
  const list = (name) => (words.get(name) || '').split('\n').filter(Boolean);
  for (const name of FILTERS) list(`no_${name}`).forEach((value) => hidden[name].add(value));
  if (words.has('costs')) { shownCosts.clear(); list('costs').forEach((name) => shownCosts.add(name)); }
  if (words.has('open')) list('open').forEach((id) => open.add(Number(id)));
  else if (data.tables.length) open.add(0);
};
