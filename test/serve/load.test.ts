import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Classifier, type ClassifierOutput } from '../../src/inference/index.ts';
import { Admission } from '../../src/serve/admission.ts';
import { Batcher } from '../../src/serve/batcher.ts';
import { metric, RawClient, untilMetric, uploadHead } from './raw.ts';
import { png, post, Workshop } from './workshop.ts';

let workshop: Workshop;
beforeAll(async () => {
  workshop = await Workshop.open();
});
afterAll(() => workshop.close());

describe('overload', () => {
  it('is refused at once with when to try again; who waits gets an answer', async () => {
    const server = await workshop.serve({ concurrency: 1, queue: 1 });
    const bytes = await png();
    const slow = await RawClient.connect(server);
    slow.send(uploadHead(bytes.length, 'Connection: close\r\n'));
    await untilMetric(server, 'ortune_requests_active', 1);
    const waiting = post(server, bytes);
    await untilMetric(server, 'ortune_requests_queued', 1);
    const { status, headers, error } = await post(server, bytes);
    expect([status, error.code, headers.get('retry-after')]).toEqual([503, 'BUSY', '1']);
    slow.send(bytes);
    expect(await slow.ended()).toMatch(/^HTTP\/1\.1 200 /);
    expect((await waiting).status).toBe(200);
    await untilMetric(server, 'ortune_requests_active', 0);
  });

  it('of many clients ends in answers and clean refusals, and nothing else', async () => {
    const server = await workshop.serve({ concurrency: 4, queue: 8, maxBatch: 4 });
    const bytes = await png();
    const statuses = await Promise.all(Array.from({ length: 100 }, async () => (await post(server, bytes)).status));
    const count = (status: number) => statuses.filter((one) => one === status).length;
    expect(count(200)).toBeGreaterThanOrEqual(12);
    expect(count(503)).toBeGreaterThan(0);
    expect(count(200) + count(503)).toBe(100);
    expect(await metric(server, 'ortune_requests_active')).toBe(0);
    expect((await post(server, bytes)).status).toBe(200);
  });
});

describe('pictures of many requests', () => {
  it('are computed together, and each gets the answer that it gets alone', async () => {
    const server = await workshop.serve({ maxBatch: 8, concurrency: 64 });
    await using classifier = await Classifier.load(workshop.path('model.onnx'), { threads: 1 });
    const files = await Promise.all(Array.from({ length: 48 }, (_, index) => png(50 + index, 90 - index, index * 5)));
    const answers = await Promise.all(
      files.map((bytes, index) => post(server, bytes, { query: `?maps=${index % 3 === 0}` })),
    );
    for (const [index, bytes] of files.entries()) {
      const alone = await classifier.predict(bytes, { maps: true });
      const together = answers[index]!.pictures[0]!.predictions;
      for (const { label, probability, map } of alone) {
        const found = together.find((one) => one.label === label);
        expect(found?.probability).toBeCloseTo(probability, 5);
        if (index % 3 === 0) expect(found?.map?.values[0]).toBeCloseTo(map!.values[0]!, 4);
        else expect(found).not.toHaveProperty('map');
      }
    }
    expect(await metric(server, 'ortune_pictures_total')).toBe(48);
    expect(await metric(server, 'ortune_batch_pictures_count')).toBeLessThan(48);
  });
});

describe('the batcher', () => {
  /** A model that computes when told, and gives each picture its own first byte. */
  const begin = (most: number) => {
    const runs: { size: number; maps: boolean; finish(error?: Error): void }[] = [];
    const infer = vi.fn((images: Uint8Array, size: number, { maps = false }: { maps?: boolean } = {}) => {
      return new Promise<ClassifierOutput>((resolve, reject) => {
        const values = Float32Array.from(images);
        const finish = (error?: Error) =>
          error ? reject(error) : resolve({ probabilities: values, ...(maps && { maps: values }) });
        runs.push({ size, maps, finish });
      });
    });
    const batches: number[] = [];
    const batcher = new Batcher({ infer } as unknown as Classifier, most, (pictures) => batches.push(pictures));
    const { signal } = new AbortController();
    const ask = (value: number, maps = false, by = signal) => batcher.infer(Uint8Array.of(value), maps, by);
    return { batcher, runs, batches, ask };
  };
  const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

  it('sends what gathered while the model computed, at most so many at a time', async () => {
    const { batcher, runs, batches, ask } = begin(3);
    const answers = [ask(1)];
    await turn();
    for (const value of [2, 3, 4, 5]) answers.push(ask(value, value === 4));
    expect(batcher.waiting).toBe(4);
    for (const index of [0, 1, 2]) {
      runs[index]?.finish();
      await turn();
    }
    expect(runs.map(({ size, maps }) => [size, maps])).toEqual([
      [1, false],
      [3, true],
      [1, false],
    ]);
    expect(batches).toEqual([1, 3, 1]);
    const outputs = await Promise.all(answers);
    expect(outputs.map(({ probabilities }) => [...probabilities])).toEqual([[1], [2], [3], [4], [5]]);
    expect(outputs.map(({ maps }) => maps?.[0])).toEqual([undefined, undefined, undefined, 4, undefined]);
  });

  it('lets a failure reach those it belongs to, and goes on', async () => {
    const { runs, batches, ask } = begin(2);
    const failing = [ask(1), ask(2)];
    await turn();
    const next = ask(3);
    runs[0]?.finish(new Error('out of luck'));
    for (const one of failing) await expect(one).rejects.toThrow('out of luck');
    await turn();
    runs[1]?.finish();
    expect([...(await next).probabilities]).toEqual([3]);
    expect(batches).toEqual([1]);
  });

  it('forgets a picture that is taken back', async () => {
    const { batcher, runs, ask } = begin(2);
    const first = ask(1);
    await turn();
    const stop = new AbortController();
    const gone = ask(2, false, stop.signal);
    stop.abort(new Error('gone'));
    await expect(gone).rejects.toThrow('gone');
    await expect(ask(3, false, stop.signal)).rejects.toThrow('gone');
    expect(batcher.waiting).toBe(0);
    runs[0]?.finish();
    await first;
    await turn();
    expect(runs).toHaveLength(1);
  });
});

describe('admission', () => {
  it('lets in by turns, and whoever gives up makes room', async () => {
    const admission = new Admission(1, 2);
    const stop = new AbortController();
    const stay = new AbortController().signal;
    const leave = await admission.enter(stay);
    const impatient = admission.enter(stop.signal);
    const patient = admission.enter(stay);
    await expect(admission.enter(stay)).rejects.toMatchObject({ status: 503, headers: { 'Retry-After': '1' } });
    stop.abort(new Error('enough'));
    await expect(impatient).rejects.toThrow('enough');
    await expect(admission.enter(stop.signal)).rejects.toThrow('enough');
    expect([admission.inside, admission.waiting]).toEqual([1, 1]);
    leave();
    const second = await patient;
    expect([admission.inside, admission.waiting]).toEqual([1, 0]);
    second();
    expect(admission.inside).toBe(0);
  });
});
