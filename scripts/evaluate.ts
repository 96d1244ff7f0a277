import { evaluateCommand } from '../src/cli/evaluate.ts';
import { run } from '../src/cli/run.ts';

await run(evaluateCommand);
