import { findRateCommand } from '../src/cli/find-rate.ts';
import { run } from '../src/cli/run.ts';

await run(findRateCommand);
