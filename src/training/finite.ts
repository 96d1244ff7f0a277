import { printable } from '../data/index.ts';
import { OrtuneError } from '../errors.ts';
import type { CheckpointState } from '../runtime/index.ts';

/** A number that is none, or infinite, and the parameter that it is in. */
export interface Stray {
  readonly name: string;
  readonly value: number;
}

/** The first of some parameters that has one. */
export async function strayIn(
  state: Pick<CheckpointState, 'getParameter'>,
  names: readonly string[],
): Promise<Stray | undefined> {
  for (const name of names) {
    const value = strayOf((await state.getParameter(name)).data as Float32Array);
    if (value !== undefined) return { name, value };
  }
  return undefined;
}

function strayOf(numbers: Float32Array): number | undefined {
  // Of finite numbers 0, and several times as fast as to ask each: there are millions.
  let sum = 0;
  for (let index = 0; index < numbers.length; index++) sum += numbers[index]! * 0;
  return sum === 0 ? undefined : numbers.find((value) => !Number.isFinite(value));
}

/** The last step of a run may have spoilt its parameters without a test to show it. @throws OrtuneError `COST_NOT_FINITE` */
export function requireFiniteValues(values: ReadonlyMap<string, Uint8Array>): void {
  for (const [name, bytes] of values) {
    const value = strayOf(new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4));
    if (value !== undefined) throw strayError('after the last step', { name, value });
  }
}

/** @throws OrtuneError `COST_NOT_FINITE`, with the pictures of the batch */
export function requireFinite(cost: number, where: string, pictures: readonly string[]): void {
  if (!Number.isFinite(cost)) throw notFinite(`${where}: expected a finite cost, received ${cost}`, pictures);
}

/** @param pictures those of the update that it came with, where that is known */
export const strayError = (where: string, { name, value }: Stray, pictures: readonly string[] = []) =>
  notFinite(`${where}: expected finite parameters, received ${value} in ${name}`, pictures);

/** What all such errors say after what was found. */
export const ADVICE = 'Nothing was saved; try a lower --lr';

/** What was found, alone. */
export const findingOf = ({ message }: OrtuneError): string => message.split(` ${ADVICE}`)[0]!;

/** Pictures of a batch that are named. */
const NAMED = 32;

function notFinite(what: string, pictures: readonly string[]): OrtuneError {
  const more = pictures.length > NAMED ? ` and ${pictures.length - NAMED} more` : '';
  const named = pictures.slice(0, NAMED).map(printable).join(', ');
  const batch = pictures.length > 0 ? ` The batch: ${named}${more}.` : '';
  return new OrtuneError('COST_NOT_FINITE', `${what}.${batch} ${ADVICE}.`);
}
