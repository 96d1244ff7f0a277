/** From a picture to the server's answer, and the answer on the page. */
import { heatPicture } from './heat.js';
import { draw, openPicture } from './picture.js';

const MOST_CLASSES = 8;
const element = (id) => document.getElementById(id);
const work = element('work');
const canvas = element('canvas');

/** What the server says of itself; without an answer the page asks for what any model has. */
const model = fetch('healthz')
  .then((response) => (response.ok ? response.json() : undefined))
  .catch(() => undefined);
/** The picture that is shown, the answer about it, and the class whose map is drawn. */
let shown;
let asking = new AbortController();

model.then((facts) => {
  if (facts) element('model').textContent = `${facts.classes} classes, ${facts.imageSize} px`;
});
element('curl').textContent = `curl -F picture=@photo.jpg ${new URL('predict', location.href)}`;

for (const id of ['file', 'camera']) {
  element(id).addEventListener('change', ({ target }) => {
    const [file] = target.files;
    // The same file may be chosen again.
    target.value = '';
    if (file) look(file);
  });
}
document.addEventListener('paste', (event) => {
  const file = event.clipboardData?.files[0];
  if (file) look(file);
});
// Dropped beside its place, a picture would be opened in the page's stead.
let depth = 0;
const dragged = (change) => (event) => {
  event.preventDefault();
  depth = Math.max(0, depth + change);
  document.body.classList.toggle('dragging', depth > 0);
};
document.addEventListener('dragenter', dragged(1));
document.addEventListener('dragleave', dragged(-1));
document.addEventListener('dragover', (event) => event.preventDefault());
document.addEventListener('drop', (event) => {
  event.preventDefault();
  depth = 0;
  document.body.classList.remove('dragging');
  const file = event.dataTransfer?.files[0];
  if (file) look(file);
});
element('heat').addEventListener('change', redraw);
element('classes').addEventListener('change', ({ target }) => {
  shown.chosen = Number(target.value);
  redraw();
});

/** Shows a picture and asks the server about it; a later picture takes an earlier one's place. */
async function look(file) {
  asking.abort();
  asking = new AbortController();
  const { signal } = asking;
  say('problem', '');
  work.setAttribute('aria-busy', 'true');
  element('live').textContent = 'Looking at the picture.';
  const picture = await openPicture(file);
  if (signal.aborted) return;
  shown = { picture, name: file.name || 'pasted picture', chosen: 0 };
  work.classList.toggle('empty', !picture);
  canvas.hidden = !picture;
  element('answer').hidden ||= !picture;
  element('choose').textContent = 'Choose another picture';
  redraw();
  try {
    const answer = await ask(file, signal);
    if (signal.aborted) return;
    Object.assign(shown, answer.pictures[0]);
    show(shown);
  } catch (error) {
    if (signal.aborted) return;
    element('answer').hidden = true;
    element('looked').hidden = true;
    say('problem', error instanceof Refusal ? error.message : 'The server cannot be reached.');
    element('live').textContent = '';
  }
  work.removeAttribute('aria-busy');
}

class Refusal extends Error {}

async function ask(file, signal) {
  const facts = await model;
  const query = facts ? `?top=${Math.min(MOST_CLASSES, facts.classes)}&maps=${facts.maps}` : '';
  const headers = { 'Content-Type': 'application/octet-stream' };
  const response = await fetch(`predict${query}`, { method: 'POST', body: file, headers, signal });
  const answer = await response.json();
  if (!response.ok) throw new Refusal(answer.error.message);
  return answer;
}

function show({ predictions, picture }) {
  const [best] = predictions;
  element('verdict').textContent = best.label;
  element('sureness').textContent = `${percent(best.probability)} sure`;
  const mapped = best.map !== undefined && picture !== undefined;
  const classes = element('classes');
  classes.classList.toggle('maps', mapped);
  classes.replaceChildren(classes.firstElementChild, ...predictions.map((one, index) => row(one, index, mapped)));
  element('looked').hidden = !mapped;
  element('answer').hidden = false;
  work.classList.remove('empty');
  if (!picture) say('problem', 'This browser cannot show the picture; the network could read it.');
  const others = predictions.slice(1, 3).map(({ label, probability }) => `${label} ${percent(probability)}`);
  element('live').textContent = [`${best.label}, ${percent(best.probability)}`, ...others].join('; ');
  redraw();
}

/** A class with its bar; with maps it can be picked, by arrow keys, too. */
function row({ label, probability }, index, mapped) {
  const line = make(mapped ? 'label' : 'div', 'class');
  if (mapped) {
    const radio = make('input', 'unseen');
    Object.assign(radio, { type: 'radio', name: 'class', value: String(index), checked: index === 0 });
    line.append(radio);
  }
  const bar = make('div', 'bar');
  bar.style.width = `${probability * 100}%`;
  const track = make('div', 'track');
  track.append(bar);
  line.append(make('span', 'name', label), make('span', 'soft', percent(probability)), track);
  return line;
}

function redraw() {
  if (!shown?.picture) return;
  const { picture, seen, predictions, chosen } = shown;
  const one = predictions?.[chosen];
  const heat = one?.map && element('heat').checked ? heatPicture(one.map) : undefined;
  draw(canvas, picture, seen, heat);
  canvas.setAttribute('aria-label', heat ? `${shown.name}, coloured by what speaks for ${one.label}` : shown.name);
}

function say(id, text) {
  element(id).textContent = text;
  element(id).hidden = text === '';
}

function make(tag, className, text = '') {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = text;
  return made;
}

function percent(probability) {
  const value = probability * 100;
  if (value < 100 && value >= 99.95) return '> 99.9 %';
  return value > 0 && value < 0.1 ? '< 0.1 %' : `${value.toFixed(1)} %`;
}
