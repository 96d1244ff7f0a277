import { afterEach, describe, expect, it, vi } from 'vitest';
import { TerminalReport } from '../../src/report/terminal.ts';
import type { TrainingEvent } from '../../src/training/index.ts';
import { Screen } from './screen.ts';

const original = { stdout: process.stdout.isTTY, stderr: process.stderr.isTTY };
const setTerminal = (stream: 'stdout' | 'stderr', isTTY: boolean) =>
  Object.defineProperty(process[stream], 'isTTY', { value: isTTY, configurable: true });

afterEach(() => {
  vi.useRealTimers();
  vi.restoreAllMocks();
  setTerminal('stdout', original.stdout);
  setTerminal('stderr', original.stderr);
});

/** Catches what goes to the two streams. */
function capture(stdout: (text: string) => void, stderr: (text: string) => void): void {
  for (const [stream, take] of [[process.stdout, stdout] as const, [process.stderr, stderr] as const]) {
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      take(String(text));
      return true;
    });
  }
}

const sample = { file: '/pictures/a.jpg', label: 0 };
const DATASET: TrainingEvent = {
  type: 'dataset',
  dataset: {
    root: '/pictures',
    kind: 'csv',
    split: 'column',
    classes: ['rose', 'tulip'],
    train: [sample, sample, sample],
    valid: [],
    test: [sample],
    warnings: ['valid is tested on'],
  },
};
const batch = (number: number): Extract<TrainingEvent, { type: 'batch' }> => ({
  type: 'batch',
  step: number,
  pass: 0,
  batch: number,
  learningRate: 1e-3,
  waitMs: 0,
  cost: 4.5,
  accuracy: 0.0625,
});
const START: TrainingEvent = {
  type: 'start',
  stage: 'finetune',
  passes: 3,
  trainSize: 48,
  batchSize: 16,
  augment: true,
  seed: 0,
};
const progress = (
  task: 'check' | 'features' | 'train' | 'test',
  done: number,
  total: number,
  pass?: number,
): TrainingEvent => ({ type: 'progress', task, done, total, ...(pass !== undefined && { pass }) });

describe('without a terminal', () => {
  function shown(events: readonly TrainingEvent[], verbose = false): { stdout: string; stderr: string } {
    setTerminal('stdout', false);
    setTerminal('stderr', false);
    const text = { stdout: '', stderr: '' };
    capture(
      (part) => {
        text.stdout += part;
      },
      (part) => {
        text.stderr += part;
      },
    );
    const report = new TerminalReport({ verbose });
    for (const event of events) report.handle(event);
    report.close();
    vi.restoreAllMocks();
    return text;
  }

  it.each<[TrainingEvent, string]>([
    [DATASET, 'Data: csv, split column: 2 classes, 3 to train, 1 to test\nNote: valid is tested on\n'],
    [
      { type: 'bad-images', images: [{ file: '/pictures/b.jpg', reason: 'the file is empty' }] },
      'Left out: /pictures/b.jpg: the file is empty\n1 broken pictures left out\n',
    ],
    [
      { type: 'device', device: 'cpu', reason: 'as asked', threads: 2, kernels: 'stock' },
      'Device: cpu, 2 threads (as asked)\n',
    ],
    [
      { type: 'device', device: 'cpu', reason: 'as asked', threads: 2, kernels: 'native' },
      'Device: cpu, 2 threads, native updates (as asked)\n',
    ],
    [
      {
        type: 'device',
        device: 'cpu',
        reason: 'as asked',
        threads: 2,
        kernels: 'stock',
        layers: { version: '3.11.0', instructionSet: 'AVX2' },
      },
      'Device: cpu, 2 threads, convolutions by oneDNN 3.11.0 (AVX2) (as asked)\n',
    ],
    [batch(0), 'Pass:0, Batch:0, Cost:4.50000, Accuracy:0.06250\n'],
    [batch(99), ''],
    [batch(100), 'Pass:0, Batch:100, Cost:4.50000, Accuracy:0.06250\n'],
    [
      { type: 'test', part: 'test', pass: 9, cost: 1.23456789, accuracy: 2 / 3 },
      'Test:9, Cost:1.23457, Accuracy:0.66667\n',
    ],
    [{ type: 'saved', folder: 'models/x', seconds: 61.26 }, 'Saved: models/x (61.3 s)\n'],
    [progress('train', 16, 24, 0), ''],
  ])('%o is told in lines alone', (event, stdout) => {
    expect(shown([event])).toEqual({ stdout, stderr: '' });
  });

  it.each(['json', 'quiet'] as const)('--%s', (output) => {
    setTerminal('stdout', true);
    setTerminal('stderr', true);
    let [stdout, stderr] = ['', ''];
    capture(
      (part) => {
        stdout += part;
      },
      (part) => {
        stderr += part;
      },
    );
    const report = new TerminalReport({ output });
    const failed: TrainingEvent = { type: 'test', part: 'test', pass: 0, cost: Number.NaN, accuracy: 0.5 };
    for (const event of [DATASET, START, batch(1), progress('train', 16, 48, 0), failed]) report.handle(event);
    report.close();
    expect(stderr).toBe('');
    const told = stdout.split('\n').filter(Boolean);
    if (output === 'quiet') {
      expect(told).toEqual([]);
      return;
    }
    expect(told.map((line) => JSON.parse(line))).toEqual([
      {
        type: 'dataset',
        dataset: {
          root: '/pictures',
          kind: 'csv',
          split: 'column',
          classes: ['rose', 'tulip'],
          train: 3,
          valid: 0,
          test: 1,
          warnings: ['valid is tested on'],
        },
      },
      START,
      batch(1),
      progress('train', 16, 48, 0),
      { ...failed, cost: null },
    ]);
  });

  it('weights are told by their number, and by name when asked', () => {
    const report = { dialect: 'paddle', loaded: ['conv1_weights'], missing: ['bn_conv1_scale'], wrongShape: [] };
    const event: TrainingEvent = { type: 'weights', report: { ...report, unexpected: [], leftOut: [] } };
    const counts = '1 loaded, 1 missing, 0 unexpected, 0 wrong shape (paddle names)\n';
    expect(shown([event]).stdout).toBe(counts);
    expect(shown([event], true).stdout).toBe(`${counts}  missing: bn_conv1_scale\n  loaded: conv1_weights\n`);
  });
});

