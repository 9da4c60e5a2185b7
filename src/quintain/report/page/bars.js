// Horizontal bars. bars: {label, style, value, low, high, note}; the note is shown instead of a missing value.

const CHARACTER_WIDTH = 7; // pixels, approximately

const barFigure = ({ width, title, x, bars }) => {
  const lineHeight = 26, left = Math.min(150, Math.max(...bars.map((bar) => bar.label.length)) * CHARACTER_WIDTH + 14);
  const height = bars.length * lineHeight + BOX.top + BOX.bottom;
  const description = bars.map((bar) => `${bar.label}: ${bar.value === null ? bar.note : formatShort(bar.value)}`).join(', ');
  const svg = canvas(width, height, title, description);
  const known = bars.filter((bar) => bar.value !== null);
  const values = known.length ? known.flatMap((bar) => [bar.value, bar.high]) : [1];
  const sx = scale(values, left, width - 48, { zero: true });
  for (const value of known.length ? sx.ticks : []) {
    draw(svg, 'line', { class: 'grid', x1: sx(value), x2: sx(value), y1: BOX.top, y2: height - BOX.bottom });
    draw(svg, 'text', { class: 'tick', x: sx(value), y: height - BOX.bottom + 16, 'text-anchor': 'middle' }, tickText(value));
  }
  draw(svg, 'text', { class: 'name', x: (left + width) / 2, y: height - 6, 'text-anchor': 'middle' }, x.name);
  const spots = bars.map((bar, index) => {
    const y = BOX.top + index * lineHeight + lineHeight / 2;
    const isLong = bar.label.length * CHARACTER_WIDTH > left - 6;
    const name = isLong ? `${bar.label.slice(0, Math.floor(left / CHARACTER_WIDTH) - 2)}…` : bar.label;
    draw(svg, 'text', { class: 'tick', x: left - 8, y: y + 4, 'text-anchor': 'end' }, name);
    if (bar.value === null) draw(svg, 'text', { class: 'tick faint', x: left + 4, y: y + 4 }, bar.note);
    else {
      draw(svg, 'rect', { class: `bar ${bar.style.colour}`, x: left, y: y - 8, width: Math.max(1, sx(bar.value) - left), height: 16 });
      if (bar.high > bar.low) draw(svg, 'line', { class: 'whisker', x1: sx(bar.low), x2: sx(bar.high), y1: y, y2: y });
      draw(svg, 'text', { class: 'tick', x: sx(bar.high) + 5, y: y + 4 }, formatShort(bar.value));
    }
    return { x: bar.value === null ? left + 10 : sx(bar.value), y, text: `${bar.label}: ${bar.note}` };
  });
  addTooltips(svg, spots);
  return svg;
};
