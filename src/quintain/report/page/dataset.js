// The section of one dataset: table, figures and samples, drawn when it is opened.

// A mean as a mark and its interval as a line; all rows of a table have the same scale.
const intervalPlot = (row, low, high, style) => {
  const svg = decoration(90, 14);
  const position = (value) => 5 + 80 * ((value / 4 - low / 4) / (high / 4 - low / 4 || 1));
  if (row.mean === null || row.mean < low || row.mean > high) return svg;
  if (row.ci_low !== null) draw(svg, 'line', { class: `line ${style.colour}`, x1: position(Math.max(low, row.ci_low)), x2: position(Math.min(high, row.ci_high)), y1: 7, y2: 7 });
  mark(svg, style, position(row.mean), 7, 3.5);
  return svg;
};

const failedChecks = (row) => [
  ...Object.entries(row.trust).filter(([, { ok }]) => ok === false).map(([name, { note }]) => `${name}: ${note}`),
  ...(row.collapsed_seeds.length ? [`the seeds fall into two groups; worse: ${row.collapsed_seeds.join(', ')}`] : []),
];

const rankText = (row) => (row.baseline ? 'base' : row.rank === null ? ABSENT : String(row.rank));

const rankRangeText = (row) => {
  if (!row.rank_low || !row.rank_high) return ABSENT;
  return row.rank_low === row.rank_high ? String(row.rank_low) : `${row.rank_low}–${row.rank_high}`;
};

const modelCell = (row) => {
  const checks = failedChecks(row);
  return [label(row), checks.length
    ? el('span', { class: 'doubt', title: checks.join('\n'), tabindex: '0', role: 'img', 'aria-label': `doubtful: ${checks.join('; ')}` }, '⚑') : null];
};

const datasetTable = (table) => {
  const hasModels = rankedRows(table).length > 0;
  const means = table.rows.filter((row) => row.mean !== null && (!row.baseline || !hasModels)).map((row) => row.mean);
  const range = (Math.max(...means) / 4 - Math.min(...means) / 4) || Math.abs(means[0]) / 4 || 1;
  const limit = Number.MAX_VALUE;
  const low = Math.max(-limit, Math.min(...means) - range), high = Math.min(limit, Math.max(...means) + range);
  const columns = [
    { name: 'rank', head: '#', ascending: true, about: 'rank among the models', value: (row) => row.rank, cell: rankText },
    { name: 'model', head: 'model', left: true, ascending: true, value: (row) => label(row), cell: modelCell },
    { name: 'mean', head: `${table.metric} ${ARROW[table.direction]}`, ascending: table.direction === 'min', value: (row) => row.mean, cell: (row) => scoreCell(row, table.places) },
    { name: 'interval', head: '95 % interval', cell: (row) => intervalPlot(row, low, high, styleOf(row)) },
    ...(table.rows.some((row) => row.rank_low) ? [{ name: 'ranks', head: 'ranks', ascending: true, about: '95 % confidence range of the rank', value: (row) => row.rank_low, cell: rankRangeText }] : []),
    { name: 'n', head: 'n', about: 'number of seeds', value: (row) => row.n, cell: (row) => String(row.n) },
    ...availableCosts.filter(({ name }) => shownCosts.has(name)).map(({ name, label: head }) => ({ name, head, ascending: name !== 'samples_per_second', value: (row) => row.costs[name], cell: costCell(name) })),
  ];
  return sortableTable(`${table.dataset}: ${table.metric}${table.unit ? ` (${table.unit})` : ''} on the test split`, columns, table.rows,
    { sort: 'mean', descending: table.direction === 'max', rowClass: (row) => (row.baseline ? 'baseline' : isWinner(row) ? 'best' : '') });
};

const datasetBody = (table) => {
  const name = fileName(table.dataset, table.comparison);
  const figures = [curveFigure, paretoFigure, timeToTargetFigure, confusionFigure].map((make) => make(table, name)).filter(Boolean);
  const samples = sampleSection(table, name);
  const [first] = rankedRows(table);
  const rough = rankedRows(table).filter((row) => row.rough).map(label);
  const notes = [...(first && first.beaten_by ? [`no model beats ${first.beaten_by}`] : []),
    ...table.rows.flatMap((row) => row.notes.map((note) => `${label(row)}: ${note}`)),
    ...new Set(table.rows.flatMap((row) => row.data_notes.map((note) => `data: ${note}`))),
    ...(rough.length ? [`~ rough times: ${rough.join(', ')}; ⚑ says why`] : [])];
  return [datasetTable(table), notes.length ? el('ul', { class: 'note' }, notes.map((note) => el('li', {}, note))) : null,
    el('div', { class: 'figures' }, figures), samples ? [el('h3', {}, 'Samples of the test split'), samples] : null].flat().filter(Boolean);
};

// Draws the content of an open section, unless it has been drawn.
const fillSection = (section) => {
  const [, body] = section.children;
  if (section.open && !body.childElementCount) body.append(...datasetBody(shownTables().find((table) => `table${table.id}` === section.id)));
};

const showDatasets = () => {
  byId('datasets').replaceChildren(...shownTables().map((table) => {
    const body = el('div', { class: 'body' });
    const best = table.rows.find((row) => row.mean !== null);
    const winner = best && (best.baseline && rankedRows(table).length
      ? `no model beats ${best.model} ${formatFixed(best.mean, table.places)}` : `${label(best)} ${formatFixed(best.mean, table.places)}`);
    const head = el('summary', {}, el('span', { class: 'dataset' }, table.dataset), table.generated ? el('span', { class: 'tag' }, 'generated data') : null,
      el('span', { class: 'kind' }, [table.modality, table.task.replaceAll('_', ' '), ownSettings(table)].filter(Boolean).join(' · ')),
      winner ? el('span', { class: 'winner' }, winner) : null);
    const section = el('details', { id: `table${table.id}`, open: openTables.has(table.id) }, head, body);
    section.addEventListener('toggle', () => { (section.open ? openTables.add(table.id) : openTables.delete(table.id)); saveChoices(); fillSection(section); });
    fillSection(section);
    return section;
  }));
};