describe('on a terminal', () => {
  /** A report before a screen of 80 columns that both streams go to, and a clock to be set by hand. */
  function begin({ stdout = true } = {}) {
    vi.useFakeTimers();
    setTerminal('stdout', stdout);
    setTerminal('stderr', true);
    const screen = new Screen(80);
    let written = '';
    const show = (text: string) => screen.write(text);
    capture(
      stdout
        ? show
        : (text) => {
            written += text;
          },
      show,
    );
    return { report: new TerminalReport(), screen, written: () => written };
  }

  it('a bar shows how far, how fast and how long yet, all within 80 columns', () => {
    const { report, screen } = begin();
    report.handle(progress('features', 1000, 8000));
    vi.advanceTimersByTime(10_000);
    report.handle(progress('features', 2000, 8000));
    vi.advanceTimersByTime(200);
    // The first 1000 came before the clock: a rate of 100 a second, not 200.
    expect(screen.rows).toEqual([
      expect.stringMatching(/^Computing features █+░+ 2000\/8000 \| 100 img\/s \| 1m00s left$/),
    ]);
    report.close();
    expect(screen.rows).toEqual(['']);
  });

  it('a stage has one bar for all its passes, and a line for each of them above it', () => {
    const { report, screen } = begin();
    const lines: string[] = [];
    report.handle(START);
    for (let pass = 0; pass < 3; pass++) {
      for (let step = 0; step < 3; step++) {
        vi.advanceTimersByTime(1000);
        report.handle({ ...batch(step), pass, cost: pass + 1, accuracy: 0.5, waitMs: 100 });
        report.handle(progress('train', (step + 1) * 16, 48, pass));
        vi.advanceTimersByTime(150);
        expect(screen.rows.slice(0, -1)).toEqual(lines);
        const bar = screen.rows.at(-1) ?? '';
        expect(bar).toMatch(
          /^Pass \d\/3 [█░]{10} cost \d\.\d{3}, 50\.0 % \| \d+\.\d img\/s, waits \d+\.\d % \| \d+s left$/,
        );
        expect(bar.length).toBeLessThanOrEqual(80);
        expect(bar.startsWith(`Pass ${pass + 1}/3`)).toBe(true);
      }
      report.handle({ type: 'pass', pass, cost: 1.25, accuracy: 0.5, picturesPerSecond: 13.9, dataWait: 0.004 });
      report.handle(progress('test', 6, 6, pass));
      report.handle({ type: 'test', part: 'test', pass, cost: 1, accuracy: 0.25 });
      lines.push(`Pass ${pass + 1}: cost 1.2500, 50.0 %; test cost 1.0000, 25.0 %; 13.9 img/s; 3s`);
    }
    report.handle({ type: 'saved', folder: 'models/x', seconds: 1 });
    expect(screen.rows).toEqual([...lines, 'Saved: models/x (1.0 s)']);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('the time left is that of all passes', () => {
    const { report, screen } = begin();
    report.handle(START);
    vi.advanceTimersByTime(10_000);
    report.handle(batch(0));
    report.handle(progress('train', 16, 48, 0));
    vi.advanceTimersByTime(150);
    // 10 s for 16 of 144 pictures.
    expect(screen.rows.at(-1)).toMatch(/\| 1m20s left$/);
    report.close();
  });

  it('a pass without a test, and the last lines before an error, are not lost', () => {
    const { report, screen } = begin();
    report.handle(START);
    report.handle(batch(0));
    report.handle(progress('train', 16, 48, 0));
    report.handle({ type: 'pass', pass: 0, cost: 1.25, accuracy: 0.5, picturesPerSecond: 139, dataWait: 0 });
    report.close();
    expect(screen.rows).toEqual(['Pass 1: cost 1.2500, 50.0 %; 139.0 img/s; 0s']);
  });

  it('lines go to a file alone when standard output is one, and the bar to the terminal', () => {
    const { report, screen, written } = begin({ stdout: false });
    report.handle(START);
    report.handle(batch(0));
    report.handle(progress('train', 16, 48, 0));
    vi.advanceTimersByTime(200);
    expect(written()).toBe('Pass:0, Batch:0, Cost:4.50000, Accuracy:0.06250\n');
    expect(screen.rows).toEqual([expect.stringMatching(/^Pass 1\/3 .* cost 4\.500, 6\.3 %/)]);
    report.close();
  });

  it('a line wider than the terminal is whole above the bar', () => {
    const { report, screen } = begin();
    report.handle(progress('check', 1, 8));
    const text = 'x'.repeat(100);
    report.handle({ type: 'note', text });
    vi.advanceTimersByTime(150);
    expect(screen.rows.slice(0, -1).join('')).toBe(`Note: ${text}`);
    report.close();
  });

  it('leaves the signals that end a program to the program', () => {
    const before = ['SIGINT', 'SIGTERM'].map((signal) => process.listenerCount(signal));
    const { report } = begin();
    report.handle(progress('train', 16, 48, 0));
    expect(['SIGINT', 'SIGTERM'].map((signal) => process.listenerCount(signal))).toEqual(before);
    report.close();
  });
});
