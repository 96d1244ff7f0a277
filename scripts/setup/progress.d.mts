export function showStep(
  step: { index: number; count: number; text: string },
  out?: Pick<NodeJS.WriteStream, 'isTTY' | 'columns' | 'write'>,
): () => void;
