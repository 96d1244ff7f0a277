import { createHash } from 'node:crypto';
import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';

/** All below a folder, and itself: what the system knows of it but for the time of reading, and its content. */
export async function everythingOf(folder: string): Promise<Map<string, string>> {
  const names = ['.', ...(await readdir(folder, { recursive: true }))].sort();
  const found = new Map<string, string>();
  for (const name of names) {
    const path = join(folder, name);
    const { mode, size, mtimeNs, ctimeNs, ino, nlink } = await lstat(path, { bigint: true });
    const type = Number(mode) & 0o170000;
    const content =
      type === 0o100000 ? await readFile(path) : type === 0o120000 ? await readlink(path) : 'neither file nor link';
    const digest = createHash('sha256').update(content).digest('hex');
    found.set(name, [mode, size, mtimeNs, ctimeNs, ino, nlink, digest].join(' '));
  }
  return found;
}
