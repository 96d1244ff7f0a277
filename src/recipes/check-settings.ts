import { OrtuneError } from '../errors.ts';
import { stageSchemas } from './schema.ts';

export type StageName = keyof typeof stageSchemas;

/** Settings by the names of their flags, where these are others. */
const FLAGS: Readonly<Record<string, string>> = { learningRate: 'lr', 'earlyStopping.patience': 'patience' };

/** What has more forms than a recipe's, and checks of its own that say more. */
const OTHERWISE: ReadonlySet<string> = new Set([
  'augment',
  'batchNorm',
  'classWeights',
  'schedule',
  'testSize',
  'testResize',
]);

/**
 * Checks a stage's settings, however they came, by what a recipe may say.
 *
 * @throws OrtuneError `OPTION` for the first that does not fit, by the name of its flag
 */
export function checkSettings(stage: StageName, settings: object): void {
  const { shape } = stageSchemas[stage];
  const present = Object.entries(settings).filter(
    ([name, value]) => name in shape && !OTHERWISE.has(name) && value !== undefined,
  );
  const { error } = stageSchemas[stage].safeParse(Object.fromEntries(present), { reportInput: true });
  const [issue] = error?.issues ?? [];
  if (issue) {
    throw new OrtuneError(
      'OPTION',
      `${flagName(issue.path)}: expected ${issue.message}, received ${String(issue.input)}`,
    );
  }
}

function flagName(path: readonly PropertyKey[]): string {
  const name = path.join('.');
  // Of a list or a section, the whole.
  return FLAGS[name] ?? String(path[0]).replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
