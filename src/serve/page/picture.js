/** The picture on its canvas, framed where the network looked. */

/** Most pixels of the canvas's longer side. */
const LONGEST = 1400;

/**
 * The picture as the browser shows it, upright, on a canvas of its own.
 *
 * @param {Blob} file
 * @returns {Promise<HTMLCanvasElement | undefined>} `undefined` for a format that this browser does not know
 */
export async function openPicture(file) {
  const bitmap = await createImageBitmap(file).catch(() => undefined);
  if (!bitmap) return undefined;
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  // A small picture is enlarged, or the map over it would have no room.
  const enlarged = Math.max(scale, Math.min(4, 500 / Math.max(bitmap.width, bitmap.height)));
  const canvas = document.createElement('canvas');
  canvas.width = Math.max(1, Math.round(bitmap.width * enlarged));
  canvas.height = Math.max(1, Math.round(bitmap.height * enlarged));
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return canvas;
}

/**
 * @param {HTMLCanvasElement} canvas to draw on
 * @param {HTMLCanvasElement} picture
 * @param {{ x: number, y: number, width: number, height: number } | undefined} seen shares of the picture's sides
 * @param {HTMLCanvasElement | undefined} heat laid over what was seen
 */
export function draw(canvas, picture, seen, heat) {
  const { width, height } = picture;
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d');
  context.imageSmoothingQuality = 'high';
  context.drawImage(picture, 0, 0);
  if (!seen) return;
  const frame = [seen.x * width, seen.y * height, seen.width * width, seen.height * height];
  if (heat) context.drawImage(heat, ...frame);
  // What the network did not see is dimmed; even-odd leaves the frame out.
  context.beginPath();
  context.rect(0, 0, width, height);
  context.rect(...frame);
  context.fillStyle = 'rgb(0 0 0 / 55%)';
  context.fill('evenodd');
  const line = Math.max(1.5, Math.max(width, height) / 400);
  context.lineWidth = line;
  context.strokeStyle = 'rgb(255 255 255 / 85%)';
  context.strokeRect(frame[0] + line / 2, frame[1] + line / 2, frame[2] - line, frame[3] - line);
}
