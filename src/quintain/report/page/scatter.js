// Points of quality against a cost, with their intervals, and the front of those no other one beats.

// A point is beaten where another is as good and as cheap, and better in one of the two.
const front = (points, direction) => {
  const sign = direction === 'max' ? 1 : -1;
  const beaten = (p) => points.some((q) => q.x <= p.x && sign * q.y >= sign * p.y && (q.x < p.x || q.y !== p.y));
  return points.filter((p) => !beaten(p)).sort((a, b) => a.x - b.x);
};

const scatterFigure = ({ width, height = 300, title, x, y, points, direction }) => {
  const best = front(points, direction);
  const words = `On the front: ${best.map((p) => p.label).join(', ') || 'none'}`;
  const svg = canvas(width, height, title, words);
  if (!points.length) return emptyFigure(svg, width, height);
  const values = points.flatMap((p) => [p.y, p.low, p.high]).filter((value) => value !== null);
  const [sx, sy] = axes(svg, width, height, { ...x, values: points.map((p) => p.x), log: true }, { ...y, values });
  if (best.length > 1) {
    const steps = best.slice(1).map((p) => `H${sx(p.x)}V${sy(p.y)}`).join('');
    draw(svg, 'path', { class: 'front', d: `M${sx(best[0].x)} ${sy(best[0].y)}${steps}` });
  }
  for (const p of points) {
    if (p.low !== null) draw(svg, 'line', { class: `line ${p.style.colour}`, x1: sx(p.x), x2: sx(p.x), y1: sy(p.low), y2: sy(p.high) });
    mark(svg, p.style, sx(p.x), sy(p.y), best.includes(p) ? 6 : 4);
  }
  hover(svg, points.map((p) => ({ x: sx(p.x), y: sy(p.y), text: p.text })));
  return svg;
};
