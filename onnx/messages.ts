import protobuf from 'protobufjs/light.js';

/** Messages by name, their fields by name: number and type, with a trailing `[]` where they are repeated. */
export type MessageTable = Readonly<Record<string, Readonly<Record<string, readonly [number, string]>>>>;

/** The protobufjs types of a table of messages. Fields that it lacks are skipped in reading. */
export function messageTypes(namespace: string, messages: MessageTable): protobuf.Namespace {
  const types = new protobuf.Root().define(namespace);
  for (const [name, fields] of Object.entries(messages)) {
    const message = new protobuf.Type(name);
    for (const [field, [id, type]] of Object.entries(fields)) {
      const repeated = type.endsWith('[]');
      message.add(
        new protobuf.Field(field, id, repeated ? type.slice(0, -2) : type, repeated ? 'repeated' : 'optional'),
      );
    }
    types.add(message);
  }
  return types;
}
