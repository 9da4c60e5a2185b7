// A figure as SVG or PNG, its data as CSV. Classes become attributes: a file has no style sheet.

const KEPT = ['fill', 'fill-opacity', 'stroke', 'stroke-width', 'stroke-dasharray', 'stroke-linejoin', 'opacity',
  'font-size', 'font-family', 'font-weight', 'visibility'];

const asSvg = (svg) => {
  const copy = svg.cloneNode(true);
  const pairs = [[svg, copy], ...[...svg.querySelectorAll('*')].map((node, i) => [node, copy.querySelectorAll('*')[i]])];
  for (const [node, mine] of pairs) {
    const style = getComputedStyle(node);
    for (const name of KEPT) mine.setAttribute(name, style.getPropertyValue(name));
    mine.removeAttribute('class'); mine.removeAttribute('tabindex');
  }
  copy.setAttribute('xmlns', SVG);
  const ground = document.createElementNS(SVG, 'rect');
  const all = { width: '100%', height: '100%', fill: getComputedStyle(document.body).backgroundColor };
  for (const [name, value] of Object.entries(all)) ground.setAttribute(name, value);
  copy.prepend(ground);
  return new XMLSerializer().serializeToString(copy);
};

const download = (name, content) => {
  const address = URL.createObjectURL(content);
  const link = el('a', { href: address, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
};

const savePng = (svg, name) => {
  const picture = new Image(), box = svg.viewBox.baseVal, by = 2; // twice, for print
  picture.onload = () => {
    const sheet = el('canvas', { width: box.width * by, height: box.height * by });
    sheet.getContext('2d').drawImage(picture, 0, 0, sheet.width, sheet.height);
    sheet.toBlob((blob) => download(`${name}.png`, blob), 'image/png');
  };
  picture.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(asSvg(svg))}`;
};

// Text that a spreadsheet would take for a formula begins with an apostrophe.
const csvCell = (value) => {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

const asCsv = (lines) => lines.map((line) => line.map(csvCell).join(',')).join('\n') + '\n';

const saveCsv = (lines, name) => download(`${name}.csv`, new Blob([asCsv(lines)], { type: 'text/csv' }));

const fileName = (...words) => words.join('-').replace(/[^\w.-]+/g, '_').slice(0, 80);

// A figure with its title, controls, and ways to save it. `draw(width)` gives {svg, lines, below}.
const figure = (title, name, controls, drawn) => {
  const place = el('div', { class: 'plot' }), below = el('div', {});
  let now = null;
  const redraw = () => {
    now = drawn(Math.max(280, Math.min(720, place.clientWidth || 520)));
    place.replaceChildren(now.svg);
    below.replaceChildren(...[now.below].flat().filter(Boolean));
  };
  const button = (words, act) => el('button', { type: 'button', class: 'save', onclick: act,
    'aria-label': `save ${title} as ${words}` }, words);
  const made = el('figure', {}, el('figcaption', {}, title), el('div', { class: 'controls' }, ...controls(redraw)), place, below,
    el('div', { class: 'saves' }, button('SVG', () => download(`${name}.svg`, new Blob([asSvg(now.svg)], { type: 'image/svg+xml' }))),
      button('PNG', () => savePng(now.svg, name)), button('CSV', () => saveCsv(now.lines, name))));
  new ResizeObserver(() => { if (now && now.svg.viewBox.baseVal.width !== Math.max(280, Math.min(720, place.clientWidth))) redraw(); }).observe(place);
  requestAnimationFrame(redraw);
  return made;
};
