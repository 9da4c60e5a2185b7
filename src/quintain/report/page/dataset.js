// One dataset: its table, figures and samples, drawn when it is opened.

// A mean and its interval as a dot with a whisker, on one scale for the whole table.
const strip = (row, low, high, style) => {
  const svg = canvas(90, 14, `${label(row)}`, `interval from ${short(row.ci_low)} to ${short(row.ci_high)}`);
  svg.removeAttribute('tabindex'); svg.setAttribute('aria-hidden', 'true');
  const at = (value) => 5 + 80 * ((value - low) / (high - low || 1));
  if (row.mean === null || row.mean < low || row.mean > high) return svg;
  if (row.ci_low !== null) draw(svg, 'line', { class: `line ${style.colour}`, x1: at(Math.max(low, row.ci_low)), x2: at(Math.min(high, row.ci_high)), y1: 7, y2: 7 });
  mark(svg, style, at(row.mean), 7, 3.5);
  return svg;
};

const doubts = (row) => Object.entries(row.trust).filter(([, { ok }]) => ok === false).map(([name, { note }]) => `${name}: ${note}`);

const rankWords = (row) => {
  if (row.reference) return 'ref';
  if (row.rank_low && row.rank_high && row.rank_low !== row.rank_high) return `${row.rank_low}–${row.rank_high}`;
  return row.rank === null ? ABSENT : String(row.rank);
};

const datasetTable = (table) => {
  const models = table.rows.filter((row) => row.mean !== null && (!row.reference || table.rows.every((one) => one.reference))), means = models.map((row) => row.mean);
  const spread = (Math.max(...means) - Math.min(...means)) || Math.abs(means[0]) || 1;
  const low = Math.min(...means) - spread * 0.25, high = Math.max(...means) + spread * 0.25;
  const columns = [
    { name: 'rank', head: '#', low: true, about: 'rank among the models', value: (row) => row.rank, cell: rankWords },
    { name: 'model', head: 'model', left: true, low: true, value: (row) => label(row), cell: (row) => [label(row), doubts(row).length ? el('span', { class: 'doubt', title: doubts(row).join('\n'), tabindex: '0', role: 'img', 'aria-label': `doubtful: ${doubts(row).join('; ')}` }, '⚑') : null] },
    { name: 'mean', head: `${table.metric} ${ARROW[table.direction]}`, low: table.direction === 'min', value: (row) => row.mean, cell: (row) => scoreCell(row, table.places) },
    { name: 'interval', head: '95 % interval', cell: (row) => strip(row, low, high, styleOf(row)) },
    { name: 'n', head: 'n', about: 'seeds', value: (row) => row.n, cell: (row) => String(row.n) },
    ...costs.filter(({ name }) => shownCosts.has(name)).map(({ name, label: head }) => ({ name, head, low: name !== 'samples_per_second', value: (row) => row.costs[name], cell: costCell(name) })),
  ];
  return sortable(`${table.dataset}: ${table.metric}${table.unit ? ` (${table.unit})` : ''} on the test split`, columns, table.rows,
    { sort: 'mean', down: table.direction === 'max', mark: (row) => (row.reference ? 'reference' : row.rank === 1 ? 'best' : '') });
};

const datasetBody = (table) => {
  const name = fileName(table.dataset, table.comparison);
  const figures = [curves, pareto, timeToTarget, confusion].map((make) => make(table, name)).filter(Boolean);
  const shown = samples(table, name);
  const notes = table.rows.flatMap((row) => row.notes.map((note) => `${label(row)}: ${note}`));
  return [datasetTable(table), notes.length ? el('ul', { class: 'note' }, notes.map((note) => el('li', {}, note))) : null,
    el('div', { class: 'figures' }, figures), shown ? [el('h3', {}, 'Samples of the test split'), shown] : null].flat().filter(Boolean);
};

const showDatasets = () => {
  byId('datasets').replaceChildren(...shownTables().map((table) => {
    const body = el('div', { class: 'body' });
    const winner = table.rows.find((row) => row.rank === 1);
    const head = el('summary', {}, el('span', { class: 'dataset' }, table.dataset), table.generated ? el('span', { class: 'tag' }, 'generated data') : null,
      el('span', { class: 'kind' }, [table.modality, table.task.replaceAll('_', ' '), ownParts(table)].filter(Boolean).join(' · ')),
      winner ? el('span', { class: 'winner' }, `${label(winner)} ${fixed(winner.mean, table.places)}`) : null);
    const part = el('details', { id: `table${table.id}`, open: open.has(table.id) }, head, body);
    const fill = () => { if (part.open && !body.childElementCount) body.append(...datasetBody(table)); };
    part.addEventListener('toggle', () => { (part.open ? open.add(table.id) : open.delete(table.id)); remember(); fill(); });
    fill();
    return part;
  }));
};
