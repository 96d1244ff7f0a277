/**
 * Reads FlatBuffers tables from bytes that nobody vouches for (https://flatbuffers.dev/internals/). The `flatbuffers`
 * package reads past the end as zeros and has no verifier, hence this: every read is checked and what does not fit throws
 * a RangeError.
 */
export class FlatBuffer {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** What may still be read, so that a small file whose tables share their parts cannot keep a reader busy for ever. */
  #budget: number;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    // An honest table takes 20 bytes and more, and says its name once: eight times the file is more than it can need.
    this.#budget = Math.min(8 * bytes.byteLength, 2 ** 27);
  }

  root(): FlatTable {
    return new FlatTable(this, this.follow(0));
  }

  /** Bytes 4 to 7: what kind of file this is. */
  identifier(): string {
    return this.bytes.byteLength < 8 ? '' : String.fromCharCode(...this.bytes.subarray(4, 8));
  }

  spend(amount: number): void {
    this.#budget -= amount;
    if (this.#budget < 0) throw new RangeError('its parts refer to each other more often than a real file does');
  }

  /** Where the offset at `position` leads: always forward. */
  follow(position: number): number {
    const offset = this.view.getUint32(position, true);
    if (offset === 0) throw new RangeError(`the offset at byte ${position} leads nowhere`);
    return position + offset;
  }

  /** First element and length of the vector that the offset at `position` leads to. */
  vector(position: number, elementBytes: number): { start: number; length: number } {
    const at = this.follow(position);
    const length = this.view.getUint32(at, true);
    if (at + 4 + length * elementBytes > this.bytes.byteLength) {
      throw new RangeError(`a list of ${length} elements at byte ${at} reaches beyond the end`);
    }
    return { start: at + 4, length };
  }

  string(position: number): string {
    const { start, length } = this.vector(position, 1);
    this.spend(length);
    return new TextDecoder().decode(this.bytes.subarray(start, start + length));
  }
}

/** What reading one table costs of the budget. */
const TABLE_COST = 64;

/** A table; its fields go by their slot, the order in the schema. A field that is not there reads as its default. */
export class FlatTable {
  readonly #buffer: FlatBuffer;
  readonly #position: number;
  readonly #vtable: number;
  readonly #vtableBytes: number;

  constructor(buffer: FlatBuffer, position: number) {
    buffer.spend(TABLE_COST);
    this.#buffer = buffer;
    this.#position = position;
    this.#vtable = position - buffer.view.getInt32(position, true);
    this.#vtableBytes = buffer.view.getUint16(this.#vtable, true);
    if (this.#vtable + this.#vtableBytes > buffer.bytes.byteLength) {
      throw new RangeError(`the table at byte ${position} has its layout beyond the end`);
    }
  }

  #field(slot: number): number | undefined {
    const entry = 4 + 2 * slot;
    if (entry + 2 > this.#vtableBytes) return undefined;
    const offset = this.#buffer.view.getUint16(this.#vtable + entry, true);
    return offset === 0 ? undefined : this.#position + offset;
  }

  #read<Value, Default>(slot: number, otherwise: Default, read: (position: number) => Value): Value | Default {
    const position = this.#field(slot);
    return position === undefined ? otherwise : read(position);
  }

  bool(slot: number): boolean {
    return this.#read(slot, false, (position) => this.#buffer.view.getUint8(position) !== 0);
  }

  int32(slot: number): number {
    return this.#read(slot, 0, (position) => this.#buffer.view.getInt32(position, true));
  }

  int64(slot: number, otherwise = 0n): bigint {
    return this.#read(slot, otherwise, (position) => this.#buffer.view.getBigInt64(position, true));
  }

  float32(slot: number): number {
    return this.#read(slot, 0, (position) => this.#buffer.view.getFloat32(position, true));
  }

  string(slot: number): string | undefined {
    return this.#read(slot, undefined, (position) => this.#buffer.string(position));
  }

  table(slot: number): FlatTable | undefined {
    return this.#read(slot, undefined, (position) => new FlatTable(this.#buffer, this.#buffer.follow(position)));
  }

  /** A view, no copy. */
  byteVector(slot: number): Uint8Array | undefined {
    return this.#read(slot, undefined, (position) => {
      const { start, length } = this.#buffer.vector(position, 1);
      return this.#buffer.bytes.subarray(start, start + length);
    });
  }

  int64Vector(slot: number): bigint[] | undefined {
    return this.#read(slot, undefined, (position) => {
      const { start, length } = this.#buffer.vector(position, 8);
      this.#buffer.spend(8 * length);
      return Array.from({ length }, (_, index) => this.#buffer.view.getBigInt64(start + 8 * index, true));
    });
  }

  tableVector(slot: number): FlatTable[] | undefined {
    return this.#read(slot, undefined, (position) => {
      const { start, length } = this.#buffer.vector(position, 4);
      this.#buffer.spend(TABLE_COST * length);
      return Array.from({ length }, (_, index) => new FlatTable(this.#buffer, this.#buffer.follow(start + 4 * index)));
    });
  }
}
