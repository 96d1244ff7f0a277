import { type ModelMessage, OutputsProto, toNumber } from './proto.ts';
import { LOGITS } from './resnet.ts';

/** How many classes a model's file tells apart: the last dimension of its logits, where it says so. */
export function classCount(bytes: Uint8Array): number | undefined {
  const { graph } = OutputsProto.decode(bytes) as ModelMessage;
  const logits = graph?.output?.find(({ name }) => name === LOGITS);
  const length = logits?.type?.tensorType?.shape?.dim?.at(-1)?.dimValue;
  return length === undefined ? undefined : toNumber(length);
}
