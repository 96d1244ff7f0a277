/** Operations that look at a pixel's three channels together. */
import { BLUE, GREEN, RED } from './tables.ts';

/** From grey (factor 0) to the colours themselves (factor 1) and beyond. */
export function saturate(data: Uint8Array, factor: number): void {
  // factor * (value - grey) for every difference, in single precision as Pillow blends.
  const scaled = Float32Array.from({ length: 511 }, (_, index) => Math.fround(factor) * (index - 255));
  for (let index = 0; index < data.length; index += 3) {
    const red = data[index]!;
    const green = data[index + 1]!;
    const blue = data[index + 2]!;
    const grey = (red * RED + green * GREEN + blue * BLUE + 0x8000) >> 16;
    data[index] = toByte(Math.fround(grey + scaled[red - grey + 255]!));
    data[index + 1] = toByte(Math.fround(grey + scaled[green - grey + 255]!));
    data[index + 2] = toByte(Math.fround(grey + scaled[blue - grey + 255]!));
  }
}

/** Cut off to a whole number, and to 0 to 255. */
export function toByte(value: number): number {
  const whole = value | 0;
  return whole < 0 ? 0 : whole > 255 ? 255 : whole;
}

/** From 0 to 255 in 1/255 to a byte, by torchvision's rule for turning floating point into integers: cut off x 255.999. */
const TO_BYTE = 255.999 / 255;

/**
 * Turns the hue of the hexcone model (Smith 1978), keeping saturation and value. A pixel's greatest and least channel
 * keep their values and change places; the third lies as far between them as the new hue says.
 *
 * @param turns of the colour circle, -0.5 to 0.5
 */
export function turnHue(data: Uint8Array, turns: number): void {
  for (let index = 0; index < data.length; index += 3) {
    const red = data[index]!;
    const green = data[index + 1]!;
    const blue = data[index + 2]!;
    const most = red > green ? (red > blue ? red : blue) : green > blue ? green : blue;
    const least = red < green ? (red < blue ? red : blue) : green < blue ? green : blue;
    const chroma = most - least;
    if (chroma === 0) continue;
    // In sixths of the circle.
    let hue: number;
    if (red === most) hue = (green - blue) / chroma;
    else if (green === most) hue = 2 + (blue - red) / chroma;
    else hue = 4 + (red - green) / chroma;
    hue += 6 * turns;
    hue -= 6 * Math.floor(hue / 6);
    const sector = Math.floor(hue);
    const part = hue - sector;
    const middle = Math.trunc((least + chroma * ((sector & 1) === 0 ? part : 1 - part)) * TO_BYTE);
    data[index] = sector === 0 || sector >= 5 ? most : sector === 1 || sector === 4 ? middle : least;
    data[index + 1] =
      sector === 1 || sector === 2 ? most : sector === 0 || sector === 3 || sector === 6 ? middle : least;
    data[index + 2] = sector === 3 || sector === 4 ? most : sector === 2 || sector === 5 ? middle : least;
  }
}
