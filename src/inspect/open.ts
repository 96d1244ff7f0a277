import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { GraphMessage, ModelMessage } from '../../onnx/proto.ts';
import { decodeCheckpoint, isCheckpoint, type StoredCheckpoint } from '../../onnx/read-checkpoint.ts';
import { OrtuneError } from '../errors.ts';
import { openCheckpoint } from './checkpoint.ts';
import { statisticNames } from './graph-roles.ts';
import { openModel, parseModel, stageOf } from './model.ts';
import type { OpenFile, StageRoles } from './types.ts';

/** The files that ortune writes into its folders, in the order of a report. */
export const KNOWN_FILES = [
  'training_model.onnx',
  'eval_model.onnx',
  'optimizer_model.onnx',
  'checkpoint',
  'graph.onnx',
  'model.onnx',
] as const;

/** Longest file that Node reads as a whole. */
const FILE_LIMIT = 2 ** 31 - 1;

type Parsed = Pick<OpenFile, 'path' | 'content'> &
  ({ readonly message: ParsedModel } | { readonly checkpoint: StoredCheckpoint });

type ParsedModel = ModelMessage & { graph: GraphMessage };

/** What `openPath` found. */
export interface OpenPath {
  readonly path: string;
  readonly isFolder: boolean;
  readonly files: readonly OpenFile[];
}

/**
 * Reads a model or checkpoint, told apart by their contents, or those of a folder that ortune wrote. The files of a folder
 * explain each other: what the training model trains and moves, or else the checkpoint, holds for all of them.
 *
 * @throws OrtuneError `INSPECT_NOT_FOUND`, `ONNX_INVALID`, `CHECKPOINT_INVALID`
 */
export async function openPath(path: string): Promise<OpenPath> {
  const found = await statOf(path);
  const isFolder = found?.isDirectory() ?? false;
  const paths = isFolder ? KNOWN_FILES.map((name) => join(path, name)) : [path];
  const parsed: Parsed[] = [];
  for (const file of paths) {
    const info = isFolder ? await statOf(file) : found;
    if (info) parsed.push(await parse(file, info.size));
    else if (!isFolder) throw notFound(path, 'there is nothing of this name');
  }
  if (parsed.length === 0) throw notFound(path, `the folder has none of ${KNOWN_FILES.join(', ')}`);
  const stage = stageAmong(parsed);
  const files = parsed.map(({ path, content, ...parts }) =>
    'message' in parts
      ? openModel(parts.message, { path, content }, stage)
      : openCheckpoint(parts.checkpoint, { path, content }, stage),
  );
  return { path, isFolder, files };
}

async function statOf(path: string) {
  return stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined;
    throw error;
  });
}

function notFound(path: string, reason: string): OrtuneError {
  return new OrtuneError(
    'INSPECT_NOT_FOUND',
    `${path}: expected an ONNX model, a training checkpoint, or a folder written by build-graph --artifacts, pretrain or finetune, but ${reason}.`,
  );
}

async function parse(path: string, size: number): Promise<Parsed> {
  if (size > FILE_LIMIT) {
    throw new OrtuneError(
      'INSPECT_NOT_FOUND',
      `${path}: expected a file of at most ${FILE_LIMIT} bytes, found ${size}.`,
    );
  }
  const content = await readFile(path);
  return isCheckpoint(content)
    ? { path, content, checkpoint: decodeCheckpoint(content, path) }
    : { path, content, message: parseModel(content, path) };
}

function stageAmong(files: readonly Parsed[]): StageRoles | undefined {
  const graphs = files.flatMap((file) => ('message' in file ? [file.message.graph] : []));
  for (const graph of graphs) {
    const stage = stageOf(graph);
    if (stage) return stage;
  }
  const checkpoint = files.flatMap((file) => ('checkpoint' in file ? [file.checkpoint] : []))[0];
  if (!checkpoint || graphs.length === 0) return undefined;
  // Running statistics are in a checkpoint only where BatchNorm is live; frozen, they stay within the models.
  const statistics = new Set(graphs.flatMap((graph) => [...statisticNames(graph, 'all')]));
  return {
    trained: new Set(checkpoint.trainable.map(({ name }) => name)),
    moved: new Set(checkpoint.frozen.map(({ name }) => name).filter((name) => statistics.has(name))),
  };
}
