import { type Curve, chart, roundUp } from '../chart.ts';
import { count, duration, percent, short } from '../format.ts';
import { type Html, html } from '../html.ts';
import type { Pass, Result, Step } from '../read-result.ts';
import { type Point, thin } from '../thin.ts';
import { details, type Section, section } from './section.ts';

/** Parts of the way of which the extremes are drawn: about a pixel each. */
const COLUMNS = 400;

/** What of a pass the curves show. */
export type TrainedPass = Pick<
  Pass,
  'pass' | 'learningRate' | 'trainCost' | 'trainAccuracy' | 'testCost' | 'testAccuracy'
>;

interface Measure {
  readonly title: string;
  readonly format: (value: number) => string;
  readonly ofStep: (step: Step) => number;
  readonly ofPass: (pass: TrainedPass) => number;
  readonly ofTest?: (pass: TrainedPass) => number | undefined;
  readonly range: (values: readonly number[]) => readonly [number, number];
}

const MEASURES: readonly Measure[] = [
  {
    title: 'Loss',
    format: short,
    ofStep: ({ cost }) => cost,
    ofPass: ({ trainCost }) => trainCost,
    ofTest: ({ testCost }) => testCost,
    range: (values) => [0, roundUp(Math.max(...values))],
  },
  {
    title: 'Accuracy',
    format: (value) => percent(value, 0),
    ofStep: ({ accuracy }) => accuracy,
    ofPass: ({ trainAccuracy }) => trainAccuracy,
    ofTest: ({ testAccuracy }) => testAccuracy,
    range: (values) => [Math.min(0.8, Math.floor(Math.min(...values) * 5) / 5), 1],
  },
  {
    title: 'Learning rate',
    format: short,
    ofStep: ({ learningRate }) => learningRate,
    ofPass: ({ learningRate }) => learningRate,
    range: (values) => [0, roundUp(Math.max(...values))],
  },
];

export function training({ run, steps }: Result): Section {
  const { history, dataset, options } = run;
  const watched = options['watch'] === 'valid' ? 'valid' : 'test';
  const solved = history.length === 1 && history[0]!.learningRate === 0;
  // A single point is no curve.
  const drawn = history.length > 1 || steps.length > 1;
  const charts = drawn && trainingCharts({ history, steps, across: along(steps), watched });
  const lead = solved
    ? `The head was solved for at once, on the frozen features of ${count(dataset.train, 'picture')}.`
    : html`A pass goes once through the ${count(dataset.train, 'training picture')}.${
        drawn &&
        html` <b class="train">Grey</b> is what it learnt from${
          steps.length > 0 && ', pale for single steps'
        }; <b class="test">the colour</b> is the ${watched} part, which it had not seen.`
      }`;
  return section('training', 'How it learnt', lead, [
    drawn
      ? html`<div class="charts">${charts}<p class="kept">${keptText(run)}</p></div>`
      : html`<p class="kept">${keptText(run)}</p>`,
    run.rollbacks?.map(
      ({ reason, to }) =>
        html`<p class="warning">Training went back to pass ${to.pass + 1}, after ${count(to.batches, 'batch', 'batches')} of it, and on at a tenth of the rate. ${reason}</p>`,
    ),
    drawn ? details('Every pass as a table', passTable(history)) : passTable(history),
  ]);
}

/** Where on the axis of passes done a step lies. */
function along(steps: readonly Step[]): (step: Step) => number {
  const batches = steps.reduce((most, { batch }) => Math.max(most, batch + 1), 1);
  return ({ pass, batch }) => pass + (batch + 1) / batches;
}

export interface Trained {
  readonly history: readonly TrainedPass[];
  readonly steps: readonly Step[];
  /** Where on the axis of passes done a step lies. */
  readonly across: (step: Step) => number;
  /** The part that passes were tested on. */
  readonly watched: string;
}

