import { dirname, resolve } from 'node:path';
import {
  buildResNet,
  encodeModelChunks,
  type Model,
  type ResNetOptions,
  type Summary,
  summarise,
} from '../onnx/index.ts';
import { PRETRAIN_DEFAULTS } from './training/options.ts';
import { writeFiles } from './write-files.ts';

/** The network, ResNet50 for 102 classes by default, and where it goes. */
export interface BuildGraphOptions extends Partial<ResNetOptions> {
  /** File to write. Default `models/graph.onnx`. */
  readonly out?: string;
}

/** What was built. */
export interface BuiltGraph {
  readonly file: string;
  /** Of the file. */
  readonly bytes: number;
  readonly model: Model;
  /** Layers, parameters and multiply-adds. */
  readonly summary: Summary;
}

/**
 * Builds a ResNet and writes it as an ONNX graph with named initializers: what `pretrain` takes.
 *
 * @throws OrtuneError `OPTION` for a network that cannot be; `OUTPUT`
 */
export async function buildGraph({
  out = PRETRAIN_DEFAULTS.graph,
  ...network
}: BuildGraphOptions = {}): Promise<BuiltGraph> {
  const model = buildResNet(network);
  const chunks = [...encodeModelChunks(model)];
  await writeFiles(dirname(resolve(out)), { [resolve(out)]: chunks });
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.byteLength, 0);
  return { file: out, bytes, model, summary: summarise(model.graph) };
}
