import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Classifier } from '../../src/inference/index.ts';
import type { RunningServer } from '../../src/serve/index.ts';
import { chunk, header, SIGNATURE } from '../pictures/png-bytes.ts';
import { CLASSES, drawPicture, form, png, post, Workshop } from './workshop.ts';

let workshop: Workshop;
let server: RunningServer;
let classifier: Classifier;
beforeAll(async () => {
  workshop = await Workshop.open();
  server = await workshop.serve({ maxBody: 100_000, maxPixels: 1_000_000 });
  classifier = await Classifier.load(workshop.path('model.onnx'), { threads: 1 });
});
afterAll(async () => {
  await classifier.dispose();
  await workshop.close();
});

describe('a picture', () => {
  it('is classified as by the library, best first', async () => {
    const bytes = await png();
    const { status, pictures, headers } = await post(server, bytes);
    expect(status).toBe(200);
    expect(pictures).toHaveLength(1);
    expect(pictures[0]?.predictions).toEqual(await classifier.predict(bytes));
    expect(pictures[0]?.predictions.map(({ label }) => label).sort()).toEqual([...CLASSES].sort());
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(headers.get('x-evil')).toBeNull();
    expect(headers.get('cache-control')).toBe('no-store');
  });

  it.each(['image/jpeg', 'image/whatever; x=1', 'APPLICATION/octet-stream'])('may be sent as %s', async (type) => {
    expect((await post(server, await png(), { type })).status).toBe(200);
  });

  it('may be sent in pieces of no stated length', async () => {
    const bytes = await png();
    const body = new ReadableStream({
      async start(controller) {
        for (let at = 0; at < bytes.length; at += 50) {
          controller.enqueue(bytes.subarray(at, at + 50));
          await new Promise(setImmediate);
        }
        controller.close();
      },
    });
    const { status, pictures } = await post(server, body, { duplex: 'half' });
    expect(status).toBe(200);
    expect(pictures[0]?.predictions).toEqual(await classifier.predict(bytes));
  });

  it('tells its size held upright, and the square that was seen', async () => {
    const turned = await drawPicture(60, 40).withMetadata({ orientation: 6 }).jpeg().toBuffer();
    const { pictures } = await post(server, turned);
    expect(pictures[0]).toMatchObject({ width: 40, height: 60 });
    const seen = pictures[0]?.seen;
    // Short side 40 scaled to 37, long side to 56; 32 of each are seen, from place 2 (rounded down) and 12.
    expect(seen).toEqual({ x: 2 / 37, y: 12 / 56, width: 32 / 37, height: 32 / 56 });
  });

  it('comes with maps where they are asked for, and only there', async () => {
    const bytes = await png();
    expect(JSON.stringify(await post(server, bytes))).not.toContain('map');
    const { pictures } = await post(server, bytes, { query: '?maps=true&top=2' });
    const expected = await classifier.predict(bytes, { top: 2, maps: true });
    expect(pictures[0]?.predictions).toHaveLength(2);
    for (const [index, { label, map }] of pictures[0]!.predictions.entries()) {
      expect(label).toBe(expected[index]?.label);
      expect(map).toMatchObject({ height: 1, width: 1 });
      for (const [place, value] of expected[index]!.map!.values.entries())
        expect(map?.values[place]).toBeCloseTo(value, 4);
    }
  });

  it.each(['jpeg', 'webp', 'gif', 'tiff', 'avif'] as const)('may be %s', async (format) => {
    expect((await post(server, await drawPicture(60, 40).toFormat(format).toBuffer())).status).toBe(200);
  });
});

