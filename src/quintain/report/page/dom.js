// Elements and numbers. Text from records becomes a text node, never markup.

const el = (tag, properties = {}, ...children) => {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (typeof value === 'boolean') made.toggleAttribute(name, value);
    else if (value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
};

const byId = (id) => document.getElementById(id);

const ABSENT = '–';

const fixed = (value, places) => (value === null || value === undefined ? ABSENT : value.toFixed(places));

// 49800 → 49.8k, as on the terminal.
const count = (value) => {
  if (value === null || value === undefined) return ABSENT;
  for (const [size, letter] of [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
    if (Math.abs(value) >= size) return (value / size).toFixed(1) + letter;
  }
  return Number.isInteger(value) ? String(value) : short(value);
};

// Three significant digits without an exponent, where that is readable.
const short = (value) => {
  if (value === null || value === undefined) return ABSENT;
  if (value === 0) return '0';
  const size = Math.floor(Math.log10(Math.abs(value)));
  if (size < -4 || size > 6) return value.toExponential(2);
  return value.toFixed(Math.max(0, 2 - size));
};

const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;

const plural = (number, word) => `${number} ${word}${number === 1 ? '' : 's'}`;

const half = (row) => (row.ci_low === null || row.ci_high === null ? null : (row.ci_high - row.ci_low) / 2);

// A group of choices of which one holds; `change` is called with the one chosen.
let groups = 0;
const choice = (legend, options, chosen, change) => {
  const name = `choice${(groups += 1)}`;
  return el('fieldset', { class: 'choice' }, el('legend', {}, legend), ...options.map(([value, label]) =>
    el('label', {}, el('input', {
      type: 'radio', name, value, checked: value === chosen, onchange: () => change(value),
    }), el('span', {}, label))));
};

const select = (label, options, chosen, change) =>
  el('label', { class: 'select' }, `${label} `, el('select', { onchange: (event) => change(event.target.value) },
    ...options.map(([value, words]) => el('option', { value, selected: value === chosen }, words))));
