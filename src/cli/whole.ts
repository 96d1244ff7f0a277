import { OrtuneError } from '../errors.ts';

/** Checks flags that count something; one that was not given is right. @throws OrtuneError `OPTION` */
export function checkWhole(flags: Readonly<Record<string, number | undefined>>, least: number): void {
  for (const [flag, value] of Object.entries(flags)) {
    if (value === undefined || (Number.isSafeInteger(value) && value >= least)) continue;
    throw new OrtuneError('OPTION', `--${flag}: expected a whole number from ${least} up, received ${value}`);
  }
}
