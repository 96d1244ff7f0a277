import { basename } from 'node:path';
import { count, duration, short } from '../format.ts';
import { type Content, html } from '../html.ts';
import type { Run } from '../read-result.ts';
import { details, type Section, section } from './section.ts';

export function setup({ dataset, network, options, device, versions, git, started, seconds }: Run): Section {
  const { train, valid, test } = dataset;
  const from = text(options['weights'] ?? options['from']);
  const rate = options['learningRate'];
  const facts: [string, Content][] = [
    ['Pictures', html`<bdi class="path">${dataset.root}</bdi>`],
    [
      'Split',
      `${dataset.split}: ${train} train, ${valid} valid, ${test} test${dataset.seed === undefined ? '' : `, seed ${dataset.seed}`}`,
    ],
    [
      'Network',
      [
        `ResNet${text(network['depth'])}`,
        network['width'] !== 1 && `, width × ${text(network['width'])}`,
        `, ${text(network['imageSize'])}\u00a0px, ${text(network['inputNorm'])} normalisation, stride in ${text(network['strideIn'])}`,
      ],
    ],
    [
      options['weights'] === undefined ? 'Starts from' : 'Weights',
      html`<bdi class="path" title="${from}">${basename(from)}</bdi>`,
    ],
    [
      'Recipe',
      `${count(Number(options['passes']), 'pass', 'passes')} in batches of ${text(options['batchSize'])}, ${text(options['optimizer'])}${typeof rate === 'number' ? ` at ${short(rate)}` : ''}`,
    ],
    ['Device', `${device.device}, ${count(device.threads, 'thread')}`],
    ['Seed', text(options['seed'])],
    [
      'Started',
      html`<time datetime="${started}">${started.replace('T', ' ').replace(/(\.\d+)?Z$/, ' UTC')}</time>, took ${duration(seconds)}`,
    ],
    [
      'Versions',
      Object.entries(versions)
        .map(([what, version]) => `${what}\u00a0${version}`)
        .join(', '),
    ],
    ['Commit', git && html`<code>${git.commit.slice(0, 12)}</code>${git.dirty && ', with changes'}`],
  ];
  return section('setup', 'How it was made', 'What was trained on what: enough to do it again.', [
    html`<dl class="rows">${facts.map(([title, value]) => value !== undefined && html`<div><dt>${title}</dt><dd>${value}</dd></div>`)}</dl>`,
    details(
      'Every option',
      html`<dl class="rows options">${Object.entries(options).map(([option, value]) => html`<div><dt>${words(option)}</dt><dd><bdi>${text(value)}</bdi></dd></div>`)}</dl>`,
    ),
  ]);
}

/** `labelSmoothing` as `label smoothing`. */
const words = (option: string) => option.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);

function text(value: unknown): string {
  if (value === true) return 'yes';
  if (value === false) return 'no';
  if (Array.isArray(value)) return value.length > 0 ? value.map(text).join(', ') : 'none';
  if (typeof value === 'object' && value !== null) {
    return Object.entries(value)
      .map(([key, inner]) => (key === 'kind' ? text(inner) : `${words(key)} ${text(inner)}`))
      .join(', ');
  }
  return String(value ?? '–');
}
