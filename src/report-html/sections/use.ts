import { SERVE_DEFAULTS } from '../../serve/options.ts';
import { type Html, html } from '../html.ts';
import type { Result } from '../read-result.ts';
import { type Section, section } from './section.ts';

/** What to do with the result: to be copied. */
export function use({ run, served }: Result): Section {
  const folder = String(run.options['out'] ?? 'models/infer_model');
  const data = String(run.options['data'] ?? run.dataset.root);
  if (!served) {
    return section(
      'use',
      'How to go on',
      'This is the first stage: the head is trained, the network below it is as it came.',
      [snippet('Train the whole network', `npx ortune finetune --data ${quoted(data)} --from ${quoted(folder)}`)],
    );
  }
  return section(
    'use',
    'How to use it',
    'model.onnx takes pixels and gives probabilities, in any ONNX Runtime. Names of the classes and sizes are in its metadata.',
    [
      snippet('A page to try it on, and an HTTP interface', `npx ortune serve --model ${quoted(folder)}`),
      snippet(
        'While it is served',
        `curl -F picture=@photo.jpg http://${SERVE_DEFAULTS.host}:${SERVE_DEFAULTS.port}/predict`,
      ),
      snippet('On the command line', `npx ortune predict --model ${quoted(folder)} photo.jpg`),
      snippet('In a program', program(folder)),
      snippet('How good it is on other pictures', `npx ortune evaluate --model ${quoted(folder)} --data DIR`),
    ],
  );
}

const program = (folder: string) => `import { loadModel } from 'ortune';

await using classifier = await loadModel(${JSON.stringify(folder)});
const [best] = await classifier.predict('photo.jpg');
console.log(best);`;

const snippet = (title: string, code: string): Html =>
  html`<div class="snippet"><header><h3>${title}</h3><button type="button" class="copy" hidden>Copy</button></header><pre tabindex="0"><code>${code}</code></pre></div>`;

/** As a shell reads it: as it is, or between quotes. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) && !word.startsWith('-') ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
