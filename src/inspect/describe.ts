import {
  type FileDescription,
  type Group,
  type HeldTensor,
  type OpenFile,
  ROLES,
  type TensorDescription,
} from './types.ts';
import { elementBytes, numbersOf, summariseValues } from './values.ts';

/**
 * Describes a file's contents with a summary of each tensor's values.
 * @param wanted which tensors to list; groups and all else are of the whole file
 */
export async function describeFile(
  { tensors: held, content, ...about }: OpenFile,
  wanted: (tensor: HeldTensor) => boolean = () => true,
): Promise<FileDescription> {
  const sized = held.map((tensor) => ({ ...tensor, ...sizeOf(tensor) }));
  const tensors: TensorDescription[] = [];
  for (const tensor of sized.filter(wanted)) {
    const { data, ...described } = tensor;
    const numbers = numbersOf(tensor);
    tensors.push({ ...described, ...(numbers && { values: await summariseValues(numbers) }) });
  }
  return { ...about, bytes: content.byteLength, groups: groupsOf(sized), tensors };
}

/** Known for a static shape, whether or not the values are here. */
function sizeOf({ dims, type }: HeldTensor): { elements?: number; bytes?: number } {
  if (!dims.every((length) => typeof length === 'number')) return {};
  const elements = dims.reduce((product, length) => product * length, 1);
  const width = elementBytes(type);
  return { elements, ...(width !== undefined && { bytes: elements * width }) };
}

function groupsOf(tensors: readonly { role: Group['role']; elements?: number; bytes?: number }[]): Group[] {
  return ROLES.flatMap((role) => {
    const members = tensors.filter((tensor) => tensor.role === role);
    if (members.length === 0) return [];
    const total = (key: 'elements' | 'bytes') => members.reduce((sum, member) => sum + (member[key] ?? 0), 0);
    return [{ role, tensors: members.length, elements: total('elements'), bytes: total('bytes') }];
  });
}
