/** Operations that map each value by a table of 256, for all channels or for each. */

/** Luma as Pillow's "L" (ITU-R 601-2), 16-bit fixed point. */
export const RED = 19595;
export const GREEN = 38470;
export const BLUE = 7471;

type Table = Uint8Array;

/** @param data RGB, changed in place */
export function applyTable(data: Uint8Array, table: Table): void {
  for (let index = 0; index < data.length; index++) data[index] = table[data[index]!]!;
}

function applyTables(data: Uint8Array, [red, green, blue]: readonly [Table, Table, Table]): void {
  for (let index = 0; index < data.length; index += 3) {
    data[index] = red[data[index]!]!;
    data[index + 1] = green[data[index + 1]!]!;
    data[index + 2] = blue[data[index + 2]!]!;
  }
}

function tableOf(value: (index: number) => number): Table {
  return Uint8Array.from({ length: 256 }, (_, index) => Math.min(255, Math.max(0, Math.trunc(value(index)))));
}

/** From `base` (factor 0) to the value itself (factor 1) and beyond; in single precision and cut off, as Pillow blends. */
function blendTable(base: number, factor: number): Table {
  const single = Math.fround(factor);
  return tableOf((value) => Math.fround(base + Math.fround(single * (value - base))));
}

export function brightnessTable(factor: number): Table {
  return blendTable(0, factor);
}

/** @param data the picture whose mean grey stays */
export function contrastTable(data: Uint8Array, factor: number): Table {
  let sum = 0;
  for (let index = 0; index < data.length; index += 3) {
    sum += (data[index]! * RED + data[index + 1]! * GREEN + data[index + 2]! * BLUE + 0x8000) >> 16;
  }
  return blendTable(Math.trunc(sum / (data.length / 3) + 0.5), factor);
}

export function posterizeTable(bits: number): Table {
  return tableOf((value) => value & ~(2 ** (8 - bits) - 1));
}

export function solarizeTable(threshold: number): Table {
  return tableOf((value) => (value < threshold ? value : 255 - value));
}

/** Stretches each channel's values to 0 to 255. */
export function autocontrast(data: Uint8Array): void {
  applyTables(
    data,
    perChannel(data, (histogram) => {
      const least = histogram.findIndex((count) => count > 0);
      const most = histogram.findLastIndex((count) => count > 0);
      if (most <= least) return tableOf((value) => value);
      const scale = 255 / (most - least);
      const offset = -least * scale;
      return tableOf((value) => value * scale + offset);
    }),
  );
}

/** Spreads each channel's values so that all are about as frequent. */
export function equalize(data: Uint8Array): void {
  applyTables(
    data,
    perChannel(data, (histogram) => {
      const last = histogram.findLastIndex((count) => count > 0);
      const step = Math.floor((data.length / 3 - (histogram[last] ?? 0)) / 255);
      if (step === 0) return tableOf((value) => value);
      let sum = Math.floor(step / 2);
      return tableOf((value) => {
        const found = Math.floor(sum / step);
        sum += histogram[value]!;
        return found;
      });
    }),
  );
}

function perChannel(data: Uint8Array, table: (histogram: Uint32Array) => Table): [Table, Table, Table] {
  const red = new Uint32Array(256);
  const green = new Uint32Array(256);
  const blue = new Uint32Array(256);
  for (let index = 0; index < data.length; index += 3) {
    red[data[index]!]!++;
    green[data[index + 1]!]!++;
    blue[data[index + 2]!]!++;
  }
  return [table(red), table(green), table(blue)];
}
