// A figure with buttons that save it as SVG or PNG, and its data as CSV.

// The saved file has no style sheet, so computed styles become attributes.
const STYLE_ATTRIBUTES = ['fill', 'fill-opacity', 'stroke', 'stroke-width', 'stroke-dasharray', 'stroke-linejoin', 'opacity',
  'font-size', 'font-family', 'font-weight', 'visibility'];

const toSvg = (svg) => {
  const copy = svg.cloneNode(true);
  const copies = [copy, ...copy.querySelectorAll('*')];
  [svg, ...svg.querySelectorAll('*')].forEach((node, i) => {
    const style = getComputedStyle(node);
    for (const name of STYLE_ATTRIBUTES) copies[i].setAttribute(name, style.getPropertyValue(name));
    copies[i].removeAttribute('class'); copies[i].removeAttribute('tabindex');
  });
  copy.setAttribute('xmlns', SVG);
  const background = document.createElementNS(SVG, 'rect');
  const attributes = { width: '100%', height: '100%', fill: getComputedStyle(document.body).backgroundColor };
  for (const [name, value] of Object.entries(attributes)) background.setAttribute(name, value);
  copy.prepend(background);
  return new XMLSerializer().serializeToString(copy);
};

const download = (name, content) => {
  const address = URL.createObjectURL(content);
  el('a', { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
};

const savePng = (svg, name) => {
  const image = new Image(), box = svg.viewBox.baseVal, zoom = 2; // twice the size, for print
  image.onload = () => {
    const canvasNode = el('canvas', { width: box.width * zoom, height: box.height * zoom });
    canvasNode.getContext('2d').drawImage(image, 0, 0, canvasNode.width, canvasNode.height);
    canvasNode.toBlob((blob) => download(`${name}.png`, blob), 'image/png');
  };
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(toSvg(svg))}`;
};

// Text that a spreadsheet would interpret as a formula is prefixed by an apostrophe.
const csvCell = (value) => {
  if (value === null || value === undefined) return '';
  const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
};

const toCsv = (lines) => lines.map((line) => line.map(csvCell).join(',')).join('\n') + '\n';

const saveCsv = (lines, name) => download(`${name}.csv`, new Blob([toCsv(lines)], { type: 'text/csv' }));

const fileName = (...parts) => parts.join('-').replace(/[^\w.-]+/g, '_').slice(0, 80);

// Figure → the function that draws it, for printing, which does not wait for an animation frame.
const drawNow = new WeakMap();

// `controls(redraw)` returns input elements; `render(width)` returns {svg, below, lines}: the SVG element, the
// elements below it, and the rows of the CSV file.
const figure = (title, name, controls, render) => {
  const plot = el('div', { class: 'plot' }), below = el('div', {});
  const plotWidth = () => Math.max(280, Math.min(720, plot.clientWidth || 520));
  let current = null;
  const redraw = () => {
    current = render(plotWidth());
    plot.replaceChildren(current.svg);
    below.replaceChildren(...[current.below].flat().filter(Boolean));
  };
  const button = (format, save) => el('button', { type: 'button', class: 'save', onclick: save,
    'aria-label': `save ${title} as ${format}` }, format);
  const node = el('figure', {}, el('figcaption', {}, title), el('div', { class: 'controls' }, ...controls(redraw)), plot, below,
    el('div', { class: 'saves' }, button('SVG', () => download(`${name}.svg`, new Blob([toSvg(current.svg)], { type: 'image/svg+xml' }))),
      button('PNG', () => savePng(current.svg, name)), button('CSV', () => saveCsv(current.lines, name))));
  new ResizeObserver(() => { if (current && current.svg.viewBox.baseVal.width !== plotWidth()) redraw(); }).observe(plot);
  requestAnimationFrame(redraw);
  drawNow.set(node, redraw);
  return node;
};
