// Quality against a cost, with intervals and the Pareto front.

// A point is dominated if another one is not worse in quality and cost, and better in one of them.
const paretoFront = (points, direction) => {
  const sign = direction === 'max' ? 1 : -1;
  const isDominated = (p) => points.some((q) => q.x <= p.x && sign * q.y >= sign * p.y && (q.x < p.x || q.y !== p.y));
  return points.filter((p) => !isDominated(p)).sort((a, b) => a.x - b.x);
};

const scatterFigure = ({ width, height = 300, title, x, y, points, direction }) => {
  const front = paretoFront(points, direction);
  const svg = canvas(width, height, title, `On the Pareto front: ${front.map((p) => p.label).join(', ') || 'none'}`);
  if (!points.length) return emptyFigure(svg, width, height);
  const values = points.flatMap((p) => [p.y, p.low, p.high]).filter((value) => value !== null);
  const [sx, sy] = axes(svg, width, height, { ...x, values: points.map((p) => p.x), log: true }, { ...y, values });
  if (front.length > 1) {
    const steps = front.slice(1).map((p) => `H${sx(p.x)}V${sy(p.y)}`).join('');
    draw(svg, 'path', { class: 'front', d: `M${sx(front[0].x)} ${sy(front[0].y)}${steps}` });
  }
  for (const p of points) {
    if (p.low !== null) draw(svg, 'line', { class: `line ${p.style.colour}`, x1: sx(p.x), x2: sx(p.x), y1: sy(p.low), y2: sy(p.high) });
    mark(svg, { ...p.style, isHollow: p.isRough }, sx(p.x), sy(p.y), front.includes(p) ? 6 : 4);
  }
  addTooltips(svg, points.map((p) => ({ x: sx(p.x), y: sy(p.y), text: p.text })));
  return svg;
};
