/** Inputs and outputs by whose names ONNX Runtime knows a training model's parts, and the names of an update's state. */

/** A trained parameter's gradients add up in the input of this ending. */
export const BUFFER_ENDING = '_grad.accumulation.buffer';
/** Outputs that tell of a buffer's filling. */
export const FLAG_ENDING = '_grad.accumulation.out';
/** bool [1]: whether a step replaces the gradients of those before instead of adding to them. */
export const RESET_FLAG = 'lazy_reset_grad';

export const bufferOf = (parameter: string): string => `${parameter}${BUFFER_ENDING}`;
export const flagOf = (parameter: string): string => `${parameter}${FLAG_ENDING}`;

/** How many updates there have been. */
export const STEP_STATE = 'optimizer.step';
const SLOTS = ['first_moment', 'second_moment', 'momentum', 'average'] as const;
export type Slot = (typeof SLOTS)[number];

/** What an update within the training graph remembers of a parameter. */
export const stateOf = (parameter: string, slot: Slot): string => `${parameter}.${slot}`;
/** Name of a parameter's running average. */
export const averageOf = (parameter: string): string => stateOf(parameter, 'average');

/**
 * Whether a name is that of what an update within the training graph remembers.
 * @param isParameter of the same file
 */
export function isUpdateState(name: string, isParameter: (name: string) => boolean): boolean {
  return (
    name === STEP_STATE ||
    SLOTS.some((slot) => name.endsWith(stateOf('', slot)) && isParameter(name.slice(0, -slot.length - 1)))
  );
}