describe('a form', () => {
  it('may hold several pictures, answered in their order, by name', async () => {
    const files = await Promise.all([10, 100, 200].map((tone) => png(60, 40, tone)));
    const data = form(['../../etc/a.png', files[0]!], ['b"\r\n.png', files[1]!], ['c', files[2]!]);
    data.append('comment', 'no picture');
    const { status, pictures } = await post(server, data, { type: null });
    expect(status).toBe(200);
    expect(pictures.map(({ name }) => name)).toEqual(['a.png', expect.stringContaining('b'), 'c']);
    for (const [index, bytes] of files.entries()) {
      for (const { label, probability } of await classifier.predict(bytes)) {
        const found = pictures[index]?.predictions.find((one) => one.label === label);
        expect(found?.probability).toBeCloseTo(probability, 5);
      }
    }
  });

  it('left empty beside a chosen file is passed over', async () => {
    const part = (disposition: string, body: Buffer) =>
      Buffer.concat([
        Buffer.from(`--x\r\nContent-Disposition: form-data; ${disposition}\r\n\r\n`),
        body,
        Buffer.from('\r\n'),
      ]);
    const body = Buffer.concat([
      part('name="one"; filename=""', Buffer.alloc(0)),
      part('name="two"; filename="a.png"', await png()),
      Buffer.from('--x--\r\n'),
    ]);
    const { status, pictures } = await post(server, body, { type: 'multipart/form-data; boundary=x' });
    expect(status).toBe(200);
    expect(pictures.map(({ name }) => name)).toEqual(['a.png']);
  });

  it.each<[string, string, string, number, string]>([
    ['without a boundary', 'multipart/form-data', 'x', 400, 'MULTIPART'],
    ['with nothing in it', 'multipart/form-data; boundary=x', '', 400, 'MULTIPART'],
    ['that ends at once', 'multipart/form-data; boundary=x', '--x--\r\n', 400, 'NO_PICTURE'],
    [
      'with fields alone',
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n--x--\r\n',
      400,
      'NO_PICTURE',
    ],
    [
      'cut short',
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="a"; filename="b"\r\n\r\nabc',
      400,
      'MULTIPART',
    ],
    ['of other bounds', 'multipart/form-data; boundary=y', '--x\r\n\r\nabc\r\n--x--\r\n', 400, 'MULTIPART'],
    [
      'with an empty file',
      'multipart/form-data; boundary=x',
      '--x\r\nContent-Disposition: form-data; name="a"; filename="b.png"\r\n\r\n\r\n--x--\r\n',
      422,
      'IMAGE_UNREADABLE',
    ],
  ])('%s is refused', async (_, type, body, status, code) => {
    expect(await post(server, body, { type })).toMatchObject({ status, error: { code } });
  });

  it('of too many files is refused', async () => {
    const files = Array.from({ length: 33 }, (_, index) => [`${index}`, Buffer.from('x')] as const);
    expect(await post(server, form(...files), { type: null })).toMatchObject({
      status: 413,
      error: { code: 'TOO_MANY_PICTURES' },
    });
  });

  it('with a broken picture says which', async () => {
    const data = form(['good.png', await png()], ['bad.png', Buffer.from('nothing')]);
    const { status, error } = await post(server, data, { type: null });
    expect([status, error.code]).toEqual([422, 'IMAGE_UNREADABLE']);
    expect(error.message).toContain('picture 2 (bad.png)');
  });
});

describe('refused', () => {
  it.each<[string, () => Promise<Uint8Array> | Uint8Array, number, string]>([
    ['nothing', () => new Uint8Array(), 400, 'NO_PICTURE'],
    ['text', () => Buffer.from('a picture of a rose'), 422, 'IMAGE_UNREADABLE'],
    [
      'a JPEG cut short',
      async () => (await drawPicture(300, 300).jpeg().toBuffer()).subarray(0, 4000),
      422,
      'IMAGE_UNREADABLE',
    ],
    ['a PNG cut short', async () => (await png(60, 60)).subarray(0, 200), 422, 'IMAGE_UNREADABLE'],
    ['a drawing', () => Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), 415, 'FORMAT'],
    ['too many bytes', () => new Uint8Array(100_001), 413, 'BODY_TOO_LARGE'],
    ['too many pixels', () => bomb(1001, 1000), 413, 'TOO_MANY_PIXELS'],
    ['a bomb of 30000 x 30000', () => bomb(30_000, 30_000), 413, 'TOO_MANY_PIXELS'],
  ])('is %s', async (_, body, status, code) => {
    expect(await post(server, await body())).toMatchObject({ status, error: { code } });
    // And nothing is the worse for it.
    expect((await post(server, await png())).status).toBe(200);
  });

  it('is a body without a length once it is too large', async () => {
    const body = new ReadableStream({
      pull: (controller) => controller.enqueue(new Uint8Array(20_000)),
    });
    expect(await post(server, body, { duplex: 'half' })).toMatchObject({
      status: 413,
      error: { code: 'BODY_TOO_LARGE' },
    });
  });

  it.each(['text/plain', 'application/x-www-form-urlencoded', 'application/json', 'imagejpeg', ''])(
    'is a body of type "%s"',
    async (type) => {
      expect(await post(server, await png(), { type })).toMatchObject({ status: 415, error: { code: 'CONTENT_TYPE' } });
    },
  );

  it('is a compressed body', async () => {
    const headers = { 'Content-Encoding': 'gzip' };
    expect(await post(server, await png(), { headers })).toMatchObject({
      status: 415,
      error: { code: 'CONTENT_ENCODING' },
    });
  });

  it.each([
    'top=0',
    'top=4',
    'top=-1',
    'top=1.5',
    'top=1e0',
    'top=',
    'top=%31%00',
    'top=2&top=2',
    'maps=yes',
    'maps=',
    'tops=2',
    '%',
    `top=${'9'.repeat(500)}`,
    'path=/etc/passwd',
  ])('is the query %s', async (query) => {
    const { status, error } = await post(server, await png(), { query: `?${query}` });
    expect([status, error.code]).toEqual([400, 'QUERY']);
    expect(error.message.length).toBeLessThan(200);
  });

  it('is the wish for maps that the model does not give', async () => {
    const plain = await workshop.serve({ model: workshop.path('plain.onnx') });
    expect((await post(plain, await png(), { query: '?maps=false' })).status).toBe(200);
    expect(await post(plain, await png(), { query: '?maps=true' })).toMatchObject({
      status: 400,
      error: { code: 'MAPS_UNAVAILABLE' },
    });
  });
});

/** A PNG that promises many pixels in few bytes; nobody is to look at them. */
function bomb(width: number, height: number): Buffer {
  const promise = header({ width, height, depth: 1, colour: 0 });
  return Buffer.concat([SIGNATURE, promise, chunk('IDAT', Buffer.alloc(10)), chunk('IEND', Buffer.alloc(0))]);
}
