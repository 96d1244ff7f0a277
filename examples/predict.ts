/** Names what is on pictures: `predict.ts infer_model a.jpg b.png`. */
import { readFile } from 'node:fs/promises';
import { loadModel } from 'ortune';

const [model = 'models/infer_model', ...pictures] = process.argv.slice(2);

await using classifier = await loadModel(model);
for (const picture of pictures) {
  // A path would do as well; bytes may come from anywhere.
  const guesses = await classifier.predict(await readFile(picture), { top: 3 });
  const text = guesses.map(({ label, probability }) => `${label} ${(probability * 100).toFixed(1)} %`);
  console.log(`${picture}: ${text.join(', ')}`);
}
