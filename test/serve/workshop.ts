/** A server on a tiny model, and pictures to send it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp, { type Sharp } from 'sharp';
import {
  ACTIVATION_MAPS,
  buildResNet,
  encodeModel,
  extract,
  PROBABILITIES,
  withActivationMaps,
} from '../../onnx/index.ts';
import { withClassifierMetadata } from '../../src/inference/index.ts';
import { type RunningServer, type ServeOptions, serve } from '../../src/serve/index.ts';

/** Names that would break out of markup, headers or JSON, if anything let them. */
export const CLASSES = ['<b>Lilie</b>', '薔薇', 'pink "primrose"\r\nX-Evil: 1'];
export const TRANSFORM = { imageSize: 32, resizeSize: 37 };

export class Workshop {
  readonly folder: string;
  readonly #servers: RunningServer[] = [];

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(): Promise<Workshop> {
    const workshop = new Workshop(await mkdtemp(join(tmpdir(), 'ortune-serve-')));
    const whole = withActivationMaps(buildResNet({ width: 0.125, classes: 3, imageSize: 32, seed: 3 }));
    for (const [file, outputs] of [
      ['model.onnx', [PROBABILITIES, ACTIVATION_MAPS]],
      ['plain.onnx', [PROBABILITIES]],
    ] as const) {
      const model = withClassifierMetadata(extract(whole, [], outputs), { classes: CLASSES, transform: TRANSFORM });
      await writeFile(workshop.path(file), encodeModel(model));
    }
    return workshop;
  }

  path(name: string): string {
    return join(this.folder, name);
  }

  /** Starts a server on a free port; it ends with the workshop. */
  async serve(options: Partial<ServeOptions> = {}): Promise<RunningServer> {
    const server = await serve({ model: this.path('model.onnx'), port: 0, threads: 1, ...options });
    this.#servers.push(server);
    return server;
  }

  async close(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.close()));
    await rm(this.folder, { recursive: true });
  }
}

/** A picture with a gradient each way; `tone` makes others of it. */
export function drawPicture(width: number, height: number, tone = 30): Sharp {
  const pixels = Buffer.alloc(width * height * 3);
  for (let place = 0; place < width * height; place++) {
    const x = place % width;
    const y = Math.floor(place / width);
    pixels.set([(255 * x) / width, (255 * y) / height, x > y ? 220 : tone], place * 3);
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

export const png = (width = 60, height = 40, tone?: number): Promise<Buffer> =>
  drawPicture(width, height, tone).png().toBuffer();

/** What a prediction looks like in the tests: `post` has it checked for being one. */
export interface Picture {
  readonly name?: string;
  readonly width: number;
  readonly height: number;
  readonly seen: { readonly x: number; readonly y: number; readonly width: number; readonly height: number };
  readonly predictions: readonly {
    readonly label: string;
    readonly probability: number;
    readonly map?: { readonly height: number; readonly width: number; readonly values: readonly number[] };
  }[];
}

export interface Answered {
  readonly status: number;
  readonly headers: Headers;
  readonly pictures: readonly Picture[];
  readonly error: { readonly code: string; readonly message: string };
}

type Body = NonNullable<RequestInit['body']>;

/** Sends a body to `/predict`. Whatever comes back must be JSON of one of the two shapes. */
export async function post(
  { url }: RunningServer,
  body: Body,
  { query = '', type = 'image/png', ...init }: { query?: string; type?: string | null } & RequestInit = {},
): Promise<Answered> {
  const headers = { ...(type !== null && { 'Content-Type': type }), ...init.headers };
  const response = await fetch(`${url}/predict${query}`, { ...init, method: 'POST', headers, body });
  const answer = (await response.json()) as Record<string, never>;
  if (Object.keys(answer).join() !== (response.ok ? 'pictures' : 'error')) throw new Error(JSON.stringify(answer));
  return { status: response.status, headers: response.headers, ...answer } as unknown as Answered;
}

/** Files as a form. */
export function form(...files: readonly (readonly [name: string, bytes: Uint8Array])[]): FormData {
  const data = new FormData();
  for (const [name, bytes] of files) data.append('picture', new Blob([bytes as Uint8Array<ArrayBuffer>]), name);
  return data;
}
