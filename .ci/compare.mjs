// Checks that the served model is right as often as the trainer said, and much more often than chance.
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';

const [csv, predictions, run] = process.argv.slice(2).map((file) => readFileSync(file, 'utf8'));
const tested = new Map();
for (const line of csv.trim().split(/\r?\n/).slice(1)) {
  const [file, label, split] = line.split(',');
  if (split === 'test') tested.set(basename(file), label);
}
let correct = 0;
for (const line of predictions.trim().split('\n')) {
  const { file, predictions: best } = JSON.parse(line);
  if (tested.get(basename(file)) === best[0].label) correct++;
}
const served = correct / tested.size;
const trained = JSON.parse(run).history.at(-1).testAccuracy;
console.log(`Served model: ${correct} of ${tested.size} right; the trainer said ${trained.toFixed(5)}`);
if (served !== trained || served < 0.6) {
  console.error('Error: expected the served accuracy to equal the trainer’s and to be above 0.6');
  process.exit(1);
}
