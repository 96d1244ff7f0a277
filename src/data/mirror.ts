/** Pictures, RGB uint8 [pictures, side, side, 3], with left and right changed over. */
export function mirrorImages(images: Uint8Array, side: number): Uint8Array {
  const mirrored = new Uint8Array(images.length);
  const row = side * 3;
  for (let start = 0; start < images.length; start += row) {
    for (let x = 0; x < row; x += 3) {
      const from = start + row - 3 - x;
      mirrored[start + x] = images[from]!;
      mirrored[start + x + 1] = images[from + 1]!;
      mirrored[start + x + 2] = images[from + 2]!;
    }
  }
  return mirrored;
}
