import { checkDataCommand } from '../src/cli/check-data.ts';
import { run } from '../src/cli/run.ts';

await run(checkDataCommand);
