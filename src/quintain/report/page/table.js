// A table that is sorted by clicking its column headers. columns: {name, head, about, value(row), cell(row), left,
// ascending}; a column without `value` cannot be sorted, one with `ascending` is first sorted from low to high.
// Rows for which `isLast` is true stay at the end.

const sortableTable = (caption, columns, rows, { sort = null, descending = false, isLast = () => false, rowClass = () => '' } = {}) => {
  let sortName = sort, isDescending = descending;
  const body = el('tbody', {});
  const heads = columns.map((column) => el('th', { scope: 'col', class: column.left ? 'left' : '' },
    column.value ? el('button', { type: 'button', title: column.about, onclick: () => sortBy(column) }, column.head) : column.head));
  const rowHead = columns.findIndex((column) => column.left);

  const sortBy = (column) => {
    isDescending = sortName === column.name ? !isDescending : !column.ascending;
    sortName = column.name;
    fill();
  };

  const fill = () => {
    const sortColumn = columns.find(({ name }) => name === sortName);
    const isKnown = (row) => sortColumn.value(row) !== null && sortColumn.value(row) !== undefined;
    const compare = (a, b) => {
      if (isLast(a) !== isLast(b)) return isLast(a) ? 1 : -1;
      if (isKnown(a) !== isKnown(b)) return isKnown(a) ? -1 : 1; // missing values are last in both directions
      if (!isKnown(a)) return 0;
      const x = sortColumn.value(a), y = sortColumn.value(b);
      const order = typeof x === 'string' ? x.localeCompare(y) : x - y;
      return isDescending ? -order : order;
    };
    const ordered = sortColumn ? [...rows].sort(compare) : rows;
    body.replaceChildren(...ordered.map((row) => el('tr', { class: rowClass(row) }, columns.map((column, index) => {
      const content = [column.cell(row)].flat();
      return index === rowHead
        ? el('th', { scope: 'row', class: 'left' }, content) : el('td', { class: column.left ? 'left' : '' }, content);
    }))));
    heads.forEach((head, index) => {
      if (!columns[index].value) return;
      const isSorted = columns[index].name === sortName;
      head.setAttribute('aria-sort', isSorted ? (isDescending ? 'descending' : 'ascending') : 'none');
    });
  };

  fill();
  return scrollableTable(caption, {}, heads, body);
};

const scrollableTable = (caption, properties, heads, body) =>
  el('div', { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': caption },
    el('table', properties, el('caption', {}, caption), el('thead', {}, el('tr', {}, heads)), body));

const TIE_LEGEND = 'models that share a letter are not shown to differ at their number of seeds';

// Mean and half-width of its interval, with the letters of the row.
const scoreCell = (row, places) => [
  el('span', { class: 'mean' }, formatFixed(row.mean, places)),
  el('span', { class: 'half' }, halfWidth(row) === null ? '' : ` ± ${formatFixed(halfWidth(row), places)}`),
  row.letters ? el('sup', { title: TIE_LEGEND }, row.letters) : null,
];

const costCell = (name) => (row) => roughMark(row, name) + (name === 'params' || name === 'samples_per_second'
  ? formatCount(row.costs[name]) : formatShort(row.costs[name]));
