import { readFileSync } from 'node:fs';
import type { Box, Operation, Picture } from '../../src/augment/index.ts';

interface Reference {
  readonly width: number;
  readonly height: number;
  readonly picture: string;
  readonly operations: readonly { readonly operation: Operation; readonly result: string }[];
  readonly large: {
    readonly width: number;
    readonly height: number;
    readonly picture: string;
    readonly equalize: string;
  };
  readonly crops: readonly { readonly part: Box; readonly size: number; readonly result: string }[];
}

/** What Pillow makes of a small picture; pillow.py writes it. */
export const pillow: Reference = JSON.parse(readFileSync(new URL('pillow.json', import.meta.url), 'utf8'));

export const bytes = (base64: string) => new Uint8Array(Buffer.from(base64, 'base64'));

/** A fresh copy of the picture that Pillow was given. */
export const picture = (): Picture => ({ data: bytes(pillow.picture), width: pillow.width, height: pillow.height });
