/** Puts each frame that comes into the page, and tells what the curves are at a place. */

const shown = {};
/** What the pointer is at: a chart by its place, and how far across, in percent. */
let at;

const connection = document.getElementById('connection');
const say = (text) => {
  connection.textContent = text;
  connection.hidden = text === '';
};

const events = new EventSource('events');
events.addEventListener('open', () => say(''));
events.addEventListener('error', () => say('No connection to the run. It may have ended; trying again.'));
events.addEventListener('end', () => {
  events.close();
  say('The run has ended. This page stays as it is now.');
});
events.addEventListener('message', ({ data }) => {
  const { title, parts } = JSON.parse(data);
  document.title = title;
  for (const [id, html] of Object.entries(parts)) {
    if (shown[id] === html) continue;
    shown[id] = html;
    document.getElementById(id).innerHTML = html;
  }
  document.getElementById('log-title').hidden = parts.log === '';
  read();
});

/** Says beside the title of the chart that is pointed at what its curves are there. */
function read() {
  for (const [place, chart] of document.querySelectorAll('.chart').entries()) {
    const readings = JSON.parse(chart.dataset.readings);
    const away = readings.map(([across]) => Math.abs(across - at?.across));
    const reading = at?.place === place ? readings[away.indexOf(Math.min(...away))] : undefined;
    const cursor = chart.querySelector('.cursor');
    cursor.setAttribute('visibility', reading ? 'visible' : 'hidden');
    chart.querySelector('output').textContent = reading ? reading[1] : '';
    if (!reading) continue;
    cursor.setAttribute('x1', `${reading[0]}%`);
    cursor.setAttribute('x2', `${reading[0]}%`);
  }
}

function point({ target, clientX }) {
  const plot = target.closest?.('.plot');
  if (!plot && !at) return;
  const { left, width } = plot?.getBoundingClientRect() ?? {};
  const charts = [...document.querySelectorAll('.chart')];
  at = plot ? { place: charts.indexOf(plot.closest('.chart')), across: ((clientX - left) / width) * 100 } : undefined;
  read();
}

document.addEventListener('pointermove', point);
document.addEventListener('pointerdown', point);
