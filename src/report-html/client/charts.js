/** Curves and bars tell what they are at a place: under the pointer, or by the arrow keys. */

for (const chart of document.querySelectorAll('.chart')) {
  /** @type {[percent: number, text: string][]} */
  const readings = JSON.parse(chart.dataset.readings);
  const plot = chart.querySelector('.plot');
  const cursor = chart.querySelector('.cursor');
  const output = chart.querySelector('output');
  let at = -1;

  const show = (index) => {
    at = index;
    const reading = readings[index];
    cursor.setAttribute('visibility', reading ? 'visible' : 'hidden');
    output.textContent = reading ? reading[1] : '';
    if (!reading) return;
    cursor.setAttribute('x1', `${reading[0]}%`);
    cursor.setAttribute('x2', `${reading[0]}%`);
  };

  const point = (event) => {
    const { left, width } = plot.getBoundingClientRect();
    const percent = ((event.clientX - left) / width) * 100;
    const away = readings.map(([place]) => Math.abs(place - percent));
    show(away.indexOf(Math.min(...away)));
  };

  plot.addEventListener('pointermove', point);
  plot.addEventListener('pointerdown', point);
  plot.addEventListener('pointerleave', (event) => event.pointerType === 'mouse' && show(-1));
  plot.addEventListener('blur', () => show(-1));
  plot.addEventListener('keydown', (event) => {
    const last = readings.length - 1;
    const places = { ArrowLeft: Math.max(0, at - 1), ArrowRight: Math.min(last, at + 1), Home: 0, End: last };
    const place = places[event.key];
    if (place === undefined) return;
    event.preventDefault();
    show(place);
  });
}
