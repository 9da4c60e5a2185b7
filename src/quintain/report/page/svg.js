// The parts of all figures: SVG elements, scales, axes, marks, tooltips. Colours are classes of page.css.

const SVG = 'http://www.w3.org/2000/svg';

const draw = (parent, tag, attributes = {}, text = null) => {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== null) node.textContent = text;
  parent.append(node);
  return node;
};

// About `number` ticks at steps of 1, 2 or 5 times a power of ten.
const linearTicks = (low, high, number) => {
  const raw = (high - low) / number || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= raw);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i += 1) ticks.push(i * step);
  return ticks;
};

const logTicks = (low, high) => {
  const ticks = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const factor of [1, 2, 5]) ticks.push(factor * 10 ** power);
  }
  const inside = ticks.filter((value) => value >= low * 0.999 && value <= high * 1.001);
  return inside.length > 7 ? inside.filter((value) => Number.isInteger(Math.log10(value) + 1e-12)) : inside;
};

// A function from values to pixels with margins at both ends; with `log` it is logarithmic if the
// values span more than a factor of 20, with `zero` it includes zero. Values near the largest number
// are divided by `unit`, so that no difference overflows.
const scale = (values, from, to, { log = false, zero = false } = {}) => {
  const known = values.filter(Number.isFinite);
  const unit = known.some((value) => Math.abs(value) > 1e300) ? 1e10 : 1;
  let low = Math.min(...(known.length ? known : [0])) / unit, high = Math.max(...(known.length ? known : [1])) / unit;
  if (zero) low = Math.min(0, low);
  const isLog = log && low > 0 && high / 20 > low;
  if (isLog) { low /= 1.15; high *= 1.15; } else {
    const size = Math.max(Math.abs(low), Math.abs(high));
    const span = high - low > 1e-9 * size ? high - low : 0; // ticks need more digits than a number has
    const margin = (span || size || 1) * 0.06;
    if (!zero || low < 0) low -= margin;
    high += margin;
  }
  const share = isLog ? (v) => (Math.log(v) - Math.log(low)) / (Math.log(high) - Math.log(low)) : (v) => (v - low) / (high - low);
  const toPixels = (value) => from + share(value / unit) * (to - from);
  const ticks = isLog ? logTicks(low, high) : linearTicks(low, high, Math.max(3, Math.abs(to - from) / 56));
  toPixels.ticks = ticks.map((value) => value * unit).filter(Number.isFinite);
  return toPixels;
};

const tickText = (value) => {
  const size = Math.abs(value);
  if (size >= 1e13) return value.toExponential(0);
  if (size >= 1000) return formatCount(value).replace('.0', '');
  return size && size < 1e-3 ? value.toExponential(0) : String(Number(value.toPrecision(6)));
};

// `description` is read by screen readers after the title.
const canvas = (width, height, title, description) => {
  const svg = document.createElementNS(SVG, 'svg');
  const attributes = { viewBox: `0 0 ${width} ${height}`, width, height, role: 'img', tabindex: '0' };
  for (const [name, value] of Object.entries(attributes)) svg.setAttribute(name, value);
  svg.setAttribute('aria-label', `${title}. ${description}`);
  return svg;
};

// A small drawing that screen readers and the keyboard skip, because there is equivalent text beside it.
const decoration = (width, height) => {
  const svg = canvas(width, height, '', '');
  svg.removeAttribute('tabindex');
  svg.setAttribute('aria-hidden', 'true');
  return svg;
};

const BOX = { left: 52, right: 14, top: 12, bottom: 40 };

