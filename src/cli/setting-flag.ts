import type { Options as FlagOptions } from 'yargs';
import { z } from 'zod';
import { networkSchema, stageSchemas } from '../recipes/schema.ts';

/** The settings of recipes that flags set, too. */
const SECTIONS = { ...stageSchemas, network: networkSchema };
type Sections = typeof SECTIONS;

/**
 * A recipe's setting as a flag: its type, its choices and its meaning are the schema's. The value is left open, and the
 * default only told: what is not given is a recipe's, or the library's default.
 *
 * @param extra what a flag has beside, or has differently
 */
export function settingFlag<Section extends keyof Sections>(
  section: Section,
  name: keyof Sections[Section]['shape'] & string,
  defaults: object,
  extra: FlagOptions = {},
): FlagOptions {
  const field = (SECTIONS[section].shape as Record<string, z.ZodType>)[name] as z.ZodType;
  const { type, enum: choices, description } = z.toJSONSchema(field, { io: 'input', unrepresentable: 'any' });
  const own = (defaults as Readonly<Record<string, unknown>>)[name];
  return {
    // Of numbers the library says itself which there are.
    ...(choices && type === 'string' ? { choices: choices as string[] } : { type: typeOf(type) }),
    ...(type === 'array' && { array: true }),
    ...(own !== undefined && { defaultDescription: Array.isArray(own) ? own.join(' ') : String(own) }),
    ...(description !== undefined && { describe: description }),
    ...extra,
  };
}

const typeOf = (type: unknown): 'string' | 'number' | 'boolean' =>
  type === 'boolean' ? 'boolean' : type === 'number' || type === 'integer' ? 'number' : 'string';
