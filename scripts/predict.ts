import { predictCommand } from '../src/cli/predict.ts';
import { run } from '../src/cli/run.ts';

await run(predictCommand);
