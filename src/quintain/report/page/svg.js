// What all figures are made of: an SVG with axes, scales and marks. Colours are classes of page.css.

const SVG = 'http://www.w3.org/2000/svg';

const draw = (parent, tag, attributes = {}, text = null) => {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== null) made.textContent = text;
  parent.append(made);
  return made;
};

// Steps of 1, 2 or 5 times a power of ten, about `wanted` of them.
const ticks = (low, high, wanted) => {
  const raw = (high - low) / wanted || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((by) => by * power).find((by) => by >= raw);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at += 1) found.push(at * step);
  return found;
};

const logTicks = (low, high) => {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const by of [1, 2, 5]) found.push(by * 10 ** power);
  }
  const within = found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
  return within.length > 7 ? within.filter((value) => Number.isInteger(Math.log10(value) + 1e-12)) : within;
};

// A scale over values, with room at the ends; logarithmic where they span more than a factor of 20.
const scale = (values, from, to, { log = false, zero = false } = {}) => {
  let low = Math.min(...values), high = Math.max(...values);
  if (zero) low = Math.min(0, low);
  const apart = log && low > 0 && high / low > 20;
  if (apart) { low /= 1.15; high *= 1.15; } else {
    const room = (high - low || Math.abs(high) || 1) * 0.06;
    if (!zero || low < 0) low -= room;
    high += room;
  }
  const part = apart ? (v) => Math.log(v / low) / Math.log(high / low) : (v) => (v - low) / (high - low);
  const place = (value) => from + part(value) * (to - from);
  place.ticks = apart ? logTicks(low, high) : ticks(low, high, Math.max(3, Math.abs(to - from) / 56));
  return place;
};

const tickText = (value) => {
  const size = Math.abs(value);
  if (size >= 1000) return count(value).replace('.0', '');
  return size && size < 1e-3 ? value.toExponential(0) : String(Number(value.toPrecision(6)));
};

const canvas = (width, height, title, words) => {
  const svg = document.createElementNS(SVG, 'svg');
  const all = { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', tabindex: '0' };
  for (const [name, value] of Object.entries(all)) svg.setAttribute(name, value);
  svg.setAttribute('aria-label', `${title}. ${words}`);
  return svg;
};

const BOX = { left: 52, right: 14, top: 12, bottom: 40 };

// Axes with their ticks, lines and names; gives the scales.
const axes = (svg, width, height, x, y) => {
  const sx = scale(x.values, BOX.left, width - BOX.right, x);
  const sy = scale(y.values, height - BOX.bottom, BOX.top, y);
  for (const value of sy.ticks) {
    draw(svg, 'line', { class: 'grid', x1: BOX.left, x2: width - BOX.right, y1: sy(value), y2: sy(value) });
    draw(svg, 'text', { class: 'tick', x: BOX.left - 6, y: sy(value) + 4, 'text-anchor': 'end' }, tickText(value));
  }
  for (const value of sx.ticks) {
    const at = { class: 'tick', x: sx(value), y: height - BOX.bottom + 16, 'text-anchor': 'middle' };
    draw(svg, 'line', { class: 'axis', x1: sx(value), x2: sx(value), y1: height - BOX.bottom, y2: height - BOX.bottom + 4 });
    draw(svg, 'text', at, tickText(value));
  }
  draw(svg, 'line', { class: 'axis', x1: BOX.left, x2: width - BOX.right, y1: height - BOX.bottom, y2: height - BOX.bottom });
  draw(svg, 'text', { class: 'name', x: (BOX.left + width - BOX.right) / 2, y: height - 6, 'text-anchor': 'middle' }, x.name);
  draw(svg, 'text', { class: 'name', x: 12, y: BOX.top + (height - BOX.bottom - BOX.top) / 2, 'text-anchor': 'middle',
    transform: `rotate(-90 12 ${BOX.top + (height - BOX.bottom - BOX.top) / 2})` }, y.name);
  return [sx, sy];
};

// Marks of several shapes, so that no model is told by its colour alone.
const mark = (svg, style, x, y, size = 4.5) => {
  const s = size;
  const shapes = [
    `M${x - s} ${y}a${s} ${s} 0 1 0 ${2 * s} 0a${s} ${s} 0 1 0 ${-2 * s} 0`,
    `M${x - s} ${y - s}h${2 * s}v${2 * s}h${-2 * s}z`,
    `M${x} ${y - s * 1.2}l${s * 1.2} ${s * 2.2}h${-s * 2.4}z`,
    `M${x} ${y - s * 1.3}l${s * 1.3} ${s * 1.3}l${-s * 1.3} ${s * 1.3}l${-s * 1.3} ${-s * 1.3}z`,
    `M${x} ${y + s * 1.2}l${s * 1.2} ${-s * 2.2}h${-s * 2.4}z`,
  ];
  return draw(svg, 'path', { class: `mark ${style.colour}`, d: shapes[style.mark] });
};

// Says what is under the pointer, or what the arrow keys have reached. `spots`: {x, y, text}.
const hover = (svg, spots) => {
  if (!spots.length) return;
  const ring = draw(svg, 'circle', { class: 'ring', r: 8, visibility: 'hidden' });
  let at = -1;
  const show = (spot) => {
    ring.setAttribute('cx', spot.x); ring.setAttribute('cy', spot.y); ring.setAttribute('visibility', 'visible');
    const box = svg.getBoundingClientRect(), by = box.width / svg.viewBox.baseVal.width;
    tell(spot.text, box.left + spot.x * by, box.top + spot.y * by);
  };
  const hide = () => { ring.setAttribute('visibility', 'hidden'); untell(); };
  svg.addEventListener('pointermove', (event) => {
    const box = svg.getBoundingClientRect(), by = box.width / svg.viewBox.baseVal.width;
    const px = (event.clientX - box.left) / by, py = (event.clientY - box.top) / by;
    const far = (spot) => Math.hypot(spot.x - px, spot.y - py);
    const near = spots.reduce((best, spot) => (far(spot) < far(best) ? spot : best));
    if (far(near) < 60) { at = spots.indexOf(near); show(near); } else hide();
  });
  svg.addEventListener('pointerleave', hide);
  svg.addEventListener('blur', hide);
  svg.addEventListener('keydown', (event) => {
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === 'Escape') hide();
    if (!by) return;
    event.preventDefault();
    at = (at + by + spots.length) % spots.length;
    show(spots[at]);
  });
};

const tell = (text, x, y) => {
  const tip = byId('tip');
  tip.textContent = text;
  tip.hidden = false;
  const width = tip.offsetWidth;
  tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - width - 4))}px`;
  tip.style.top = `${Math.max(4, y - tip.offsetHeight - 10)}px`;
};

const untell = () => { byId('tip').hidden = true; };
