/** Archives made byte by byte where a well-behaved tool would refuse to. */
import { buffer } from 'node:stream/consumers';
import { crc32, deflateRawSync, gzipSync } from 'node:zlib';
import { type Header, pack } from 'tar-stream';

export interface ZipEntry {
  readonly name: string;
  readonly data?: Buffer;
  /** Upper half of the external attributes: Unix type and mode. */
  readonly mode?: number;
  readonly crc?: number;
  /** As the directory declares it, whatever the data unpack to. */
  readonly size?: number;
  readonly flags?: number;
}

/** A zip archive: PKWARE's APPNOTE.TXT, 4.3. Data are deflated. */
export function zipOf(entries: readonly ZipEntry[]): Buffer {
  const locals: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const {
    name,
    data = Buffer.alloc(0),
    mode = 0o100_644,
    crc = crc32(data),
    size = data.length,
    flags = 0x800,
  } of entries) {
    const packed = deflateRawSync(data);
    const file = Buffer.from(name);
    const shared = Buffer.alloc(26);
    shared.writeUInt16LE(20, 0);
    shared.writeUInt16LE(flags, 2);
    shared.writeUInt16LE(8, 4);
    shared.writeUInt32LE(crc, 10);
    shared.writeUInt32LE(packed.length, 14);
    shared.writeUInt32LE(size, 18);
    shared.writeUInt16LE(file.length, 22);
    const local = Buffer.concat([Buffer.from('PK\x03\x04', 'latin1'), shared, file, packed]);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE((mode << 16) >>> 0, 6);
    tail.writeUInt32LE(offset, 10);
    // Made on Unix (3): only then do the upper attributes hold a mode.
    directory.push(Buffer.from('PK\x01\x02\x14\x03', 'latin1'), shared, tail, file);
    locals.push(local);
    offset += local.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(22);
  end.write('PK\x05\x06', 'latin1');
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(central.length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...locals, central, end]);
}

/** A tar archive, by the library's writer, which takes any name and kind. */
export async function tarOf(
  entries: readonly (Partial<Header> & { name: string } & { data?: Buffer })[],
): Promise<Buffer> {
  const archive = pack();
  for (const { data, ...header } of entries) {
    if (data) archive.entry({ ...header, size: data.length }, data);
    else archive.entry(header);
  }
  archive.finalize();
  return buffer(archive);
}

export async function tgzOf(
  entries: readonly (Partial<Header> & { name: string } & { data?: Buffer })[],
): Promise<Buffer> {
  return gzipSync(await tarOf(entries));
}
