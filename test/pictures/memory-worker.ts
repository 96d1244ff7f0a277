/** Reads pictures through in a process of its own: how much memory it came to is the process's. */
import { readFileSync } from 'node:fs';
import { checkImages } from '../../src/data/check.ts';

/** The most memory so far in MiB. `resourceUsage` would begin with what the parent had. */
const most = () => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024;

const before = most();
const bad = await checkImages(process.argv.slice(2).map((file) => ({ file, label: 0 })));
console.log(JSON.stringify({ reasons: bad.map(({ reason }) => reason), mebibytes: most() - before }));
