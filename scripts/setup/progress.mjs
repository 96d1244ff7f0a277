const WIDTH = 12;
/** Milliseconds between two looks at the clock. */
const INTERVAL = 1000;

/**
 * Shows on a terminal which of some steps is under way, and for how long: `███░░░ 2/4 addon: cargo build, 12 s`.
 *
 * @param {{ index: number, count: number, text: string }} step counted from 0
 * @param {Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'write'>} [out]
 * @returns {() => void} takes it away
 */
export function showStep({ index, count, text }, out = process.stdout) {
  if (!out.isTTY) return () => {};
  const begun = performance.now();
  const done = Math.round((WIDTH * index) / count);
  const bar = '█'.repeat(done) + '░'.repeat(WIDTH - done);
  const draw = () => {
    const seconds = Math.floor((performance.now() - begun) / 1000);
    const line = `${bar} ${index + 1}/${count} ${text}, ${seconds} s`;
    // A wrapped line could not be taken back.
    out.write(`\r\x1b[2K${line.slice(0, (out.columns || 80) - 1)}`);
  };
  draw();
  const timer = setInterval(draw, INTERVAL);
  return () => {
    clearInterval(timer);
    out.write('\r\x1b[2K');
  };
}
