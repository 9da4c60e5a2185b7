// Horizontal bars. bars: {label, style, value, low, high, note}; a value that is missing has a note.

const barFigure = ({ width, title, x, bars }) => {
  const line = 26, head = Math.min(150, Math.max(...bars.map((bar) => bar.label.length)) * 7 + 14);
  const height = bars.length * line + BOX.top + BOX.bottom;
  const words = bars.map((bar) => `${bar.label}: ${bar.value === null ? bar.note : short(bar.value)}`).join(', ');
  const svg = canvas(width, height, title, words);
  const known = bars.filter((bar) => bar.value !== null);
  const values = known.length ? known.flatMap((bar) => [bar.value, bar.high]) : [1];
  const sx = scale(values, head, width - 48, { zero: true });
  for (const value of known.length ? sx.ticks : []) {
    draw(svg, 'line', { class: 'grid', x1: sx(value), x2: sx(value), y1: BOX.top, y2: height - BOX.bottom });
    draw(svg, 'text', { class: 'tick', x: sx(value), y: height - BOX.bottom + 16, 'text-anchor': 'middle' }, tickText(value));
  }
  draw(svg, 'text', { class: 'name', x: (head + width) / 2, y: height - 6, 'text-anchor': 'middle' }, x.name);
  const spots = bars.map((bar, place) => {
    const y = BOX.top + place * line + line / 2;
    const name = bar.label.length * 7 > head - 6 ? `${bar.label.slice(0, Math.floor(head / 7) - 2)}…` : bar.label;
    draw(svg, 'text', { class: 'tick', x: head - 8, y: y + 4, 'text-anchor': 'end' }, name);
    if (bar.value === null) draw(svg, 'text', { class: 'tick faint', x: head + 4, y: y + 4 }, bar.note);
    else {
      draw(svg, 'rect', { class: `bar ${bar.style.colour}`, x: head, y: y - 8, width: Math.max(1, sx(bar.value) - head), height: 16 });
      if (bar.high > bar.low) draw(svg, 'line', { class: 'whisker', x1: sx(bar.low), x2: sx(bar.high), y1: y, y2: y });
      draw(svg, 'text', { class: 'tick', x: sx(bar.high) + 5, y: y + 4 }, short(bar.value));
    }
    return { x: bar.value === null ? head + 10 : sx(bar.value), y, text: `${bar.label}: ${bar.note}` };
  });
  hover(svg, spots);
  return svg;
};
