import { afterEach, describe, expect, it, vi } from 'vitest';
import { showStep } from '../../scripts/setup/progress.mjs';
import { Screen } from '../report/screen.ts';

afterEach(() => vi.useRealTimers());

const step = { index: 1, count: 4, text: 'addon: cargo build' };

describe('a step of setup', () => {
  it('is shown with its time, on one line of the terminal, and goes', () => {
    vi.useFakeTimers();
    const screen = new Screen(30);
    const out = { isTTY: true, columns: 30, write: (text: string) => screen.write(text) };
    const hide = showStep(step, out as never);
    expect(screen.rows).toEqual(['███░░░░░░░░░ 2/4 addon: cargo'.slice(0, 29)]);
    hide();
    expect(screen.rows).toEqual(['']);
    const wide = new Screen(80);
    const again = showStep(step, { isTTY: true, columns: 80, write: (text: string) => wide.write(text) } as never);
    vi.advanceTimersByTime(12_000);
    expect(wide.rows).toEqual(['███░░░░░░░░░ 2/4 addon: cargo build, 12 s']);
    again();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('is not shown where nobody looks', () => {
    const write = vi.fn();
    showStep(step, { isTTY: false, columns: 80, write } as never)();
    expect(write).not.toHaveBeenCalled();
  });
});
