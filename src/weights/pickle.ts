import { OrtuneError } from '../errors.ts';
import { PickleInput, PickleTruncatedError } from './pickle-input.ts';

import { invalid } from './weight-source.ts';

/**
 * A name that the reader of a format allows in its pickles. `call` stands for what Python would do on calling it: it
 * builds plain data, nothing is looked up or imported.
 */
export class PickleGlobal {
  readonly name: string;
  readonly call: ((...args: unknown[]) => unknown) | undefined;

  constructor(name: string, call?: (...args: unknown[]) => unknown) {
    this.name = name;
    this.call = call;
  }
}

/** An object that takes a state after it was made, as numpy's arrays do (opcode BUILD). */
export abstract class PickleObject {
  abstract setState(state: unknown): void;
}

export interface PickleRules {
  /** The file, for messages. */
  readonly path: string;
  /** Every global that may be named, as `module.name`. */
  readonly globals: readonly PickleGlobal[];
  /** Resolves a persistent id, where the format has them. */
  readonly persistent?: (id: unknown) => unknown;
}

/** Where the machine's opcodes put a mark, arguments begin. */
const MARK = Symbol('mark');

export interface Unpickled {
  readonly value: unknown;
  /** The position after the pickle's last byte. */
  readonly end: number;
}

/**
 * Reads one pickle (protocols 2 to 5; Python's pickletools.py describes the machine) as data: dict becomes Map, list and
 * tuple an array, bytes a view. Only allowed globals can be named, so a pickle cannot run anything.
 *
 * @throws OrtuneError `WEIGHTS_UNSAFE_PICKLE` naming a global that is not allowed; `WEIGHTS_INVALID` for a broken pickle
 * @throws PickleTruncatedError when the bytes end before the pickle does
 */
export function unpickle(bytes: Uint8Array, start: number, rules: PickleRules): Unpickled {
  const machine = new Machine(bytes, start, rules);
  return { value: machine.run(), end: machine.input.position };
}

class Machine {
  readonly input: PickleInput;
  readonly #rules: PickleRules;
  readonly #stack: unknown[] = [];
  readonly #memo = new Map<number, unknown>();
  /** Items that calls may still be given. Each takes a byte of an honest file; one list could be given to any number of calls. */
  #budget: number;

  constructor(bytes: Uint8Array, start: number, rules: PickleRules) {
    this.input = new PickleInput(bytes, start);
    this.#rules = rules;
    this.#budget = bytes.length;
  }

  run(): unknown {
    for (;;) {
      const at = this.input.position;
      const opcode = this.input.uint8();
      if (opcode === 0x2e) return this.#pop(); // STOP
      try {
        if (!this.#constant(opcode) && !this.#collect(opcode) && !this.#refer(opcode)) {
          throw this.#broken(`unexpected opcode 0x${opcode.toString(16).padStart(2, '0')}`);
        }
      } catch (error) {
        if (error instanceof OrtuneError || error instanceof PickleTruncatedError) throw error;
        throw this.#broken(`opcode 0x${opcode.toString(16)} at byte ${at}: ${String(error)}`, error);
      }
    }
  }

