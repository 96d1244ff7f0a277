import { parse } from 'csv-parse/sync';
import { expect, it } from 'vitest';
import { historyCsv } from '../../src/metrics/index.ts';

it('has a row for each pass, and a column for everything that any row has', () => {
  const text = historyCsv([
    { pass: 0, cost: 2.5, accuracy: undefined },
    { pass: 1, cost: null, accuracy: 1 / 3, note: 'best' },
  ]);
  expect(text).toBe('pass,cost,accuracy,note\r\n0,2.5,,\r\n1,,0.3333333333333333,best\r\n');
});

it('is read as what was written', () => {
  const rows = [{ pass: '0', 'a "name", with commas': 'two\nlines', rate: '1e-7' }];
  expect(parse(historyCsv(rows), { columns: true })).toEqual(rows);
});

it('of no passes is empty', () => {
  expect(historyCsv([])).toBe('');
});
