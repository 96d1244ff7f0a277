import { buildGraphCommand } from '../src/cli/build-graph.ts';
import { run } from '../src/cli/run.ts';

await run(buildGraphCommand);
