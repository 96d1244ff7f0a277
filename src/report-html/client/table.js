/** The table of classes: sorted by a press on a heading, filtered by name, the first of many shown. */

/** Classes shown before one asks for all. */
const FIRST = 12;

const table = document.getElementById('table');
if (table) start();

function start() {
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const headings = [...table.tHead.rows[0].cells];
  const all = document.getElementById('all');
  const filter = document.getElementById('filter');
  const found = document.querySelector('.tools output');
  let whole = rows.length <= FIRST + 3;

  const keyOf = (row, column) => row.cells[column].dataset.value;

  /** Names go by the alphabet and numbers by their size; what has no number comes last. */
  function compare(a, b, column, sign) {
    const [left, right] = [keyOf(a, column), keyOf(b, column)];
    if (column === 0) return sign * left.localeCompare(right, undefined, { numeric: true });
    if (left === '' || right === '') return (left === '') - (right === '');
    return sign * (left - right);
  }

  function sort(column) {
    const heading = headings[column];
    // Names from the first, figures from the largest; pressed again, the other way.
    const before = heading.getAttribute('aria-sort');
    const order = before
      ? before === 'ascending'
        ? 'descending'
        : 'ascending'
      : column === 0
        ? 'ascending'
        : 'descending';
    for (const other of headings) other.removeAttribute('aria-sort');
    heading.setAttribute('aria-sort', order);
    rows.sort((a, b) => compare(a, b, column, order === 'ascending' ? 1 : -1));
    body.append(...rows);
    show();
  }

  function show() {
    const wanted = filter.value.trim().toLowerCase();
    const matching = rows.filter((row) => keyOf(row, 0).toLowerCase().includes(wanted));
    const shown = new Set(whole || wanted !== '' ? matching : matching.slice(0, FIRST));
    for (const row of rows) row.hidden = !shown.has(row);
    all.hidden = whole || wanted !== '';
    found.textContent = wanted === '' ? `${rows.length} classes` : `${matching.length} of ${rows.length} classes`;
  }

  for (const [column, heading] of headings.entries()) {
    const button = document.createElement('button');
    button.type = 'button';
    button.append(...heading.childNodes);
    button.addEventListener('click', () => sort(column));
    heading.append(button);
  }
  filter.addEventListener('input', show);
  all.addEventListener('click', () => {
    whole = true;
    show();
  });
  document.querySelector('.tools').hidden = rows.length <= FIRST + 3;
  show();
}
