import {
  ADAM_DEFAULTS,
  buildArtifacts,
  encodeModel,
  encodeModelChunks,
  extract,
  FEATURES,
  HEAD_PARAMETERS,
  headOnly,
  LOGITS,
  type Model,
} from '../../onnx/index.ts';
import { InferenceWorker } from '../inference/index.ts';
import type { Tensor } from '../runtime/index.ts';
import { openSession, type SessionDevice } from './session.ts';

/** A network up to its head, with BatchNorm on its running statistics. */
export interface Backbone extends AsyncDisposable {
  /** @returns `features` float32 [rows, width], and perhaps more */
  run(feeds: Readonly<Record<string, Tensor>>): Promise<Readonly<Record<string, Tensor>>>;
}

/** Opens a network's backbone where its head is trained: by onnxruntime-node, which runs on the CPU alone, or by the training library. */
export function openBackbone(model: Model, device: SessionDevice): Promise<Backbone> {
  return device.device === 'cuda' ? libraryBackbone(model, device) : servedBackbone(model, device);
}

export function servedBackbone(model: Model, { threads }: Pick<SessionDevice, 'threads'>): Promise<Backbone> {
  return InferenceWorker.create([...encodeModelChunks(extract(model, [], [FEATURES]))], { threads });
}

/**
 * By the training library, whose only way to run a model forwards is evaluation: here of a model that gives features and
 * takes no labels. The training model beside it, which a session must have, is the head's and never runs.
 */
export async function libraryBackbone(model: Model, device: SessionDevice): Promise<Backbone> {
  const head = buildArtifacts(extract(model, [FEATURES], [LOGITS]), headOnly('frozen', ADAM_DEFAULTS));
  const opened = await openSession({ ...head, evalModel: encodeModel(featureModel(model)) }, device);
  return {
    run: (feeds) => opened.session.evalStep({ ...feeds }),
    [Symbol.asyncDispose]: () => opened[Symbol.asyncDispose](),
  };
}

/**
 * From pictures to features and logits. As in every evaluation model, the trained parameters are inputs, in the training
 * model's order; the logits are there because the parameters must be read by something.
 */
export function featureModel(model: Model): Model {
  const part = extract(model, [], [FEATURES, LOGITS]);
  const isTrained = (name: string) => (HEAD_PARAMETERS as readonly string[]).includes(name);
  const initializers = [...part.graph.initializers.values()];
  const parameters = initializers.filter(({ name }) => isTrained(name));
  return {
    ...part,
    graph: {
      ...part.graph,
      inputs: [...part.graph.inputs, ...parameters.map(({ name, type, dims }) => ({ name, type, dims }))],
      initializers: new Map(initializers.filter(({ name }) => !isTrained(name)).map((one) => [one.name, one])),
    },
  };
}