  /** Opcodes that push a value of their own. */
  #constant(opcode: number): boolean {
    const { input } = this;
    switch (opcode) {
      case 0x80: // PROTO
        return input.uint8() <= 5;
      case 0x95: // FRAME: a hint for buffered readers
        input.advance(8);
        return true;
      case 0x4e: // NONE
        return this.#push(null);
      case 0x88: // NEWTRUE
        return this.#push(true);
      case 0x89: // NEWFALSE
        return this.#push(false);
      case 0x4a: // BININT
        return this.#push(input.int32());
      case 0x4b: // BININT1
        return this.#push(input.uint8());
      case 0x4d: // BININT2
        return this.#push(input.uint16());
      case 0x8a: // LONG1
        return this.#push(input.long(input.uint8()));
      case 0x47: // BINFLOAT
        return this.#push(input.float64());
      case 0x58: // BINUNICODE
        return this.#push(input.text(input.uint32()));
      case 0x8c: // SHORT_BINUNICODE
        return this.#push(input.text(input.uint8()));
      case 0x8d: // BINUNICODE8
        return this.#push(input.text(input.uint64()));
      case 0x55: // SHORT_BINSTRING
        return this.#push(input.text(input.uint8()));
      case 0x54: // BINSTRING
        return this.#push(input.text(input.uint32()));
      case 0x43: // SHORT_BINBYTES
        return this.#push(input.bytes(input.uint8()));
      case 0x42: // BINBYTES
        return this.#push(input.bytes(input.uint32()));
      case 0x8e: // BINBYTES8
      case 0x96: // BYTEARRAY8
        return this.#push(input.bytes(input.uint64()));
      default:
        return false;
    }
  }

  /** Opcodes that make or fill a collection. */
  #collect(opcode: number): boolean {
    switch (opcode) {
      case 0x28: // MARK
        return this.#push(MARK);
      case 0x5d: // EMPTY_LIST
      case 0x29: // EMPTY_TUPLE
        return this.#push([]);
      case 0x7d: // EMPTY_DICT
        return this.#push(new Map());
      case 0x74: // TUPLE
        return this.#push(this.#popToMark());
      case 0x85: // TUPLE1
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
        return this.#push(this.#popMany(opcode - 0x84));
      case 0x61: // APPEND
        return this.#append([this.#pop()]);
      case 0x65: // APPENDS
        return this.#append(this.#popToMark());
      case 0x73: // SETITEM
        return this.#setItems(this.#popMany(2));
      case 0x75: // SETITEMS
        return this.#setItems(this.#popToMark());
      default:
        return false;
    }
  }

  /** Opcodes that name, remember, or build. */
  #refer(opcode: number): boolean {
    const { input } = this;
    switch (opcode) {
      case 0x71: // BINPUT
        return this.#remember(input.uint8());
      case 0x72: // LONG_BINPUT
        return this.#remember(input.uint32());
      case 0x94: // MEMOIZE
        return this.#remember(this.#memo.size);
      case 0x68: // BINGET
        return this.#recall(input.uint8());
      case 0x6a: // LONG_BINGET
        return this.#recall(input.uint32());
      case 0x63: // GLOBAL
        return this.#push(this.#global(input.line(), input.line()));
      case 0x93: {
        // STACK_GLOBAL
        const [module, name] = this.#popMany(2);
        if (typeof module !== 'string' || typeof name !== 'string') throw this.#broken('a global without a name');
        return this.#push(this.#global(module, name));
      }
      case 0x52: // REDUCE
        return this.#reduce();
      case 0x62: // BUILD
        return this.#build(this.#pop());
      case 0x51: // BINPERSID
        return this.#push(this.#persistent(this.#pop()));
      default:
        return false;
    }
  }

  #global(module: string, name: string): PickleGlobal {
    const full = `${module}.${name}`;
    const global = this.#rules.globals.find((allowed) => allowed.name === full);
    if (global) return global;
    throw new OrtuneError(
      'WEIGHTS_UNSAFE_PICKLE',
      `${this.#rules.path}: expected a file of tensors alone, but it asks for '${full}', a global that weights do not need. ` +
        'Nothing was executed. It may be a whole model or a training checkpoint (or an attack): take a file that holds ' +
        'only the state_dict, best as .safetensors.',
    );
  }

  #reduce(): boolean {
    const [callee, args] = this.#popMany(2);
    if (!(callee instanceof PickleGlobal && callee.call && Array.isArray(args))) {
      throw this.#broken('a call of something that is no allowed function');
    }
    for (const arg of args) this.#budget -= Array.isArray(arg) ? arg.length : arg instanceof Map ? arg.size : 1;
    if (this.#budget < 0) throw this.#broken('more items in calls than it has bytes');
    return this.#push(callee.call(...args));
  }

  #build(state: unknown): boolean {
    const target = this.#top();
    if (target instanceof PickleObject) target.setState(state);
    // An OrderedDict may carry attributes (torch's `_metadata`); they say nothing about the tensors.
    else if (!(target instanceof Map)) throw this.#broken('a state for something that takes none');
    return true;
  }

  #persistent(id: unknown): unknown {
    if (!this.#rules.persistent) throw this.#broken('a persistent id, which this format does not have');
    return this.#rules.persistent(id);
  }

  #append(items: unknown[]): boolean {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#broken('an append to something that is no list');
    for (const item of items) list.push(item);
    return true;
  }

  #setItems(items: unknown[]): boolean {
    const dict = this.#top();
    if (!(dict instanceof Map) || items.length % 2 !== 0) throw this.#broken('items for something that is no dict');
    for (let index = 0; index < items.length; index += 2) dict.set(items[index], items[index + 1]);
    return true;
  }

  #remember(key: number): boolean {
    this.#memo.set(key, this.#top());
    return true;
  }

  #recall(key: number): boolean {
    if (!this.#memo.has(key)) throw this.#broken(`a reference to ${key}, which was not remembered`);
    return this.#push(this.#memo.get(key));
  }

  #push(value: unknown): true {
    this.#stack.push(value);
    return true;
  }

  #top(): unknown {
    const value = this.#stack.at(-1);
    if (value === undefined || value === MARK) throw this.#broken('a value expected on an empty stack');
    return value;
  }

  #pop(): unknown {
    const value = this.#top();
    this.#stack.pop();
    return value;
  }

  #popMany(count: number): unknown[] {
    return Array.from({ length: count }, () => this.#pop()).reverse();
  }

  #popToMark(): unknown[] {
    const mark = this.#stack.lastIndexOf(MARK);
    if (mark < 0) throw this.#broken('a mark expected on the stack');
    const values = this.#stack.splice(mark + 1);
    this.#stack.pop();
    return values;
  }

  #broken(what: string, cause?: unknown): OrtuneError {
    return invalid(
      `${this.#rules.path}: expected a pickle of tensors, but it is damaged or of another kind: ${what}`,
      cause,
    );
  }
}
