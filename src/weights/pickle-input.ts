/** The bytes end inside a pickle. */
export class PickleTruncatedError extends Error {
  override readonly name = 'PickleTruncatedError';
}

/** Longer integers than this do not occur in weights, and turning digits into a bigint takes quadratic time. */
const LONG_LIMIT = 16;

/** Reads a pickle's little-endian arguments; every read is checked against the end. */
export class PickleInput {
  position: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, position: number) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.position = position;
  }

  uint8(): number {
    return this.#view.getUint8(this.advance(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.advance(2), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.advance(4), true);
  }

  int32(): number {
    return this.#view.getInt32(this.advance(4), true);
  }

  uint64(): number {
    return Number(this.#view.getBigUint64(this.advance(8), true));
  }

  /** The one big-endian argument of pickle. */
  float64(): number {
    return this.#view.getFloat64(this.advance(8), false);
  }

  /** A two's complement integer of `length` bytes; a bigint where a number would not hold it. */
  long(length: number): number | bigint {
    if (length > LONG_LIMIT) throw new RangeError(`an integer of ${length} bytes`);
    const value = this.bytes(length).reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
    const signed = BigInt.asIntN(8 * length, value);
    return Number.isSafeInteger(Number(signed)) ? Number(signed) : signed;
  }

  bytes(length: number): Uint8Array {
    const start = this.advance(length);
    return this.#bytes.subarray(start, start + length);
  }

  text(length: number): string {
    return new TextDecoder('utf-8', { fatal: true }).decode(this.bytes(length));
  }

  /** Text up to the next newline. */
  line(): string {
    const end = this.#bytes.indexOf(0x0a, this.position);
    if (end < 0) throw new PickleTruncatedError();
    const text = this.text(end - this.position);
    this.advance(1);
    return text;
  }

  /** Passes over `length` bytes and gives their start. */
  advance(length: number): number {
    const start = this.position;
    if (length > this.#bytes.length - start) throw new PickleTruncatedError();
    this.position += length;
    return start;
  }
}
