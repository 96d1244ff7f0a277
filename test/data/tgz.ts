import { gzipSync } from 'node:zlib';

export interface TarEntry {
  readonly name: string;
  readonly content?: string | Uint8Array;
  /** The type flag: `0` a file, `1` a link, `2` a symbolic link, `3` a character device, `5` a folder, `x` a pax header. */
  readonly type?: string;
  readonly linkname?: string;
  /** What the header says, if not the truth. */
  readonly size?: number;
}

/** One entry as POSIX.1-1988 (ustar) lays it out, whatever its name may be: header of 512 bytes, content padded to 512. */
export function tarEntry({ name, content = '', type = '0', linkname = '', size }: TarEntry): Buffer {
  const bytes = Buffer.from(content);
  const header = Buffer.alloc(512);
  const octal = (value: number, digits: number) => `${value.toString(8).padStart(digits, '0')}\0`;
  header.write(name, 0, 100);
  header.write(octal(0o644, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(size ?? bytes.length, 11), 124);
  header.write(octal(0, 11), 136);
  header.write(type, 156);
  header.write(linkname, 157, 100);
  header.write('ustar\x0000', 257);
  writeChecksum(header);
  return Buffer.concat([header, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

/** Makes a header's checksum agree with the rest of it. */
export function writeChecksum(header: Buffer): void {
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
}

export function tar(entries: readonly TarEntry[]): Buffer {
  return Buffer.concat([...entries.map(tarEntry), Buffer.alloc(1024)]);
}

export function tgz(entries: readonly TarEntry[]): Buffer {
  return gzipSync(tar(entries), { level: 1 });
}
