// A confusion matrix: rows are true classes, columns predictions; the shade is the share of the row.

const heatFigure = ({ width, title, classes, counts }) => {
  const size = classes.length, longest = Math.max(...classes.map((name) => name.length));
  const left = Math.min(110, longest * 7 + 30), top = size > 12 ? 30 : Math.min(90, longest * 7 + 26);
  const side = Math.min(44, (width - left - 10) / size), height = top + side * size + 14;
  const numCorrect = sum(counts.map((line, row) => line[row]));
  const svg = canvas(width, height, title, `${numCorrect} of ${sum(counts.flat())} are correct; ${mostFrequentError(classes, counts)}`);
  draw(svg, 'text', { class: 'name', x: left + (side * size) / 2, y: 12, 'text-anchor': 'middle' }, 'prediction');
  draw(svg, 'text', { class: 'name', x: 10, y: top + (side * size) / 2, 'text-anchor': 'middle',
    transform: `rotate(-90 10 ${top + (side * size) / 2})` }, 'truth');
  const stride = Math.ceil(14 / side);
  const shorten = (name) => (name.length > 12 ? `${name.slice(0, 11)}…` : name);
  const spots = [];
  counts.forEach((line, row) => {
    const total = sum(line), y = top + row * side;
    if (row % stride === 0) draw(svg, 'text', { class: 'tick', x: left - 5, y: y + side / 2 + 4, 'text-anchor': 'end' }, shorten(classes[row]));
    line.forEach((number, column) => {
      const x = left + column * side, share = total ? number / total : 0;
      draw(svg, 'rect', { class: 'heat', x, y, width: side - 1, height: side - 1, 'fill-opacity': (0.04 + 0.96 * share).toFixed(3) });
      if (side >= 26 && number) draw(svg, 'text', { class: `tick ${share > 0.5 ? 'inverse' : ''}`, x: x + side / 2 - 0.5, y: y + side / 2 + 4, 'text-anchor': 'middle' }, number > 9999 ? formatCount(number) : String(number));
      spots.push({ x: x + side / 2, y: y + side / 2, text: `${classes[row]} predicted as ${classes[column]}: ${number} of ${total}` });
    });
  });
  classes.forEach((name, column) => {
    if (column % stride) return;
    const x = left + column * side + side / 2, upright = size <= 12 && side < name.length * 7;
    draw(svg, 'text', { class: 'tick', x, y: top - 5, 'text-anchor': upright ? 'start' : 'middle',
      ...(upright ? { transform: `rotate(-90 ${x + 4} ${top - 5})`, x: x + 4 } : {}) }, shorten(name));
  });
  addTooltips(svg, spots);
  return svg;
};

const mostFrequentError = (classes, counts) => {
  const errors = counts.flatMap((line, row) => line.map((number, column) => [row === column ? 0 : number, row, column]));
  const [number, row, column] = errors.reduce((most, error) => (error[0] > most[0] ? error : most), [0, 0, 0]);
  return number ? `the most frequent error is ${classes[row]} predicted as ${classes[column]} (${number})` : 'there are no errors';
};
