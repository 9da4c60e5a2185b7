// A table whose headings sort it. columns: {name, head, about, value(row), cell(row), left, low}:
// `low` sorts the lowest first. Rows that are `last` stay there.

const sortable = (caption, columns, rows, { sort = null, down = false, last = () => false, mark: marked = () => '' } = {}) => {
  let by = sort, descending = down;
  const body = el('tbody', {});
  const heads = columns.map((column) => el('th', { scope: 'col', class: column.left ? 'left' : '' },
    column.value ? el('button', { type: 'button', title: column.about, onclick: () => turn(column) }, column.head) : column.head));

  const turn = (column) => {
    descending = by === column.name ? !descending : !column.low;
    by = column.name;
    fill();
  };

  const fill = () => {
    const column = columns.find(({ name }) => name === by);
    const known = (row) => column.value(row) !== null && column.value(row) !== undefined;
    const compare = (a, b) => {
      if (last(a) !== last(b)) return last(a) ? 1 : -1;
      if (known(a) !== known(b)) return known(a) ? -1 : 1; // what is missing is last in both directions
      if (!known(a)) return 0;
      const x = column.value(a), y = column.value(b);
      const order = typeof x === 'string' ? x.localeCompare(y) : x - y;
      return descending ? -order : order;
    };
    const ordered = column ? [...rows].sort(compare) : rows;
    body.replaceChildren(...ordered.map((row) => el('tr', { class: marked(row) }, columns.map((one, place) => {
      const cell = [one.cell(row)].flat();
      return place === columns.findIndex((each) => each.left)
        ? el('th', { scope: 'row', class: 'left' }, cell) : el('td', { class: one.left ? 'left' : '' }, cell);
    }))));
    heads.forEach((head, place) => {
      if (!columns[place].value) return;
      const mine = columns[place].name === by;
      head.setAttribute('aria-sort', mine ? (descending ? 'descending' : 'ascending') : 'none');
    });
  };

  fill();
  return el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    el('table', {}, el('caption', {}, caption), el('thead', {}, el('tr', {}, heads)), body));
};

// 1 → a: a letter is not taken for a footnote or a power.
const tieLetter = (row) => (row.tie_group ? String.fromCharCode(96 + Math.min(row.tie_group, 26)) : '');

// Mean and half of its interval, the letters of its tie group behind it.
const scoreCell = (row, places) => [
  el('span', { class: 'mean' }, fixed(row.mean, places)),
  el('span', { class: 'half' }, half(row) === null ? '' : ` ± ${fixed(half(row), places)}`),
  tieLetter(row) ? el('sup', { title: 'rows that share a letter are tied' }, tieLetter(row)) : null,
];

const costCell = (name) => (row) => (name === 'params' || name === 'samples_per_second'
  ? count(row.costs[name]) : short(row.costs[name]));
