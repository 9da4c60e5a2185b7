// The machines, what to trust, what is missing, and how to read the page.

const simple = (caption, heads, lines) => el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
  el('table', { class: 'words' }, el('caption', {}, caption), el('thead', {}, el('tr', {}, heads.map((head) => el('th', { scope: 'col', class: 'left' }, head)))),
    el('tbody', {}, lines.map((line) => el('tr', {}, line.map((cell) => el('td', { class: 'left' }, cell)))))));

const pairs = (facts) => Object.entries(facts).map(([name, value]) => `${name.replaceAll('_', ' ')} ${typeof value === 'object' ? JSON.stringify(value) : value}`).join(' · ');

const doubtful = ({ doubtful: cases }) => {
  if (!cases.length) return '0';
  return el('details', {}, el('summary', {}, String(cases.length)), el('ul', {}, cases.slice(0, 50).map((one) => el('li', {}, one)),
    cases.length > 50 ? el('li', {}, `and ${cases.length - 50} more`) : null));
};

const lost = (cell, why) => `${cell.dataset}/${cell.model}/s${cell.seed} on ${cell.hardware}: ${why}`;

const showAbout = () => {
  const gone = [...data.failed.map((cell) => `failed: ${lost(cell, `${cell.kind}: ${cell.message}`)}`), ...data.skipped.map((cell) => `skipped: ${lost(cell, cell.reason)}`)];
  const said = [...data.notes, ...(data.left_out ? [data.left_out] : [])];
  byId('about').replaceChildren(...[
    data.machines.length ? simple('Machines', ['machine', 'runs', 'hardware', 'versions'], data.machines.map((one) => [one.host.slice(0, 12), String(one.runs), pairs(one.facts), pairs(one.versions)])) : null,
    data.trust.length ? simple('Checks of each row: the worst of its seeds', ['check', 'speaks of', 'good', 'doubtful', 'not known'], data.trust.map((one) => [one.check.replaceAll('_', ' '), one.about, String(one.good), doubtful(one), String(one.unknown)])) : null,
    gone.length ? el('div', {}, el('h3', {}, 'Cells without a score'), el('ul', { class: 'note' }, gone.map((one) => el('li', {}, one)))) : null,
    said.length ? el('div', {}, el('h3', {}, 'Notes'), el('ul', { class: 'note' }, said.map((one) => el('li', {}, one)))) : null,
  ].filter(Boolean));
  byId('footer').replaceChildren(`Quintain ${data.quintain}, built ${data.built.replace('T', ' ').replace('+00:00', ' UTC')}. `
    + 'Scores are means over seeds on the test split, read once with the weights that were best on validation; intervals are Student’s t. '
    + 'The page is one file and loads nothing.');
};

// What stands between two ` is a name.
const sentence = (text) => text.split('`').map((part, place) => (place % 2 ? el('b', {}, part) : part));

const showWords = () => {
  byId('words').hidden = !data.sentences.length;
  const items = data.sentences.map((one) => el('li', {}, sentence(one)));
  byId('sentences').replaceChildren(...items.slice(0, 6));
  if (items.length > 6) byId('sentences').after(el('details', {}, el('summary', {}, `${items.length - 6} more`), el('ul', {}, items.slice(6))));
};