/** Curves of loss, accuracy and learning rate. There must be a step or a pass. */
export const trainingCharts = (trained: Trained): Html[] => MEASURES.map((measure) => curvesOf(measure, trained));

function curvesOf(
  { title, format, ofStep, ofPass, ofTest, range }: Measure,
  { history, steps, across, watched }: Trained,
): Html {
  const single = thin(
    steps.map((step): Point => ({ x: across(step), y: ofStep(step) })),
    COLUMNS,
  );
  const passes = history.map((pass): Point => ({ x: pass.pass + 1, y: ofPass(pass) }));
  const tests = history.flatMap((pass): Point[] => {
    const y = ofTest?.(pass);
    return y === undefined ? [] : [{ x: pass.pass + 1, y }];
  });
  const curves: Curve[] = ofTest
    ? [
        { label: '', kind: 'steps', points: single },
        { label: `train ${end(passes, format)}`, kind: 'train', points: passes },
        { label: `${watched} ${end(tests, format)}`, kind: 'test', points: tests },
      ]
    : [{ label: end(passes, format), kind: 'train', points: single.length > 0 ? single : passes }];
  const all = curves.flatMap(({ points }) => points);
  return chart({
    title,
    low: !ofTest,
    summary: `${title} by pass: ${curves
      .filter(({ label, points }) => label !== '' && points.length > 0)
      .map(({ label, points }) => `from ${format(points[0]!.y)} to ${label}`)
      .join('; ')}.`,
    curves,
    x: [Math.min(...all.map(({ x }) => Math.floor(x))), Math.max(...all.map(({ x }) => x))],
    y: range(all.map(({ y }) => y)),
    formatY: format,
    readings: passes.map(({ x, y }) => {
      const test = tests.find((point) => point.x === x);
      const values = [ofTest ? `train ${precise(y, format)}` : format(y)];
      if (test) values.push(`${watched} ${precise(test.y, format)}`);
      return { x, text: `pass ${x}: ${values.join(', ')}` };
    }),
  });
}

const end = (points: readonly Point[], format: Measure['format']) =>
  points.length > 0 ? format(points.at(-1)!.y) : '';

/** With a digit more than an axis has. */
const precise = (value: number, format: Measure['format']) => (format === short ? short(value) : percent(value));

function keptText({ history, kept, options }: Result['run']): string {
  const [number, passes] = [kept + 1, history.length];
  if (number > passes) return `Saved in the middle of pass ${number}: the model is as it was then.`;
  if (passes === 1) return 'The model is what came of its single pass.';
  if (number === passes) return `The model is as it was after the last of ${passes} passes.`;
  const by = { top1: 'accuracy', meanPerClass: 'mean accuracy per class', cost: 'loss' }[String(options['metric'])];
  return `The model is as it was after pass ${number} of ${passes}, where its ${by ?? 'test'} was best.`;
}

function passTable(history: readonly Pass[]): Html {
  const cell = (value: number | undefined, format: (value: number) => string) =>
    html`<td>${value === undefined ? '–' : format(value)}</td>`;
  const four = (value: number) => value.toFixed(4);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Every pass"><table class="passes">
<thead><tr><th scope="col">pass</th><th scope="col">rate</th><th scope="col">train loss</th><th scope="col">train accuracy</th><th scope="col">test loss</th><th scope="col">test accuracy</th><th scope="col">top-5</th><th scope="col">time</th><th scope="col">waiting</th></tr></thead>
<tbody>${history.map(
    (pass) =>
      html`<tr><th scope="row">${pass.pass + 1}</th><td>${short(pass.learningRate)}</td><td>${four(pass.trainCost)}</td><td>${percent(pass.trainAccuracy)}</td>${cell(pass.testCost, four)}${cell(pass.testAccuracy, percent)}${cell(pass.testTop5, percent)}<td>${duration(pass.seconds)}</td><td>${percent(pass.dataWait)}</td></tr>\n`,
  )}</tbody></table></div>`;
}
