// Lines with a band around each. series: {label, style, points: [{x, mean, low, high, text}]}; levels are
// horizontal lines: {value, text}.

const lineFigure = ({ width, height = 300, title, x, y, series, levels = [] }) => {
  const points = series.flatMap((line) => line.points);
  const svg = canvas(width, height, title, describeLines(series, y));
  if (!points.length) return emptyFigure(svg, width, height);
  const [sx, sy] = axes(svg, width, height, { ...x, values: points.map((p) => p.x) },
    { ...y, values: [...points.flatMap((p) => [p.low, p.high]), ...levels.map((level) => level.value)] });
  for (const { value, text } of levels) {
    draw(svg, 'line', { class: 'level', x1: BOX.left, x2: width - BOX.right, y1: sy(value), y2: sy(value) });
    draw(svg, 'text', { class: 'tick', x: BOX.left + 4, y: sy(value) - 4 }, text);
  }
  for (const line of series) {
    const upper = line.points.map((p) => `${sx(p.x)},${sy(p.high)}`);
    const lower = line.points.map((p) => `${sx(p.x)},${sy(p.low)}`).reverse();
    if (line.points.some((p) => p.high > p.low)) draw(svg, 'polygon', { class: `band ${line.style.colour}`, points: [...upper, ...lower].join(' ') });
  }
  for (const line of series) {
    draw(svg, 'polyline', { class: `line ${line.style.colour}`, 'stroke-dasharray': line.style.dash,
      points: line.points.map((p) => `${sx(p.x)},${sy(p.mean)}`).join(' ') });
    // Long lines have one mark at their end, because colours and dashes repeat.
    const marked = line.points.length <= 12 ? line.points : line.points.slice(-1);
    marked.forEach((p) => mark(svg, line.style, sx(p.x), sy(p.mean), 3));
  }
  addTooltips(svg, points.map((p) => ({ x: sx(p.x), y: sy(p.mean), text: p.text })));
  return svg;
};

const describeLines = (series, y) => series.map((line) =>
  (line.points.length ? `${line.label} ends at ${formatShort(line.points.at(-1).mean)}` : `${line.label} has no points`)).join(', ')
  + ` (${y.name})`;

const emptyFigure = (svg, width, height) => {
  draw(svg, 'text', { class: 'name', x: width / 2, y: height / 2, 'text-anchor': 'middle' }, 'nothing to show');
  return svg;
};

// The mean curve of a row over its seeds, for the validations that all seeds have.
const curveOverSeeds = (row, axis) => {
  const curves = row.curves.filter((curve) => curve.length);
  const length = Math.min(...curves.map((curve) => curve.length));
  const points = [];
  for (let i = 0; curves.length && i < length; i += 1) {
    const values = curves.map((curve) => curve[i][2]);
    if (values.some((value) => value === null)) continue;
    const x = mean(curves.map((curve) => curve[i][axis === 'steps' ? 0 : 1]));
    points.push({ x, mean: mean(values), low: Math.min(...values), high: Math.max(...values) });
  }
  return points;
};

const legend = (entries) => el('ul', { class: 'legend' }, ...entries.map(({ label: name, style }) => {
  const svg = decoration(26, 14);
  draw(svg, 'line', { class: `line ${style.colour}`, x1: 1, x2: 25, y1: 7, y2: 7, 'stroke-dasharray': style.dash });
  mark(svg, style, 13, 7, 4);
  return el('li', {}, svg, name);
}));
