// Elements and number formats. Text from records becomes a text node, never markup.

const el = (tag, properties = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (typeof value === 'boolean') node.toggleAttribute(name, value);
    else if (value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
};

const byId = (id) => document.getElementById(id);

const ABSENT = '–';
const ARROW = { max: '↑', min: '↓' };

// As in report/formatting.py: huge numbers have an exponent.
const formatFixed = (value, places) => {
  if (value === null || value === undefined) return ABSENT;
  return Math.abs(value) < 1e7 ? value.toFixed(places) : value.toExponential(3);
};

// 49800 → 49.8k, as on the terminal.
const formatCount = (value) => {
  if (value === null || value === undefined) return ABSENT;
  if (Math.abs(value) >= 1e13) return formatFixed(value, 0);
  for (const [size, letter] of [[1e9, 'G'], [1e6, 'M'], [1e3, 'k']]) {
    if (Math.abs(value) >= size) return (value / size).toFixed(1) + letter;
  }
  return Number.isInteger(value) ? String(value) : formatShort(value);
};

// Three significant digits, with an exponent only for very small and very large values.
const formatShort = (value) => {
  if (value === null || value === undefined) return ABSENT;
  if (value === 0) return '0';
  const size = Math.floor(Math.log10(Math.abs(value)));
  if (size < -4 || size > 6) return value.toExponential(2);
  return value.toFixed(Math.max(0, 2 - size));
};

const sum = (values) => values.reduce((total, value) => total + value, 0);

const mean = (values) => sum(values.map((value) => value / values.length)); // a sum may overflow

const plural = (number, noun) => `${number} ${noun}${number === 1 ? '' : 's'}`;

const halfWidth = (row) => (row.ci_low === null || row.ci_high === null ? null : row.ci_high / 2 - row.ci_low / 2);

// A group of radio buttons; `onChange` is called with the selected value.
let numRadioGroups = 0;
const radioGroup = (legend, options, selected, onChange) => {
  numRadioGroups += 1;
  const name = `choice${numRadioGroups}`;
  return el('fieldset', { class: 'choice' }, el('legend', {}, legend), ...options.map(([value, label]) =>
    el('label', {}, el('input', {
      type: 'radio', name, value, checked: value === selected, onchange: () => onChange(value),
    }), el('span', {}, label))));
};

const selectBox = (label, options, selected, onChange) =>
  el('label', { class: 'select' }, `${label} `, el('select', { onchange: (event) => onChange(event.target.value) },
    ...options.map(([value, text]) => el('option', { value, selected: value === selected }, text))));
