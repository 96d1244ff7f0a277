import { readdir } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { openWeights, type WeightFile } from '../../src/weights/index.ts';
import { shared } from '../shared.ts';

/** float16 and bfloat16 are read as float32, as `expected.safetensors` holds bfloat16; torch's scalars are [1] there. */
async function valuesOf(
  path: string,
  rename = (name: string) => name,
): Promise<Map<string, { values: unknown[]; dims: number[] }>> {
  const file = await openWeights(path);
  const tensors = new Map<string, { values: unknown[]; dims: number[] }>();
  for (const name of file.tensors.keys()) {
    const { data, dims } = await file.read(name);
    tensors.set(rename(name), { values: [...data], dims: dims.length === 0 ? [1] : [...dims] });
  }
  await file.close();
  return tensors;
}

describe.skipIf(!shared)('fixtures written by torch 1.13.1 (needs ORTUNE_SHARED)', () => {
  const folder = `${shared}/fixtures/torch`;

  it.each(['tiny_resnet_zip.pth', 'tiny_resnet_legacy.pth', 'tiny_resnet_parameters_zip.pth'])('%s', async (name) => {
    const expected = await valuesOf(`${folder}/expected.safetensors`);
    expect(expected.size).toBe(12);
    expect(await valuesOf(`${folder}/${name}`)).toEqual(expected);
  });

  it('tiny_checkpoint_dataparallel_zip.pth, nested under state_dict', async () => {
    const expected = await valuesOf(`${folder}/expected.safetensors`);
    const found = await valuesOf(`${folder}/tiny_checkpoint_dataparallel_zip.pth`, (name) =>
      name.replace(/^module\./, ''),
    );
    expect(found).toEqual(expected);
  });

  it('tiny_resnet.safetensors, which has no bf16', async () => {
    const expected = await valuesOf(`${folder}/expected.safetensors`);
    expected.delete('bf16');
    expect(await valuesOf(`${folder}/tiny_resnet.safetensors`)).toEqual(expected);
  });

  it('keeps the stored types', async () => {
    const file = await openWeights(`${folder}/tiny_resnet_zip.pth`);
    expect(file.format).toBe('torch');
    expect(file.tensors.get('half')?.type).toBe('float16');
    expect(file.tensors.get('bf16')?.type).toBe('bfloat16');
    expect(file.tensors.get('bn1.num_batches_tracked')).toMatchObject({ type: 'int64', dims: [] });
    expect((await file.read('half')).data).toBeInstanceOf(Float32Array);
    await file.close();
  });
});

describe.skipIf(!shared)('fixtures written by paddle 2.6.2 (needs ORTUNE_SHARED)', () => {
  const folder = `${shared}/fixtures/paddle`;
  const all = async () => valuesOf(`${folder}/expected.safetensors`);

  it('vars/, one file per variable', async () => {
    const found = await valuesOf(`${folder}/vars`);
    const expected = await all();
    expect(expected.size).toBe(11);
    for (const [name, tensor] of expected) expect(found.get(name), name).toEqual(tensor);
    // Not in expected.safetensors: the other integer types and the level of detail.
    expect(found.get('with_lod')).toEqual({ values: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], dims: [5, 2] });
    expect(found.get('t_i32')).toEqual({ values: [-1, 7], dims: [2, 1] });
    expect(found.get('t_u8')).toEqual({ values: [0, 255], dims: [2] });
    expect(found.get('t_i8')).toEqual({ values: [-128, 127], dims: [2] });
    expect(found.size).toBe((await readdir(`${folder}/vars`)).length);
  });

  it('combined/__params__, by the folder and by the file', async () => {
    const expected = await all();
    for (const name of ['step_i64', 'dbl_f64', 'half_f16']) expected.delete(name);
    const names = [...expected.keys()].sort();
    for (const path of [`${folder}/combined`, `${folder}/combined/__params__`]) {
      expect(await valuesOf(path, (position) => names[Number(position)] ?? position)).toEqual(expected);
    }
  });

  it('state.pdparams', async () => {
    const expected = await all();
    for (const name of ['step_i64', 'dbl_f64', 'half_f16']) expected.delete(name);
    expect(await valuesOf(`${folder}/state.pdparams`)).toEqual(expected);
  });
});

describe.skipIf(!shared)('many reads of one file (needs ORTUNE_SHARED)', () => {
  it('may run at the same time', async () => {
    const file: WeightFile = await openWeights(`${shared}/fixtures/torch/tiny_resnet_zip.pth`);
    const names = [...file.tensors.keys()];
    const together = await Promise.all(names.map((name) => file.read(name)));
    for (const [index, name] of names.entries()) expect(together[index]).toEqual(await file.read(name));
    await file.close();
  });
});
