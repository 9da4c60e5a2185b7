// Lines over an axis, with a band around each. series: {label, style, points: [{x, mean, low, high, text}]}.

const lineFigure = ({ width, height = 300, title, x, y, series, levels = [] }) => {
  const points = series.flatMap((one) => one.points);
  const svg = canvas(width, height, title, linesInWords(series, y));
  if (!points.length) return emptyFigure(svg, width, height);
  const [sx, sy] = axes(svg, width, height, { ...x, values: points.map((p) => p.x) },
    { ...y, values: [...points.flatMap((p) => [p.low, p.high]), ...levels.map((level) => level.value)] });
  for (const { value, text } of levels) {
    draw(svg, 'line', { class: 'level', x1: BOX.left, x2: width - BOX.right, y1: sy(value), y2: sy(value) });
    draw(svg, 'text', { class: 'tick', x: BOX.left + 4, y: sy(value) - 4 }, text);
  }
  for (const { points: own, style } of series) {
    const up = own.map((p) => `${sx(p.x)},${sy(p.high)}`);
    const down = own.map((p) => `${sx(p.x)},${sy(p.low)}`).reverse();
    if (own.some((p) => p.high > p.low)) draw(svg, 'polygon', { class: `band ${style.colour}`, points: [...up, ...down].join(' ') });
  }
  for (const { points: own, style, marks } of series) {
    draw(svg, 'polyline', { class: `line ${style.colour}`, 'stroke-dasharray': style.dash,
      points: own.map((p) => `${sx(p.x)},${sy(p.mean)}`).join(' ') });
    if (marks !== false && own.length <= 12) own.forEach((p) => mark(svg, style, sx(p.x), sy(p.mean), 3));
  }
  hover(svg, points.map((p) => ({ x: sx(p.x), y: sy(p.mean), text: p.text })));
  return svg;
};

const linesInWords = (series, y) => series.map(({ label: name, points }) =>
  (points.length ? `${name} ends at ${short(points.at(-1).mean)}` : `${name} has none`)).join(', ')
  + ` (${y.name})`;

const emptyFigure = (svg, width, height) => {
  draw(svg, 'text', { class: 'name', x: width / 2, y: height / 2, 'text-anchor': 'middle' }, 'nothing to show');
  return svg;
};

// The mean over seeds of what they have in common, by the number of the validation.
const overSeeds = (row, axis) => {
  const curves = row.curves.filter((curve) => curve.length);
  const length = Math.min(...curves.map((curve) => curve.length));
  const found = [];
  for (let place = 0; curves.length && place < length; place += 1) {
    const at = curves.map((curve) => curve[place]);
    const values = at.map((point) => point[2]);
    if (values.some((value) => value === null)) continue;
    const x = mean(at.map((point) => point[axis === 'steps' ? 0 : 1]));
    found.push({ x, mean: mean(values), low: Math.min(...values), high: Math.max(...values) });
  }
  return found;
};

const legend = (entries) => el('ul', { class: 'legend' }, ...entries.map(({ label: name, style }) => {
  const sign = canvas(26, 14, name, '');
  sign.removeAttribute('tabindex'); sign.setAttribute('aria-hidden', 'true');
  draw(sign, 'line', { class: `line ${style.colour}`, x1: 1, x2: 25, y1: 7, y2: 7, 'stroke-dasharray': style.dash });
  mark(sign, style, 13, 7, 4);
  return el('li', {}, sign, name);
}));
