/** Building blocks of the schema. The message of each is what was expected, so that one sentence fits every issue. */
import { z } from 'zod';

/** A least value, itself within (`from`) or not (`above`), and perhaps a greatest, within (`to`) or not (`below`). */
export type Bounds = (
  | { readonly from: number; readonly above?: never }
  | { readonly above: number; readonly from?: never }
) & { readonly to?: number; readonly below?: number };

export const number = (bounds: Bounds) =>
  bounded(z.number({ error: `a number ${spoken(bounds)}` }), bounds, 'a number');

export const whole = (bounds: Bounds) => {
  const error = `a whole number ${spoken(bounds)}`;
  return bounded(z.number({ error }).int({ error }), bounds, 'a whole number');
};

export const flag = () => z.boolean({ error: 'true or false' });

export const choice = <const Values extends readonly [string, ...string[]]>(...values: Values) =>
  z.enum(values, { error: values.length > 1 ? `one of ${values.join(', ')}` : values[0] });

/** Any text of one line. */
export const text = () =>
  z.string({ error: 'a text' }).min(1, { error: 'a text' }).max(500, { error: 'a text of at most 500 characters' });

/** Names or patterns such as `bn5*`, as the network's parameters have them. */
export const pattern = () => {
  const error = 'a name of letters, digits, _ and ., with * for any of them and ? for one';
  return z.string({ error }).regex(/^[\w.*?]{1,100}$/, { error });
};

export const list = <Item extends z.ZodType>(item: Item, expected: string, least = 0) =>
  z
    .array(item, { error: expected })
    .min(least, { error: expected })
    .max(1000, { error: `${expected}, at most 1000` });

/**
 * Settings by name and no others. For an unknown one the message lists the known.
 *
 * @param expected what a section is to hold
 */
export const section = <Shape extends z.ZodRawShape>(
  shape: Shape,
  expected = 'settings, each on a line of its own as `name: value`',
) =>
  z.strictObject(shape, {
    error: (issue) => (issue.code === 'unrecognized_keys' ? Object.keys(shape).join(', ') : expected),
  });

function bounded(schema: z.ZodNumber, bounds: Bounds, kind: string): z.ZodNumber {
  const error = `${kind} ${spoken(bounds)}`;
  let checked = schema;
  if (bounds.from !== undefined) checked = checked.gte(bounds.from, { error });
  if (bounds.above !== undefined) checked = checked.gt(bounds.above, { error });
  if (bounds.to !== undefined) checked = checked.lte(bounds.to, { error });
  if (bounds.below !== undefined) checked = checked.lt(bounds.below, { error });
  return checked;
}

/** `from 0 to below 1`, as the options' own checks say it. */
function spoken({ from, above, to, below }: Bounds): string {
  if (from !== undefined)
    return `from ${from} ${to !== undefined ? `to ${to}` : below !== undefined ? `to below ${below}` : 'up'}`;
  return `above ${above}${to !== undefined ? ` and at most ${to}` : below !== undefined ? ` and below ${below}` : ''}`;
}
