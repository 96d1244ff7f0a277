/** A data set listed in a CSV file (RFC 4180) with the columns `file`, `label` and, if wanted, `split`. */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname, isAbsolute, normalize, sep } from 'node:path';
import { CsvError, parse } from 'csv-parse';
import { OrtuneError } from '../errors.ts';
import { classesOf, type Entry, type Listing, type Partition, requireFiles, withValidation } from './listing.ts';

const PARTS = ['train', 'valid', 'test'] as const;
type Part = (typeof PARTS)[number];

interface Row {
  readonly file: string;
  readonly label: string;
  readonly part: Part | undefined;
}

/**
 * Reads the list. Paths are relative to the CSV's folder and stay within it; other columns are ignored.
 *
 * @throws OrtuneError `CSV_INVALID` with the line, `DATASET_LABELS`, `DATASET_FILES_MISSING` or `DATASET_UNREADABLE`
 */
export async function readCsv(path: string): Promise<Listing> {
  // A pipe would be waited for without end.
  if (!(await stat(path)).isFile()) {
    throw new OrtuneError('DATASET_UNREADABLE', `${path} cannot be read: it is not a regular file.`);
  }
  const rows = await readRows(path);
  const root = dirname(path);
  await requireFiles(
    root,
    rows.map(({ file }) => file),
    basename(path),
  );
  const classes = classesOf(
    rows.map(({ label }) => label),
    path,
  );
  const index = new Map(classes.map((name, label) => [name, label]));
  const entries = rows.map(({ file, label }): Entry => ({ file, label: index.get(label)! }));
  const splits = new Map<string, Partition>();
  if (rows[0]?.part !== undefined) {
    const of = (part: Part) => entries.filter((_, row) => rows[row]!.part === part);
    const column = { train: of('train'), valid: of('valid'), test: of('test') };
    splits.set('column', column);
    for (const [name, split] of withValidation(column)) splits.set(name, split);
  }
  return { classes, entries, splits, warnings: [] };
}

async function readRows(path: string): Promise<Row[]> {
  const rows: Row[] = [];
  const lines = new Map<string, number>();
  const parser = parse({
    bom: true,
    info: true,
    skip_empty_lines: true,
    trim: true,
    columns: (header: string[]) => {
      const names = header.map((name) => name.toLowerCase());
      if (!names.includes('file') || !names.includes('label')) {
        const advice = header.length === 1 ? ' Are the columns separated by commas?' : '';
        throw new OrtuneError(
          'CSV_INVALID',
          `${path}: expected the columns file,label and maybe split in the first line, found: ${header.join(',')}.${advice}`,
        );
      }
      return names;
    },
  });
  const stream = createReadStream(path);
  stream.on('error', (error) => parser.destroy(error));
  try {
    for await (const { record, info } of stream.pipe(parser) as AsyncIterable<{
      record: Record<string, string>;
      info: { lines: number };
    }>) {
      const row = readRow(record, `${path} line ${info.lines}`);
      const before = lines.get(row.file);
      if (before !== undefined) {
        throw new OrtuneError('CSV_INVALID', `${path} line ${info.lines}: "${row.file}" is on line ${before} already.`);
      }
      lines.set(row.file, info.lines);
      rows.push(row);
    }
  } catch (error) {
    if (error instanceof CsvError) throw new OrtuneError('CSV_INVALID', `${path}: ${error.message}.`, { cause: error });
    throw error;
  } finally {
    stream.destroy();
  }
  if (rows.length === 0) throw new OrtuneError('CSV_INVALID', `${path} lists no picture.`);
  return rows;
}

function readRow(record: Record<string, string>, where: string): Row {
  const { file, label, split } = record;
  if (!file) throw new OrtuneError('CSV_INVALID', `${where}: the column file is empty.`);
  if (!label) throw new OrtuneError('CSV_INVALID', `${where}: "${file}" has no label.`);
  if (label.includes('\ufffd')) {
    throw new OrtuneError('CSV_INVALID', `${where}: the label "${label}" is not UTF-8; save the file as UTF-8.`);
  }
  const inside = normalize(file);
  if (isAbsolute(file) || inside === '.' || inside === '..' || inside.startsWith(`..${sep}`)) {
    throw new OrtuneError(
      'CSV_INVALID',
      `${where}: "${file}" leads out of the CSV file's folder; paths are relative to it and stay within it.`,
    );
  }
  const part = PARTS.find((name) => name === split?.toLowerCase());
  if (split !== undefined && !part) {
    throw new OrtuneError('CSV_INVALID', `${where}: split "${split}", expected ${PARTS.join(', ')}.`);
  }
  return { file: inside.replaceAll(sep, '/'), label, part };
}
