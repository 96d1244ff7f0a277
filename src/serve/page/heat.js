/** Class-activation maps as pictures. */

/** The colours of little to most, as in the scale beside the classes. */
const COLOURS = [
  [27, 16, 64],
  [106, 31, 128],
  [196, 60, 117],
  [242, 115, 79],
  [252, 182, 81],
  [252, 246, 177],
];
/** Side of the upsampled picture; the canvas stretches it further. */
const SIDE = 128;

/**
 * A map's positive part, its largest value taken as 1, upsampled by Catmull-Rom splines.
 *
 * @param {{ height: number, width: number, values: number[] }} map row by row
 * @returns {Float32Array | undefined} [side, side], 0 to 1; `undefined` when nothing is positive
 */
export function upsample({ height, width, values }, side = SIDE) {
  const most = Math.max(...values);
  if (!(most > 0)) return undefined;
  const columns = weights(width, side);
  const rows = weights(height, side);
  const result = new Float32Array(side * side);
  for (let y = 0; y < side; y++) {
    for (let x = 0; x < side; x++) {
      let sum = 0;
      for (const [row, down] of rows[y]) {
        for (const [column, across] of columns[x]) sum += down * across * Math.max(0, values[row * width + column]);
      }
      result[y * side + x] = Math.min(1, Math.max(0, sum / most));
    }
  }
  return result;
}

/** For each place of the larger side, which places of the smaller one count how much. Cells lie centred; edges go on. */
function weights(from, to) {
  return Array.from({ length: to }, (_, place) => {
    const at = ((place + 0.5) * from) / to - 0.5;
    const first = Math.floor(at);
    const t = at - first;
    const cubic = [
      ((2 - t) * t - 1) * t * 0.5,
      ((3 * t - 5) * t * t + 2) * 0.5,
      ((4 - 3 * t) * t + 1) * t * 0.5,
      (t - 1) * t * t * 0.5,
    ];
    return cubic.map((weight, index) => [Math.min(from - 1, Math.max(0, first - 1 + index)), weight]);
  });
}

/**
 * A map as a picture to lay over the square that the network saw.
 *
 * @returns {HTMLCanvasElement | undefined} `undefined` when nothing speaks for the class
 */
export function heatPicture(map) {
  const heat = upsample(map);
  if (!heat) return undefined;
  const canvas = document.createElement('canvas');
  canvas.width = SIDE;
  canvas.height = SIDE;
  const context = canvas.getContext('2d');
  const pixels = context.createImageData(SIDE, SIDE);
  for (const [place, value] of heat.entries()) {
    const at = value * (COLOURS.length - 1);
    const lower = Math.min(COLOURS.length - 2, Math.floor(at));
    const part = at - lower;
    for (let channel = 0; channel < 3; channel++) {
      pixels.data[place * 4 + channel] = COLOURS[lower][channel] * (1 - part) + COLOURS[lower + 1][channel] * part;
    }
    pixels.data[place * 4 + 3] = 150;
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}
