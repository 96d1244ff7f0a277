/** Disks of a test's own, to be full or read-only: to root, permission bits prove nothing. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe } from 'vitest';

const mount = (...words: string[]) => execFileSync('mount', words, { stdio: 'ignore' });

/** A file system in memory. Removed with `using`. */
export class Disk implements Disposable {
  readonly path: string;
  readonly #parent: string;

  /** @param bytes that it holds */
  constructor(bytes: number) {
    this.#parent = mkdtempSync(join(tmpdir(), 'ortune-disk-'));
    this.path = join(this.#parent, 'disk');
    mkdirSync(this.path);
    mount('-t', 'tmpfs', '-o', `size=${bytes}`, 'tmpfs', this.path);
  }

  resize(bytes: number): void {
    mount('-o', `remount,size=${bytes}`, this.path);
  }

  /** Whether it can be written from now on. */
  set writable(value: boolean) {
    mount('-o', `remount,${value ? 'rw' : 'ro'}`, this.path);
  }

  [Symbol.dispose](): void {
    execFileSync('umount', ['--lazy', this.path]);
    rmSync(this.#parent, { recursive: true });
  }
}

/** Whether there can be a {@link Disk}. */
export const canMount = (() => {
  try {
    using _ = new Disk(4096);
    return true;
  } catch {
    return false;
  }
})();

/** Tests that need {@link Disk}. Without the right to mount there is no such disk, and they are skipped, saying so. */
export const describeWithDisks = (name: string, tests: () => void) =>
  describe.skipIf(!canMount)(canMount ? name : `${name} (skipped: mounting is not permitted here)`, tests);
