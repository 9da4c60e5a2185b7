// The sentences about the results, and the section with machines, checks, cells without a score and notes.

const textTable = (caption, heads, lines) => scrollableTable(caption, { class: 'prose' },
  heads.map((head) => el('th', { scope: 'col', class: 'left' }, head)),
  el('tbody', {}, lines.map((line) => el('tr', {}, line.map((cell) => el('td', { class: 'left' }, cell))))));

const factsText = (facts) => Object.entries(facts).map(([name, value]) => `${name.replaceAll('_', ' ')} ${typeof value === 'object' ? JSON.stringify(value) : value}`).join(' · ');

const MAX_CASES = 50;
const doubtfulCases = ({ doubtful: cases }) => {
  if (!cases.length) return '0';
  return el('details', {}, el('summary', {}, String(cases.length)), el('ul', {}, cases.slice(0, MAX_CASES).map((text) => el('li', {}, text)),
    cases.length > MAX_CASES ? el('li', {}, `and ${cases.length - MAX_CASES} more`) : null));
};

const cellText = (cell, reason) => `${cell.dataset}/${cell.model}/s${cell.seed} on ${cell.hardware}: ${reason}`;

const noteList = (title, texts) => (texts.length
  ? el('div', {}, el('h3', {}, title), el('ul', { class: 'note' }, texts.map((text) => el('li', {}, text)))) : null);

const showAbout = () => {
  const withoutScore = [...data.failed.map((cell) => `failed: ${cellText(cell, `${cell.kind}: ${cell.message}`)}`),
    ...data.skipped.map((cell) => `skipped: ${cellText(cell, cell.reason)}`)];
  byId('about').replaceChildren(...[
    data.machines.length ? textTable('Machines', ['machine', 'runs', 'hardware', 'versions'], data.machines.map((machine) => [machine.host.slice(0, 12), String(machine.runs), factsText(machine.facts), factsText(machine.versions)])) : null,
    data.trust.length ? textTable('Checks of each row: the worst result over its seeds', ['check', 'concerns', 'good', 'doubtful', 'unknown'], data.trust.map((row) => [row.check.replaceAll('_', ' '), row.about, String(row.good), doubtfulCases(row), String(row.unknown)])) : null,
    noteList('Cells without a score', withoutScore),
    noteList('Notes', [...data.notes, ...(data.left_out ? [data.left_out] : [])]),
  ].filter(Boolean));
  byId('footer').replaceChildren(`Quintain ${data.quintain}, built ${data.built.replace('T', ' ').replace('+00:00', ' UTC')}. `
    + 'Scores are means over seeds on the test split, evaluated once with the weights that were best on validation; intervals are by Student’s t. '
    + 'The page is one file and loads nothing from the network.');
};

// Text in backticks is shown in bold.
const formatSentence = (text) => text.split('`').map((part, index) => (index % 2 ? el('b', {}, part) : part));

const MAX_SENTENCES = 6; // the others are in a collapsed section
const showSentences = () => {
  byId('in-words').hidden = !data.sentences.length;
  const items = data.sentences.map((text) => el('li', {}, formatSentence(text)));
  const more = items.splice(MAX_SENTENCES);
  byId('sentences').replaceChildren(...items);
  if (more.length) byId('sentences').after(el('details', {}, el('summary', {}, `${more.length} more`), el('ul', {}, more)));
};
