/** The confusion matrix: drawn for any number of classes, read by pointer, finger or keys. */

/** Side of a square where there are few, in CSS pixels. */
const MOST = 72;

const canvas = document.getElementById('matrix');
if (canvas) start(JSON.parse(document.getElementById('matrix-data').textContent));

function start({ classes, support, cells }) {
  const size = classes.length;
  const output = document.getElementById('cell');
  const counts = new Map();
  for (let index = 0; index < cells.length; index += 3) {
    counts.set(cells[index] * size + cells[index + 1], cells[index + 2]);
  }
  const mistakes = [...counts.keys()].filter((place) => Math.floor(place / size) !== place % size);
  /** The place that is told of: row * size + column; -1 for none. */
  let at = -1;
  /** Where the squares begin and how large they are, in CSS pixels. */
  let layout = { left: 0, top: 0, side: 1 };

  function draw() {
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const width = canvas.clientWidth;
    layout = arrange(width);
    const { left, top, side } = layout;
    const height = top + side * size + 1;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    canvas.style.aspectRatio = `${width} / ${height}`;
    const context = canvas.getContext('2d');
    context.scale(ratio, ratio);
    context.font = `12px ${style.fontFamily}`;
    context.fillStyle = colour('--sheet');
    context.fillRect(left, top, side * size, side * size);
    const gap = side >= 8 ? 1 : 0;
    for (const [place, count] of counts) {
      const [row, column] = [Math.floor(place / size), place % size];
      const share = count / support[row];
      // A single mistake among many is still to be seen.
      context.globalAlpha = row === column ? 0.15 + 0.6 * share : 0.3 + 0.7 * Math.sqrt(share);
      context.fillStyle = colour(row === column ? '--grey' : '--accent');
      const least = Math.max(side - gap, 1 / ratio);
      context.fillRect(left + column * side, top + row * side, least, least);
      context.globalAlpha = 1;
      if (side < 22) continue;
      context.fillStyle = row !== column && share > 0.3 ? colour('--paper') : colour('--ink');
      context.textAlign = 'center';
      context.textBaseline = 'middle';
      context.fillText(String(count), left + (column + 0.5) * side, top + (row + 0.5) * side, side - 4);
    }
    context.strokeStyle = colour('--line');
    context.lineWidth = 1;
    context.strokeRect(left - 0.5, top - 0.5, side * size + 1, side * size + 1);
    if (left > 0) drawNames(context, colour('--soft'), colour('--ink'));
    if (at >= 0) mark(context, colour('--ink'));
  }

  /** Names stand beside the rows and above the columns where these are high enough to be read. */
  function arrange(width) {
    const margin = Math.min(160, width * 0.27);
    const side = Math.min(MOST, (width - margin - 1) / size);
    if (side >= 13) return { left: margin, top: Math.min(margin, 110), side };
    return { left: 0, top: 0, side: Math.min(MOST, (width - 1) / size) };
  }

  function drawNames(context, soft, ink) {
    const { left, top, side } = layout;
    const [atRow, atColumn] = at < 0 ? [-1, -1] : [Math.floor(at / size), at % size];
    context.textBaseline = 'middle';
    for (const [index, name] of classes.entries()) {
      const middle = (index + 0.5) * side;
      context.fillStyle = index === atRow ? ink : soft;
      context.textAlign = 'right';
      context.fillText(fitted(context, name, left - 8), left - 8, top + middle);
      context.save();
      context.translate(left + middle, top - 8);
      context.rotate(-Math.PI / 2);
      context.fillStyle = index === atColumn ? ink : soft;
      context.textAlign = 'left';
      context.fillText(fitted(context, name, top - 12), 0, 0);
      context.restore();
    }
  }

  function mark(context, ink) {
    const { left, top, side } = layout;
    const [row, column] = [Math.floor(at / size), at % size];
    context.strokeStyle = ink;
    context.globalAlpha = 0.25;
    context.strokeRect(left, top + row * side, side * size, side);
    context.strokeRect(left + column * side, top, side, side * size);
    context.globalAlpha = 1;
    context.lineWidth = 2;
    context.strokeRect(left + column * side - 1, top + row * side - 1, side + 1, side + 1);
  }

  /** Tells of a place in words; names are text, whatever is in them. */
  function show(place) {
    at = place;
    const [row, column] = [Math.floor(at / size), at % size];
    const count = counts.get(at) ?? 0;
    const name = (index) => {
      const element = document.createElement('bdi');
      element.textContent = classes[index];
      const strong = document.createElement('b');
      strong.append(element);
      return strong;
    };
    const of = support[row] > 0 ? ` (${((100 * count) / support[row]).toFixed(1)}\u00a0%)` : '';
    output.replaceChildren(
      `${count} of ${support[row]} pictures of `,
      name(row),
      ...(row === column ? [' were found'] : [' were taken for ', name(column)]),
      `${of}.`,
    );
    draw();
  }

  function point(event) {
    const box = canvas.getBoundingClientRect();
    const { left, top, side } = layout;
    const within = (offset) => Math.min(size - 1, Math.max(0, Math.floor(offset / side)));
    const [x, y] = [event.clientX - box.left - left, event.clientY - box.top - top];
    const place = within(y) * size + within(x);
    if (place !== at) show(place);
  }

  function key(event) {
    const [row, column] = at < 0 ? [0, 0] : [Math.floor(at / size), at % size];
    const last = size - 1;
    const places = {
      ArrowLeft: [row, Math.max(0, column - 1)],
      ArrowRight: [row, Math.min(last, column + 1)],
      ArrowUp: [Math.max(0, row - 1), column],
      ArrowDown: [Math.min(last, row + 1), column],
      Home: [row, 0],
      End: [row, last],
    };
    const next = { n: mistakes.find((place) => place > at), p: mistakes.findLast((place) => place < at) };
    const place = places[event.key]
      ? places[event.key][0] * size + places[event.key][1]
      : next[event.key.toLowerCase()];
    if (place === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    show(place);
  }

  canvas.addEventListener('pointermove', point);
  canvas.addEventListener('pointerdown', point);
  canvas.addEventListener('keydown', key);
  new ResizeObserver(draw).observe(canvas);
  for (const query of ['(prefers-color-scheme: dark)', 'print']) matchMedia(query).addEventListener('change', draw);
}

/** As much of a text as fits into a width, with an ellipsis for the rest. */
function fitted(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  const letters = [...text.slice(0, 200)];
  while (letters.length > 0 && context.measureText(`${letters.join('')}…`).width > width) letters.pop();
  return `${letters.join('')}…`;
}
