import { EventEmitter } from 'node:events';
import { request, type ServerResponse } from 'node:http';
import { afterEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { RunHistory } from '../../src/dashboard/history.ts';
import { type Dashboard, dashboard } from '../../src/dashboard/index.ts';
import { type Frame, viewOf } from '../../src/dashboard/view.ts';
import { Viewers } from '../../src/dashboard/viewers.ts';
import { afterPass, beginning, trainedPass } from './run.ts';

const open: Dashboard[] = [];
afterEach(async () => {
  for (const one of open.splice(0)) await one.close();
});
async function start(): Promise<Dashboard> {
  const started = await dashboard({ port: 0, interval: 20 });
  open.push(started);
  return started;
}

/** Frames of a viewer until the stream ends, each handed on as it comes. */
async function watch(url: string, onFrame: (frame: Frame) => void): Promise<string> {
  let text = '';
  const { body } = await fetch(`${url}events`);
  for await (const chunk of body!.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    const complete = text.split('\n\n');
    text = complete.pop()!;
    for (const event of complete) {
      if (event.startsWith('data: ')) onFrame(JSON.parse(event.slice(6)));
      if (event.startsWith('event: ')) return event;
    }
  }
  return 'cut off';
}

describe('the dashboard', () => {
  it('shows whoever comes late all there is, and at last how the run ended', async () => {
    const shown = await start();
    for (const event of [...beginning, ...trainedPass(0), ...afterPass(0, 0.8125)]) shown.handle(event);
    const frames: Frame[] = [];
    const watched = watch(shown.url, (frame) => frames.push(frame));
    await expect.poll(() => frames.length, { timeout: 60_000 }).toBeGreaterThan(0);
    expect(frames[0]?.parts.head).toContain('81.3');
    expect(frames[0]?.parts.charts).toContain('Learning rate');
    await shown.close(new Error('the disk is full'));
    open.length = 0;
    expect(await watched).toMatch(/^event: end/);
    expect(frames.at(-1)?.parts.now).toContain('Ended early: the disk is full');
    await expect(fetch(shown.url)).rejects.toThrow();
  });

  it('says so when its port is taken', async () => {
    const { url } = await start();
    const port = Number(new URL(url).port);
    await expect(dashboard({ port })).rejects.toMatchObject({
      code: 'PORT',
      message: `--dashboard ${port}: expected a free port, but another program listens on it. Name another one; 0 takes any that is free.`,
    });
  });

  it.each([
    ['another site by its name', { headers: { host: 'evil.example' } }, 403],
    ['what is no page', { path: '/../package.json' }, 404],
    ['a change', { method: 'POST' }, 405],
  ])('refuses %s', async (_what, options, expected) => {
    const { url } = await start();
    const status = await new Promise((resolve, reject) => {
      request(url, options, (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end();
    });
    expect(status).toBe(expected);
  });

  it('lets a page load nothing but its own files', async () => {
    const { headers } = await fetch((await start()).url);
    const policy = headers.get('content-security-policy');
    expect(policy).toContain("default-src 'none'");
    expect(policy).not.toMatch(/unsafe|https?:|\*/);
  });
});

describe('viewers', () => {
  it('that do not keep up miss frames, and hold nobody up', () => {
    let frame = 'first';
    const viewers = new Viewers(() => frame);
    const viewer = () => {
      const written: string[] = [];
      const response = Object.assign(new EventEmitter(), {
        writableLength: 0,
        write: (text: string) => written.push(text.trim()),
        end: (text: string) => written.push(text.trim()),
      });
      viewers.add(response as unknown as ServerResponse, 1000);
      return { response, written };
    };
    vi.useFakeTimers();
    onTestFinished(() => void vi.useRealTimers());
    const [slow, quick] = [viewer(), viewer()];
    slow.response.writableLength = 1;
    for (frame of ['second', 'second', 'third']) vi.advanceTimersByTime(1000);
    expect(slow.written).toEqual(['data: first']);
    expect(quick.written).toEqual(['data: first', 'data: second', 'data: third']);

    slow.response.writableLength = 0;
    vi.advanceTimersByTime(1000);
    expect(slow.written).toEqual(['data: first', 'data: third']);

    // With nobody left no frame is made.
    for (const { response } of [slow, quick]) response.emit('close');
    expect(vi.getTimerCount()).toBe(0);
  });

  it('are not more than can be served', () => {
    const viewers = new Viewers(() => '');
    const response = () => Object.assign(new EventEmitter(), { writableLength: 0, write() {} });
    const all = Array.from({ length: 32 }, response);
    expect(viewers.full).toBe(false);
    for (const one of all) viewers.add(one as unknown as ServerResponse, 1000);
    expect(viewers.full).toBe(true);
    all[0]?.emit('close');
    expect(viewers.full).toBe(false);
  });
});

describe('what is known of a run', () => {
  it('stays small however long it is, and keeps peaks', () => {
    const history = new RunHistory();
    for (const event of beginning) history.add(event);
    for (let step = 0; step < 100_000; step++) {
      const cost = step === 31_234 ? 50 : 1;
      history.add({ type: 'batch', step, pass: 0, batch: step, learningRate: 1, cost, accuracy: 0, waitMs: 0 });
      if (step % 10 === 0) history.add({ type: 'note', text: `note ${step}` });
    }
    const { steps } = history.stage!;
    expect(steps.length).toBeLessThanOrEqual(4096);
    expect(steps.length).toBeGreaterThan(2000);
    expect(steps.find(({ cost }) => cost === 50)?.step).toBe(31_234);
    expect(steps.map(({ step }) => step)).toEqual(steps.map(({ step }) => step).toSorted((a, b) => a - b));
    expect(history.lines.length).toBeLessThan(20);
    expect(JSON.stringify(viewOf(history)).length).toBeLessThan(100_000);
  });

  it('begins anew with each stage', () => {
    const history = new RunHistory();
    for (const event of [...beginning, ...trainedPass(0), ...afterPass(0, 0.5), ...beginning]) history.add(event);
    expect(history.stage).toMatchObject({ steps: [], passes: [], tests: [] });
  });
});