// Draws axes with ticks, grid lines and names; returns the scales of x and y.
const axes = (svg, width, height, x, y) => {
  const sx = scale(x.values, BOX.left, width - BOX.right, x);
  const sy = scale(y.values, height - BOX.bottom, BOX.top, y);
  for (const value of sy.ticks) {
    draw(svg, 'line', { class: 'grid', x1: BOX.left, x2: width - BOX.right, y1: sy(value), y2: sy(value) });
    draw(svg, 'text', { class: 'tick', x: BOX.left - 6, y: sy(value) + 4, 'text-anchor': 'end' }, tickText(value));
  }
  for (const value of sx.ticks) {
    draw(svg, 'line', { class: 'axis', x1: sx(value), x2: sx(value), y1: height - BOX.bottom, y2: height - BOX.bottom + 4 });
    draw(svg, 'text', { class: 'tick', x: sx(value), y: height - BOX.bottom + 16, 'text-anchor': 'middle' }, tickText(value));
  }
  draw(svg, 'line', { class: 'axis', x1: BOX.left, x2: width - BOX.right, y1: height - BOX.bottom, y2: height - BOX.bottom });
  draw(svg, 'text', { class: 'name', x: (BOX.left + width - BOX.right) / 2, y: height - 6, 'text-anchor': 'middle' }, x.name);
  const middle = BOX.top + (height - BOX.bottom - BOX.top) / 2;
  draw(svg, 'text', { class: 'name', x: 12, y: middle, 'text-anchor': 'middle', transform: `rotate(-90 12 ${middle})` }, y.name);
  return [sx, sy];
};

// Marks have several shapes, so that models do not differ in colour only.
const mark = (svg, style, x, y, size = 4.5) => {
  const s = size;
  const shapes = [
    `M${x - s} ${y}a${s} ${s} 0 1 0 ${2 * s} 0a${s} ${s} 0 1 0 ${-2 * s} 0`,
    `M${x - s} ${y - s}h${2 * s}v${2 * s}h${-2 * s}z`,
    `M${x} ${y - s * 1.2}l${s * 1.2} ${s * 2.2}h${-s * 2.4}z`,
    `M${x} ${y - s * 1.3}l${s * 1.3} ${s * 1.3}l${-s * 1.3} ${s * 1.3}l${-s * 1.3} ${-s * 1.3}z`,
    `M${x} ${y + s * 1.2}l${s * 1.2} ${-s * 2.2}h${-s * 2.4}z`,
  ];
  return draw(svg, 'path', { class: `mark ${style.colour}${style.isHollow ? ' hollow' : ''}`, d: shapes[style.mark] });
};

// Shows the text of the spot nearest to the pointer, or selected with the arrow keys. spots: {x, y, text}.
const addTooltips = (svg, spots) => {
  if (!spots.length) return;
  const ring = draw(svg, 'circle', { class: 'ring', r: 8, visibility: 'hidden' });
  let index = -1;
  const show = (spot) => {
    ring.setAttribute('cx', spot.x); ring.setAttribute('cy', spot.y); ring.setAttribute('visibility', 'visible');
    const box = svg.getBoundingClientRect(), zoom = box.width / svg.viewBox.baseVal.width;
    showTip(spot.text, box.left + spot.x * zoom, box.top + spot.y * zoom);
  };
  const hide = () => { ring.setAttribute('visibility', 'hidden'); hideTip(); };
  svg.addEventListener('pointermove', (event) => {
    const box = svg.getBoundingClientRect(), zoom = box.width / svg.viewBox.baseVal.width;
    const px = (event.clientX - box.left) / zoom, py = (event.clientY - box.top) / zoom;
    const distance = (spot) => Math.hypot(spot.x - px, spot.y - py);
    const nearest = spots.reduce((best, spot) => (distance(spot) < distance(best) ? spot : best));
    if (distance(nearest) < 60) { index = spots.indexOf(nearest); show(nearest); } else hide();
  });
  svg.addEventListener('pointerleave', hide);
  svg.addEventListener('blur', hide);
  svg.addEventListener('keydown', (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (event.key === 'Escape') hide();
    if (!step) return;
    event.preventDefault();
    index = (index + step + spots.length) % spots.length;
    show(spots[index]);
  });
};

const showTip = (text, x, y) => {
  const tip = byId('tip');
  tip.textContent = text;
  tip.hidden = false;
  const width = tip.offsetWidth;
  tip.style.left = `${Math.max(4, Math.min(x + 12, innerWidth - width - 4))}px`;
  tip.style.top = `${Math.max(4, y - tip.offsetHeight - 10)}px`;
};

const hideTip = () => { byId('tip').hidden = true; };
