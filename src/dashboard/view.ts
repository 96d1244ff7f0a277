import { relative } from 'node:path';
import { count, duration, percent } from '../report-html/format.ts';
import { type Content, type Html, html } from '../report-html/html.ts';
import { trainingCharts } from '../report-html/sections/training.ts';
import type { RunHistory, Stage } from './history.ts';

const STAGES = { pretrain: 'Stage one: a new head', finetune: 'Stage two: the whole network' } as const;

const TASKS = {
  archive: 'Reading the archive',
  calibrate: 'Calibrating',
  check: 'Reading the pictures',
  download: 'Downloading',
  duplicates: 'Looking for duplicates',
  features: 'Computing features',
  rates: 'Trying rates',
  train: 'Training',
  test: 'Testing',
} as const;

/** The page as it stands: HTML by the ids of the elements that it is put into, and the page's title. */
export interface Frame {
  readonly title: string;
  readonly parts: Readonly<Record<'head' | 'now' | 'charts' | 'log', string>>;
}

/** What is shown of a run. */
export function viewOf(run: RunHistory): Frame {
  const { stage } = run;
  return {
    title: titleOf(run),
    parts: {
      head: head(run).text,
      now: html`${outcome(run)}${run.outcome === undefined && task(run)}${stage && figures(stage, run)}`.text,
      charts: stage && stage.steps.length > 0 ? html`${charts(stage)}`.text : '',
      log: html`${run.lines.map((line) => html`<li>${line}</li>`)}`.text,
    },
  };
}

function titleOf({ stage, outcome }: RunHistory): string {
  if (outcome === 'done') return 'Done - ortune';
  if (outcome) return 'Ended - ortune';
  return stage ? `Pass ${stage.progress.pass} - ortune` : 'ortune';
}

function head({ stage, phase, dataset, device }: RunHistory): Html {
  const { train, test, classes } = dataset ?? {};
  const where = device && `${device.device === 'cuda' ? 'GPU' : 'CPU'}, ${count(device.threads, 'thread')}`;
  const layers = device?.layers && `, oneDNN (${device.layers.instructionSet})`;
  return html`<p class="kicker"><span>ortune, live</span><span>${where}${layers}</span></p>
<h1>${stage && (!phase || phase.phase === stage.start.stage) ? STAGES[stage.start.stage] : (phase?.text ?? 'Getting ready')}</h1>
${
  dataset &&
  html`<p class="intro"><bdi>${relative('.', dataset.root) || dataset.root}</bdi>: ${classes?.length} classes, ${train?.length} pictures to train on, ${test?.length} to test</p>`
}
${stage && key(stage)}`;
}

/** The last test, large. */
function key({ tests }: Stage): Content {
  const last = tests.at(-1);
  if (!last) return undefined;
  const best = tests.reduce((most, test) => (test.accuracy > most.accuracy ? test : most), last);
  const part = last.part === 'valid' ? 'validation' : 'test';
  return html`<div class="key"><p class="value">${(100 * last.accuracy).toFixed(1)}<span class="unit">%</span></p>
<p class="meaning">of the ${part} pictures right after pass ${last.pass + 1}<span>loss ${last.cost.toFixed(3)}; best so far ${percent(best.accuracy)}, after pass ${best.pass + 1}</span></p></div>`;
}

function outcome({ outcome }: RunHistory): Content {
  if (outcome === undefined) return undefined;
  if (outcome === 'done') return html`<p class="outcome">Done. What came of it is in the folder named below.</p>`;
  return html`<p class="outcome failed">Ended early: ${outcome.error}</p>`;
}

function task({ task }: RunHistory): Content {
  if (!task) return undefined;
  const { done, total, pass } = task;
  const name = pass === undefined ? TASKS[task.task] : `${TASKS[task.task]}, pass ${pass + 1}`;
  return html`<p class="task"><label for="progress">${name}</label> <span>${done} of ${total}</span></p>
<progress id="progress" max="${total}" value="${done}"></progress>`;
}

function figures({ progress, steps }: Stage, { outcome }: RunHistory): Html {
  const { cost, accuracy, picturesPerSecond: rate, dataWait, left } = progress.numbers();
  const started = steps.length > 0;
  const figure = (name: string, value: string) => html`<div><dt>${name}</dt><dd>${started ? value : '–'}</dd></div>`;
  return html`<div class="figures"><dl>
<div><dt>pass</dt><dd>${progress.pass}</dd></div>
${figure('loss', cost?.toFixed(3) ?? '')}
${figure('right in training', percent(accuracy))}
${
  // Nothing of these means anything once time goes on without training.
  outcome === undefined && [
    figure('left', left === undefined ? '–' : duration(left / 1000)),
    figure('pictures a second', rate.toFixed(rate < 100 ? 1 : 0)),
    figure('waits for pictures', percent(dataWait)),
  ]
}
</dl></div>`;
}

function charts({ start, steps, passes, tests }: Stage): Html[] {
  const batches = Math.ceil(start.trainSize / start.batchSize);
  const across = ({ pass, batch }: { pass: number; batch: number }) => pass + Math.min(1, (batch + 1) / batches);
  return trainingCharts({ history: passes, steps, across, watched: tests.at(-1)?.part ?? 'test' });
}
